"""Labelled windows with subjects: public sets in their official layouts, splits, altered test sets, and images of windows
for PyTorch.

Names load on first use: importing this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imuspec.datasets.alterations import ALTERATIONS as ALTERATIONS
    from imuspec.datasets.alterations import altered_sets as altered_sets
    from imuspec.datasets.alterations import rewindowed as rewindowed
    from imuspec.datasets.catalogue import CATALOGUE as CATALOGUE
    from imuspec.datasets.catalogue import labelled_recordings as labelled_recordings
    from imuspec.datasets.catalogue import load as load
    from imuspec.datasets.catalogue import people_of as people_of
    from imuspec.datasets.cutting import cut as cut
    from imuspec.datasets.images import ImageBatch as ImageBatch
    from imuspec.datasets.images import ImageDataset as ImageDataset
    from imuspec.datasets.leaks import Split as Split
    from imuspec.datasets.leaks import check_leaks as check_leaks
    from imuspec.datasets.public_sets import DatasetInfo as DatasetInfo
    from imuspec.datasets.recordings import LabelledRecording as LabelledRecording
    from imuspec.datasets.reference import DatasetReference as DatasetReference
    from imuspec.datasets.splits import explicit_split as explicit_split
    from imuspec.datasets.splits import n_shot as n_shot
    from imuspec.datasets.splits import subject_split as subject_split
    from imuspec.datasets.wear_batches import DaySettings as DaySettings
    from imuspec.datasets.wear_days import WearDays as WearDays
    from imuspec.datasets.windows import Windows as Windows
    from imuspec.datasets.windows import concatenate as concatenate

_HOME = {
    "ALTERATIONS": "alterations",
    "altered_sets": "alterations",
    "rewindowed": "alterations",
    "CATALOGUE": "catalogue",
    "DatasetInfo": "public_sets",
    "labelled_recordings": "catalogue",
    "load": "catalogue",
    "people_of": "catalogue",
    "DatasetReference": "reference",
    "cut": "cutting",
    "ImageBatch": "images",
    "ImageDataset": "images",
    "LabelledRecording": "recordings",
    "Split": "leaks",
    "check_leaks": "leaks",
    "explicit_split": "splits",
    "n_shot": "splits",
    "subject_split": "splits",
    "DaySettings": "wear_batches",
    "WearDays": "wear_days",
    "Windows": "windows",
    "concatenate": "windows",
}

__all__ = [*_HOME]  # noqa: PLE0604  (names are resolved by __getattr__)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'imuspec.datasets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"imuspec.datasets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
