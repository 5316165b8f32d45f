"""Judging a frozen encoder patch by patch: features of fifty-minute windows once, then a head on them."""

from __future__ import annotations

from imuspec.patch_probing.features import PatchFeatures, embed_patches, raw_windows
from imuspec.patch_probing.heads import (
    HeadName,
    HeadTraining,
    PatchHead,
    class_weights,
    fit_patch_head,
    out_of_fold,
    probe_patches,
    score_patches,
)

__all__ = [
    "HeadName",
    "HeadTraining",
    "PatchFeatures",
    "PatchHead",
    "class_weights",
    "embed_patches",
    "fit_patch_head",
    "out_of_fold",
    "probe_patches",
    "raw_windows",
    "score_patches",
]
