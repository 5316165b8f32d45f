"""The error of a recording that cannot be read, the check for optional packages, and the message for unknown names."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable

__all__ = ["EXTRAS", "RecordingError", "require", "unknown_name"]

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
}

# module -> the name by which people know its package, where that is another
_NAMES = {
    "dask_jobqueue": "dask-jobqueue",
    "distributed": "Dask",
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
