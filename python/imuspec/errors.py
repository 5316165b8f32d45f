"""The error of a recording that cannot be read, the check for optional packages, and what messages say and leave out."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Iterable, Sequence

__all__ = ["EXTRAS", "RecordingError", "expect_once", "require", "unknown_name", "without_credentials"]

_ALL_UP_TO = 8  # names listed whole; of more only the closest
_CLOSEST = 5

# package -> the extra that installs it
EXTRAS = {
    "cryptography": "cluster",
    "dask": "cluster",
    "dask_jobqueue": "cluster",
    "distributed": "cluster",
    "s3fs": "cluster",
    "upath": "cluster",
    "captum": "train",
    "huggingface_hub": "train",
    "lightning_fabric": "train",
    "safetensors": "train",
    "scipy": "train",
    "sklearn": "train",
    "timm": "train",
    "torch": "train",
    "torchvision": "train",
    "umap": "train",
    "jinja2": "report",
    "matplotlib": "report",
    "pandas": "report",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "executorch": "phone",
}

# module -> the name by which people know its package, where that is another
_NAMES = {
    "dask_jobqueue": "dask-jobqueue",
    "distributed": "Dask",
    "executorch": "ExecuTorch",
    "jinja2": "Jinja2",
    "lightning_fabric": "Lightning Fabric",
    "onnx": "ONNX",
    "onnxruntime": "ONNX Runtime",
    "onnxscript": "ONNX Script",
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "torch": "PyTorch",
    "umap": "umap-learn",
    "upath": "universal-pathlib",
}


_USER = re.compile(r"(?<=://)[^/\s@'\"]+@")
_QUERY = re.compile(r"(://[^\s?'\"]*\?)[^\s'\"]*=[^\s'\"]*")
_PARAMETER = re.compile(r"\b((?:X-Amz-|X-Goog-)?(?:Signature|Credential|Security-Token)|AWSAccessKeyId|sig)=[^&\s'\"]+")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")
_SECRET_VARIABLE = re.compile(r".*(SECRET|TOKEN|PASSWORD|ACCESS_KEY).*(?<!FILE)", re.IGNORECASE)
_SHORTEST_SECRET = 8  # characters; shorter values of variables are words


def without_credentials(text: str) -> str:
    """Return a text for logs, tables and messages in which ... stands for credentials.

    Parameters
    ----------
    text : str
        A text that may quote an address or an answer of a store. Users and queries of URLs (presigned ones have a signature
        there), access keys of AWS, and the values of environment variables that name a secret are left out.

    Examples
    --------
    >>> from imuspec.errors import without_credentials
    >>> without_credentials("https://me:secret@host/p1.cwa?X-Amz-Signature=fe21: forbidden")
    'https://...@host/p1.cwa?... forbidden'
    """
    for pattern, replacement in ((_USER, "...@"), (_QUERY, r"\1..."), (_PARAMETER, r"\1=..."), (_ACCESS_KEY, "...")):
        text = pattern.sub(replacement, text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_VARIABLE.fullmatch(name):
            text = text.replace(value, "...")
    return text


def require(purpose: str, *packages: str) -> None:
    """Check that optional packages are installed.

    Parameters
    ----------
    purpose : str
        What needs the packages, for the message.
    *packages : str
        Module names, keys of `EXTRAS`.

    Raises
    ------
    ImportError
        If a package is missing. The message names the extra to install.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            extra = EXTRAS[package]
            raise ImportError(
                f"{purpose} needs {_NAMES.get(package, package)}: pip install 'imuspec[{extra}]'", name=package
            )


def expect_once(name: str, values: Sequence[object]) -> None:
    """Raise an error if a value occurs twice.

    Parameters
    ----------
    name : str
        Option or parameter that has the values; empty where the caller names it.
    values : sequence of object
        The values.

    Raises
    ------
    ValueError
        If two are equal.
    """
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ValueError(f"{name and f'{name}: '}expected each value once, got {value} twice")


def unknown_name(option: str, name: object, known: Iterable[str], *, listing: str = "", other: str = "") -> str:
    """Return the message for a name that is not known: the names there are, the closest first.

    Parameters
    ----------
    option : str
        Option or parameter that the name was given for.
    name : object
        The unknown name.
    known : iterable of str
        The known names. Of more than eight only the five closest are listed.
    listing : str, default ""
        Command or call that lists all names, for the message.
    other : str, default ""
        What the option takes beside a name, as ``the path of a TOML file``.

    Examples
    --------
    >>> from imuspec.errors import unknown_name
    >>> unknown_name("recipe", "ukbb", ["actipy", "ukb"])
    "recipe: expected one of 'ukb', 'actipy', got 'ukbb'"
    """
    names = list(known)
    lowered = str(name).lower()

    def likeness(candidate: str) -> float:
        texts = [(lowered, candidate.lower()), (lowered.rpartition(".")[2], candidate.lower().rpartition(".")[2])]
        return max(difflib.SequenceMatcher(None, a, b).ratio() for a, b in texts)

    ordered = sorted(names, key=likeness, reverse=True)
    shown = ordered if len(names) <= _ALL_UP_TO else ordered[:_CLOSEST]
    listed = ", ".join(repr(each) for each in shown) or "no name (none is registered)"
    if len(shown) < len(names):
        listed += f" (closest of {len(names)}" + (f"; {listing} lists all)" if listing else ")")
    return f"{option}: expected one of {listed}{f' or {other}' if other else ''}, got {name!r}"


class RecordingError(ValueError):
    """A file that is not a recording, or is too damaged to read.

    Parameters
    ----------
    path : str
        The file.
    offset : int or None
        Byte offset in the uncompressed file; None if the error has no single position.
    reason : str
        The expected and the actual content.
    """

    def __init__(self, path: str, offset: int | None, reason: str) -> None:
        self.path = str(path)
        self.offset = offset
        self.reason = reason
        position = "" if offset is None else f" (byte {offset})"
        super().__init__(f"{self.path}: {reason}{position}")

    def __reduce__(self) -> tuple[type[RecordingError], tuple[str, int | None, str]]:
        return type(self), (self.path, self.offset, self.reason)
