"""Repositories of the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from imuspec.errors import require

__all__ = ["downloaded", "uploaded"]

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def downloaded(repository: str) -> Path:
    """Download a repository, and return its local folder."""
    _checked(repository)
    require("a model of the Hugging Face Hub", "huggingface_hub")
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repository))


def uploaded(folder: Path, repository: str, *, private: bool, ignored: Sequence[str]) -> str:
    """Upload a folder without some of its files to a repository, which is made if it does not exist; return the address."""
    _checked(repository)
    require("a model on the Hugging Face Hub", "huggingface_hub")
    from huggingface_hub import HfApi

    api = HfApi()
    address = str(api.create_repo(repository, private=private, exist_ok=True))
    api.upload_folder(repo_id=repository, folder_path=folder, ignore_patterns=list(ignored))
    return address


def _checked(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise FileNotFoundError(
            f"model {repository}: expected a folder with a model, or organisation/name of a repository, got neither"
        )
