"""Weights from files: safetensors, torchvision's, MoCo's checkpoints. Nothing but tensors is ever unpickled."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["load_weights", "put_weights", "read_tensors", "read_weights"]

# Prefixes under which published checkpoints keep the trunk, the query encoder's before the key encoder's.
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
    """Return the tensors of a weights file or URL, keyed as the trunk names them, without any head.

    Known forms: safetensors; a plain state dict (torchvision's ``resnet18-*.pth``); one under ``state_dict`` or ``model``
    with the prefixes of MoCo's and SimSiam's checkpoints. Of two encoders in one file the query encoder is taken.

    Parameters
    ----------
    source : str or Path
        A path, or an http(s) URL, which is downloaded once into torch's hub folder. A name that ends in ``-`` and eight or
        more hexadecimal digits must have that SHA-256, as torchvision's have.

    Raises
    ------
    FileNotFoundError
        If there is no file at the path.
    ValueError
        If the file holds no state dict, or anything that could run code, or its checksum differs.
    """
    path = _fetched(str(source)) if str(source).startswith(("http://", "https://")) else Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"weights: expected a file, got none at {path}")
    _check_sum(path)
    return _trunk(read_tensors(path), path)


def load_weights(encoder: nn.Module, source: str | Path) -> None:
    """Load a weights file into an encoder. The file must hold every weight and no other.

    Raises
    ------
    ValueError
        If the file is of another architecture; the message names keys or shapes that do not fit.
    """
    put_weights(encoder, read_weights(source), source)


def put_weights(encoder: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Load tensors, keyed as the encoder names them, as `load_weights`; messages name the source."""
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
        f"{what} {', '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}"
        for what, keys in (("without", missing), ("with", extra), ("shapes", shapes))
        if keys
    ]
    if problems:
        raise ValueError(
            f"weights {source}: expected those of {type(encoder).__name__}, got a file {'; '.join(problems)}"
        )
    encoder.load_state_dict(tensors, strict=False)


def _fetched(url: str) -> Path:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    return path


def _check_sum(path: Path) -> None:
    stated = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    if stated:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(stated[1]):
            raise ValueError(f"weights {path}: expected SHA-256 {stated[1]}..., got {digest[: len(stated[1])]}...")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file under the keys that it has, of a checkpoint those of its model. As `read_weights`."""
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
        raise ValueError(
            f"weights {path}: expected a state dict of tensors, got a file that torch does not read as one: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"weights {path}: expected a state dict of tensors, got {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def _trunk(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if any(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            break
    trunk = {key: value for key, value in tensors.items() if not _HEADS.match(key)}
    if not trunk:
        raise ValueError(f"weights {path}: expected weights of an encoder, got none besides heads")
    return trunk
