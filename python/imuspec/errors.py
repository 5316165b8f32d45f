"""The exception for recordings, and the check for optional packages."""

from __future__ import annotations

import importlib.util

__all__ = ["EXTRAS", "RecordingError", "require"]

# package -> the extra that installs it
EXTRAS = {
    "dask": "cluster",
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


def require(purpose: str, *packages: str) -> None:
    """Check that optional packages are installed.

    Parameters
    ----------
    purpose : str
        What needs them, as the message shall name it.
    *packages : str
        Names of modules, keys of `EXTRAS`.

    Raises
    ------
    ImportError
        If one is absent. The message names the extra to install.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            extra = EXTRAS[package]
            raise ImportError(f"{purpose} needs {package}: pip install 'imuspec[{extra}]'", name=package)


class RecordingError(ValueError):
    """Bytes that are no recording, or one too damaged to read.

    Attributes
    ----------
    path
        The file.
    offset
        Byte offset in the uncompressed file, or None where no single byte is to blame.
    reason
        What was expected and what came.
    """

    def __init__(self, path: str, offset: int | None, reason: str) -> None:
        self.path = str(path)
        self.offset = offset
        self.reason = reason
        where = "" if offset is None else f" (byte {offset})"
        super().__init__(f"{self.path}: {reason}{where}")

    def __reduce__(self) -> tuple[type[RecordingError], tuple[str, int | None, str]]:
        return type(self), (self.path, self.offset, self.reason)
