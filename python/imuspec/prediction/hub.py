"""Repositories of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from imuspec.errors import require, without_credentials

__all__ = ["downloaded", "uploaded"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def downloaded(repository: str) -> Path:
    """Download a repository, and return its local folder."""
    _checked(repository)
    require("a model of the Hugging Face Hub", "huggingface_hub")
    from huggingface_hub import snapshot_download

    with _named(f"model {repository}, which is no folder here", "a repository of the Hugging Face Hub"):
        return Path(snapshot_download(repository))


def uploaded(folder: Path, repository: str, *, private: bool, ignored: Sequence[str]) -> str:
    """Upload a folder without some of its files to a repository, which is made if it does not exist; return the address."""
    _checked(repository)
    require("a model on the Hugging Face Hub", "huggingface_hub")
    from huggingface_hub import HfApi

    api = HfApi()
    with _named(f"repository {repository}", "the Hugging Face Hub"):
        address = str(api.create_repo(repository, private=private, exist_ok=True))
        api.upload_folder(repo_id=repository, folder_path=folder, ignore_patterns=list(ignored))
    return address


@contextmanager
def _named(subject: str, expected: str) -> Iterator[None]:
    """Raise an error of the Hub, or of the way to it, as an OSError that names the repository."""
    try:
        yield
    except Exception as error:
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise OSError(f"{subject}: expected {expected} that answers, got {without_credentials(first)}") from error


def _checked(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise FileNotFoundError(
            f"model {repository}: expected a folder with a model, or organisation/name of a repository, got neither"
        )
