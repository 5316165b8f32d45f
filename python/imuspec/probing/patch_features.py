"""Features of fifty-minute windows, from a frozen encoder, each once.

A window's patches are scored once each, as `imuspec.datasets.patches.scored_windows` says. Encoders that know no patches
(HARNet) see each patch by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imuspec.datasets.patches import scored_windows, stride_starts
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.storage import atomic_path

__all__ = ["PatchFeatures", "embed_patches", "raw_windows"]


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """Features of windows.

    Attributes
    ----------
    x
        A window each: [patches, features].
    label
        int64 [patches] of each; -1 does not count.
    subject
        Who each window is of.
    class_names
        The classes.
    """

    x: list[NDArray[Any]]
    label: list[NDArray[np.int64]]
    subject: list[str]
    class_names: tuple[str, ...]

    def truth(self) -> NDArray[np.int64]:
        """Labels of all counted patches, window after window."""
        return np.concatenate([part[part >= 0] for part in self.label])

    def who(self) -> NDArray[np.str_]:
        """Subject of each counted patch."""
        counts = [int((part >= 0).sum()) for part in self.label]
        return np.repeat(np.array(self.subject), counts)

    def of(self, subjects: Sequence[str]) -> PatchFeatures:
        """Return the windows of some subjects."""
        kept = [i for i, subject in enumerate(self.subject) if subject in set(subjects)]
        return PatchFeatures(
            [self.x[i] for i in kept], [self.label[i] for i in kept], [self.subject[i] for i in kept], self.class_names
        )


def embed_patches(
    encoder: nn.Module,
    sequences: PatchSequences,
    *,
    window: int | None = None,
    stride: int | None = None,
    batch: int = 16,
    device: str = "cpu",
    cache: str | Path | None = None,
) -> PatchFeatures:
    """Features of every window of labelled stretches, from a frozen encoder in eval mode.

    Parameters
    ----------
    encoder
        One with ``patch``, [B, 3, patches * patch] -> [B, patches, features]; or any on windows [B, 3, patch].
    sequences
        What to embed.
    window
        Patches of a window; None: as many as the encoder takes, 300 at most. It should be what the encoder was trained on.
    stride
        Patches between windows, 30 for fine-tuning on overlapping ones; None: those of an evaluation, in which each patch
        is scored once.
    batch
        Windows at a time.
    device
        Where to compute.
    cache
        Folder in which features are kept, float16, by what the encoder and the stretches hold.

    Returns
    -------
    PatchFeatures
    """
    window = min(300, int(getattr(encoder, "n_patches", 300))) if window is None else window
    places = _places(sequences, window, stride)
    label = [_counted(sequences.items[i], *place) for i, *place in places]
    subject = [sequences.items[i].subject for i, *_ in places]
    kept = None if cache is None else Path(cache) / f"{_digest(encoder, sequences, window, stride)}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept) as file:
            x = np.split(file["x"], file["ends"][:-1])
        return PatchFeatures(x, label, subject, sequences.class_names)
    encoder = encoder.to(device).eval()
    if hasattr(encoder, "patch"):
        x = _states(encoder, sequences, places, batch, device)
    else:
        each = [_each_patch(encoder, item, batch * 16, device) for item in sequences]
        x = [each[i][start:end] for i, start, _, end in places]
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        whole = np.concatenate(x).astype(np.float16)
        with atomic_path(kept) as file:
            np.savez(file, x=whole, ends=np.cumsum([len(part) for part in x]))
        x = np.split(whole, np.cumsum([len(part) for part in x])[:-1])
    return PatchFeatures(x, label, subject, sequences.class_names)


def _places(sequences: PatchSequences, window: int, stride: int | None) -> list[tuple[int, int, int, int]]:
    """(sequence, start, first counted, end) of each window."""
    found = []
    for i, item in enumerate(sequences):
        n = len(item.label)
        if stride is None:
            found += [(i, *place) for place in scored_windows(n, window=window)]
        else:
            starts = stride_starts(n, window=window, stride=stride).tolist()
            found += [(i, start, start, min(start + window, n)) for start in starts]
    return found


def _counted(item: PatchSequence, start: int, first: int, end: int) -> NDArray[np.int64]:
    label = item.label[start:end].copy()
    label[: first - start] = -1
    return label


@torch.inference_mode()
def _states(
    encoder: nn.Module, sequences: PatchSequences, places: Sequence[tuple[int, int, int, int]], batch: int, device: str
) -> list[NDArray[np.float32]]:
    found: list[NDArray[np.float32] | None] = [None] * len(places)
    lengths = np.array([end - start for _, start, _, end in places])
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for begin in range(0, len(alike), batch):
            part = alike[begin : begin + batch]
            x = np.stack([_samples(sequences.items[places[k][0]], places[k][1], places[k][3]) for k in part])
            states = encoder(torch.from_numpy(x).to(device)).float().cpu().numpy()
            for k, state in zip(part, states, strict=True):
                found[k] = state
    return [state for state in found if state is not None]


def _samples(item: PatchSequence, start: int, end: int) -> NDArray[np.float32]:
    return item.x[:, start * item.patch : end * item.patch]


@torch.inference_mode()
def _each_patch(encoder: nn.Module, item: PatchSequence, batch: int, device: str) -> NDArray[np.float32]:
    x = torch.from_numpy(np.ascontiguousarray(item.x.reshape(3, -1, item.patch).transpose(1, 0, 2)))
    parts = [encoder(x[i : i + batch].to(device)).float().cpu().numpy() for i in range(0, len(x), batch)]
    return np.concatenate(parts)


def _digest(encoder: nn.Module, sequences: PatchSequences, window: int, stride: int | None) -> str:
    digest = hashlib.sha256(repr((type(encoder).__name__, window, stride, sequences.rate)).encode())
    for name, value in sorted(encoder.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    for item in sequences:
        digest.update(np.ascontiguousarray(item.x).tobytes())
    return digest.hexdigest()[:32]


def raw_windows(sequences: PatchSequences, *, window: int = 300, stride: int | None = None) -> PatchFeatures:
    """The windows themselves, [3, time] each, in place of features: to train an encoder too."""
    places = _places(sequences, window, stride)
    return PatchFeatures(
        [_samples(sequences.items[i], start, end) for i, start, _, end in places],
        [_counted(sequences.items[i], *place) for i, *place in places],
        [sequences.items[i].subject for i, *_ in places],
        sequences.class_names,
    )
