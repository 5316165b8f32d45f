"""Read weights from safetensors files, torchvision's files and MoCo's checkpoints. Only tensors are unpickled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["load_weights", "put_weights", "read_tensors", "read_weights"]

# Prefixes of the encoder's keys in published checkpoints. The query encoder comes before the key encoder.
_PREFIXES = (
    "module.encoder_q.",
    "module.base_encoder.",
    "module.encoder.",
    "encoder_q.",
    "encoder.",
    "module.",
    "backbone.",
)
_HEADS = re.compile(r"^(fc|head|classifier|projector|predictor)\.")


def read_weights(source: str | Path) -> dict[str, Tensor]:
    """Return the encoder's tensors in a weights file or at a URL, without heads and without a prefix in their keys.

    Formats: safetensors; a plain state dict, such as torchvision's ``resnet18-*.pth``; a checkpoint of MoCo or SimSiam, with
    a state dict under ``state_dict`` or ``model``. If a checkpoint has a query and a key encoder, the query encoder is read.

    Parameters
    ----------
    source : str or Path
        A path, or an http(s) URL, which is downloaded once into torch's hub folder. If the file name ends in ``-`` and at
        least eight hexadecimal digits, as torchvision's do, the SHA-256 of the file must start with them.

    Returns
    -------
    dict of str to Tensor
        Key of the encoder -> tensor.

    Raises
    ------
    FileNotFoundError
        If there is no file at the path.
    ValueError
        If the file has no state dict, has objects other than tensors, or has another checksum.
    """
    path = _download(str(source)) if str(source).startswith(("http://", "https://")) else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"weights: expected a file, got none at {path}")
    _verify_checksum(path)
    return _select_encoder(read_tensors(path), path)


def load_weights(encoder: nn.Module, source: str | Path) -> None:
    """Load a weights file into an encoder. The file must hold all of its weights and no others.

    Parameters
    ----------
    encoder : torch.nn.Module
        The encoder, changed in place.
    source : str or Path
        A path or URL, as in `read_weights`.

    Raises
    ------
    FileNotFoundError
        If there is no file at the path.
    ValueError
        If the weights are of another architecture. The message names keys or shapes that do not fit.
    """
    put_weights(encoder, read_weights(source), source)


def put_weights(encoder: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load tensors into an encoder. They must be all of its weights and no others.

    Parameters
    ----------
    encoder : torch.nn.Module
        The encoder, changed in place.
    tensors : mapping of str to Tensor
        Key of the encoder -> tensor. Batch norm's ``num_batches_tracked`` may be missing.
    source : str or Path
        Origin of the tensors, for messages.

    Raises
    ------
    ValueError
        If the tensors are of another architecture, or not finite. The message names keys or shapes that do not fit.
    """
    expected = encoder.state_dict()
    tensors = {
        key: value for key, value in tensors.items() if key in expected or not key.endswith("num_batches_tracked")
    }
    missing = [key for key in expected if key not in tensors and not key.endswith("num_batches_tracked")]
    extra = [key for key in tensors if key not in expected]
    shapes = [
        f"{key} {list(tensors[key].shape)} instead of {list(expected[key].shape)}"
        for key in expected
        if key in tensors and tensors[key].shape != expected[key].shape
    ]
    problems = [
        f"{relation} {', '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}"
        for relation, keys in (("without", missing), ("with", extra), ("shapes", shapes))
        if keys
    ]
    if problems:
        raise ValueError(
            f"weights {source}: expected those of {type(encoder).__name__}, got a file {'; '.join(problems)}"
        )
    if diverged := [key for key, value in tensors.items() if not bool(torch.isfinite(value).all())]:
        more = f" and {len(diverged) - 3} more" if len(diverged) > 3 else ""
        raise ValueError(
            f"weights {source}: expected finite numbers, got NaN or infinity in {', '.join(diverged[:3])}{more}: the training "
            "has diverged"
        )
    encoder.load_state_dict(tensors, strict=False)


def _download(url: str) -> Path:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except OSError as error:
            raise OSError(
                f"weights: expected the file of {url}, got {error}: download it elsewhere, and give the path of the file"
            ) from error
    return path


def _verify_checksum(path: Path) -> None:
    """Raise ValueError if the SHA-256 of a file does not start with the digits in its name."""
    stated = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    if stated:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(stated[1]):
            raise ValueError(f"weights {path}: expected SHA-256 {stated[1]}..., got {digest[: len(stated[1])]}...")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file with the keys of the file. Of a checkpoint only those of the model are returned.

    Parameters
    ----------
    path : Path
        A file in one of the formats of `read_weights`.

    Raises
    ------
    ValueError
        If the file has no state dict, or has objects other than tensors.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"weights {path}: expected safetensors, got {error}") from error
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # The text of this error advises to run any code in the file.
        other = type(error).__name__ == "UnpicklingError" or not str(error)  # no module here imports pickle
        reason = "other objects, or none" if other else str(error).splitlines()[0]
        raise ValueError(
            f"weights {path}: expected a state dict of tensors, got a file that torch does not read as one: {reason}"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"weights {path}: expected a state dict of tensors, got {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def _select_encoder(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the encoder's tensors, without the prefix of their keys."""
    for prefix in _PREFIXES:
        if any(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            break
    encoder = {key: value for key, value in tensors.items() if not _HEADS.match(key)}
    if not encoder:
        raise ValueError(f"weights {path}: expected weights of an encoder, got none besides heads")
    return encoder
