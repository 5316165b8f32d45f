"""Pictures as files, folders and npz archives."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A smooth picture (columns, rows) of its own colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(seed: int, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, form)
    return buffer.getvalue()


def folder_of(path: Path, classes: dict[str, int]) -> Path:
    seed = 0
    for name, n in classes.items():
        (path / name).mkdir(parents=True)
        for _ in range(n):
            picture(seed).save(path / name / f"{seed:03d}.{('png', 'jpg', 'webp')[seed % 3]}")
            seed += 1
    return path


def npz_of(path: Path, items: list[bytes], **more: object) -> Path:
    data = np.frombuffer(b"".join(items), np.uint8)
    np.savez(path, data=data, offset=np.cumsum([0, *map(len, items)]), **more)
    return path
