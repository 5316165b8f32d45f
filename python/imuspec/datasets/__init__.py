"""Labelled windows with subjects, and pictures of windows for PyTorch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imuspec.datasets.images import ImageBatch as ImageBatch
    from imuspec.datasets.images import ImageDataset as ImageDataset
    from imuspec.datasets.wear_days import WearDays as WearDays

# Loaded on first use: torch.
_HOME = {"ImageBatch": "images", "ImageDataset": "images", "WearDays": "wear_days"}

__all__ = [*_HOME]  # noqa: PLE0604  (names are resolved by __getattr__)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'imuspec.datasets' has no attribute {name!r}")
    return getattr(importlib.import_module(f"imuspec.datasets.{_HOME[name]}"), name)
