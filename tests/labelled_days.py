"""Labelled stretches of simulated wearers at 30 Hz, and a small RoFormer: what probing and prediction are tried on."""

from __future__ import annotations

import numpy as np
import torch

from imuspec import encoders
from imuspec.datasets.patches import patch_labels
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.encoders.roformer import RoFormer
from imuspec.simulation import STATE_NAMES, wrist_motion

CLASSES = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")


def labelled_days(n: int = 4, *, hours: float = 3.0, start: str = "2023-05-15T05:30:00") -> PatchSequences:
    """Mornings of n wearers, from sleep to the journey; non-wear is unlabelled."""
    code = np.array([CLASSES.index(name) if name in CLASSES else -1 for name in STATE_NAMES])
    items = []
    for seed in range(n):
        x, _, state = wrist_motion(days=hours / 24, seed=seed, sample_rate=30.0, start=start)
        whole = x.shape[1] // 300
        label = patch_labels(code[state[: whole * 300]], 300)
        items.append(PatchSequence(x[:, : whole * 300], label, f"w{seed}", f"w{seed}"))
    return PatchSequences(tuple(items), CLASSES, 30.0, "simulated")


def small_roformer(seed: int = 0) -> RoFormer:
    """Two blocks of width 32, random."""
    torch.manual_seed(seed)
    encoder = encoders.build("roformer", width=32, depth=2, n_heads=4)
    assert isinstance(encoder, RoFormer)
    return encoder.eval()
