"""Features of fifty-minute windows from a frozen encoder.

Each patch is scored in one window, by `imuspec.datasets.patches.scored_windows`. Encoders without patches (HARNet) take each
patch separately.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
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

__all__ = ["PatchFeatures", "embed_patches", "patch_statistics", "raw_windows"]

Statistics = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """Features of windows.

    Attributes
    ----------
    x : list of array [patches, features]
        Features of each window.
    label : list of array of int64 [patches]
        Classes of each window; patches with -1 do not count.
    subject : list of str
        Subject of each window.
    class_names : tuple of str
        The classes.
    """

    x: list[NDArray[Any]]
    label: list[NDArray[np.int64]]
    subject: list[str]
    class_names: tuple[str, ...]

    def truth(self) -> NDArray[np.int64]:
        """Return the labels of all counted patches, window after window."""
        return np.concatenate([part[part >= 0] for part in self.label])

    def who(self) -> NDArray[np.str_]:
        """Return the subject of each counted patch."""
        counts = [int((part >= 0).sum()) for part in self.label]
        return np.repeat(np.array(self.subject), counts)

    def select(self, subjects: Sequence[str]) -> PatchFeatures:
        """Return the windows of some subjects."""
        selected = [i for i, subject in enumerate(self.subject) if subject in set(subjects)]
        return PatchFeatures(
            [self.x[i] for i in selected],
            [self.label[i] for i in selected],
            [self.subject[i] for i in selected],
            self.class_names,
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
    beside: Statistics | None = None,
) -> PatchFeatures:
    """Return the features of every window of labelled stretches, from a frozen encoder in eval mode.

    Parameters
    ----------
    encoder : nn.Module
        Encoder with ``patch``, [B, 3, patches * patch] -> [B, patches, features], or any on windows [B, 3, patch].
    sequences : PatchSequences
        Labelled stretches.
    window : int, optional
        Patches of a window; by default as many as the encoder takes, at most 300. It should be as in training.
    stride : int, optional
        Patches between windows, 30 for training on overlapping windows; by default those of an evaluation, in which each patch
        is scored once.
    batch : int, default 16
        Windows of one pass.
    device : str, default "cpu"
        Device of the encoder.
    cache : path, optional
        Folder that stores features as float16, by a digest of encoder and stretches. They are then read from the file as they
        are needed, so that they need no memory: at a stride of 30 patches those of Capture-24 are some 7 GB.
    beside : callable, optional
        Statistics of patches ``[n, 3, patch]`` that stand behind the features, as `imuspec.probing.moments`.

    Returns
    -------
    PatchFeatures
    """
    window = min(300, int(getattr(encoder, "n_patches", 300))) if window is None else window
    positions = _window_positions(sequences, window, stride)
    label = [_counted(sequences.items[i], *position) for i, *position in positions]
    subject = [sequences.items[i].subject for i, *_ in positions]
    lengths = [len(part) for part in label]
    ending = "" if beside is None else f"-{beside.__name__}"
    stored = None if cache is None else Path(cache) / f"{_digest(encoder, sequences, window, stride)}{ending}.npy"
    if stored is None or not stored.is_file():
        states = _states if hasattr(encoder, "patch") else _states_of_patches
        computed = states(encoder.to(device).eval(), sequences, positions, batch, device)
        if beside is not None:
            computed = _joined(computed, beside, sequences, positions)
        if stored is None:
            x: list[NDArray[Any]] = [np.empty(0)] * len(positions)
            for k, values in computed:
                x[k] = values
            return PatchFeatures(x, label, subject, sequences.class_names)
        stored.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(stored) as file:
            _write(file, lengths, computed)
    rows = np.load(stored, mmap_mode="r")
    return PatchFeatures(np.split(rows, np.cumsum(lengths)[:-1]), label, subject, sequences.class_names)


def _write(file: Path, lengths: Sequence[int], computed: Iterator[tuple[int, NDArray[np.float32]]]) -> None:
    """Write features as float16 ``[patches of all windows, features]``, window by window as they are computed."""
    starts = np.cumsum([0, *lengths])
    rows: NDArray[np.float16] | None = None
    for k, values in computed:
        if rows is None:
            shape = (int(starts[-1]), values.shape[1])
            rows = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
        rows[starts[k] : starts[k + 1]] = values
    if rows is None:
        raise ValueError("sequences: expected at least one window, got none")


def _window_positions(sequences: PatchSequences, window: int, stride: int | None) -> list[tuple[int, int, int, int]]:
    """Return (sequence, start, first counted, end) of each window."""
    windows = []
    for i, item in enumerate(sequences):
        n = len(item.label)
        if stride is None:
            windows += [(i, *position) for position in scored_windows(n, window=window)]
        else:
            starts = stride_starts(n, window=window, stride=stride).tolist()
            windows += [(i, start, start, min(start + window, n)) for start in starts]
    return windows


def _counted(item: PatchSequence, start: int, first: int, end: int) -> NDArray[np.int64]:
    label = item.label[start:end].copy()
    label[: first - start] = -1
    return label


def _states(
    encoder: nn.Module,
    sequences: PatchSequences,
    positions: Sequence[tuple[int, int, int, int]],
    batch: int,
    device: str,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (window, its features ``[patches, features]``) of an encoder on windows; those of one length are batched."""
    lengths = np.array([end - start for _, start, _, end in positions])
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for begin in range(0, len(alike), batch):
            part = alike[begin : begin + batch]
            x = np.stack([_samples(sequences.items[positions[k][0]], positions[k][1], positions[k][3]) for k in part])
            with torch.inference_mode():
                states = encoder(torch.from_numpy(x).to(device)).float().cpu().numpy()
            yield from zip(part.tolist(), states, strict=True)


def _states_of_patches(
    encoder: nn.Module,
    sequences: PatchSequences,
    positions: Sequence[tuple[int, int, int, int]],
    batch: int,
    device: str,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the same of an encoder on single patches; each patch of a stretch is embedded once."""
    index, features = -1, np.empty((0, 0), np.float32)
    for k, (i, start, _, end) in enumerate(positions):
        if i != index:
            index, features = i, _each_patch(encoder, sequences.items[i], batch * 16, device)
        yield k, features[start:end]


def _joined(
    computed: Iterator[tuple[int, NDArray[np.float32]]],
    statistics: Statistics,
    sequences: PatchSequences,
    positions: Sequence[tuple[int, int, int, int]],
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (window, its features) with the statistics of each patch behind them."""
    each = [_of_each_patch(statistics, item) for item in sequences]
    for k, values in computed:
        i, start, _, end = positions[k]
        yield k, np.concatenate([values, each[i][start:end]], axis=1)


def _of_each_patch(statistics: Statistics, item: PatchSequence) -> NDArray[np.float32]:
    return statistics(np.ascontiguousarray(item.x.reshape(3, -1, item.patch).transpose(1, 0, 2)))


def patch_statistics(
    statistics: Statistics, sequences: PatchSequences, *, window: int = 300, stride: int | None = None
) -> PatchFeatures:
    """Return statistics of patches in place of an encoder's features. Each patch is in memory once, however windows overlap.

    Parameters
    ----------
    statistics : callable
        Of patches ``[n, 3, patch]``.
    sequences : PatchSequences
        Labelled stretches.
    window : int, default 300
        Patches of a window.
    stride : int, optional
        As for `embed_patches`.

    Returns
    -------
    PatchFeatures
    """
    each = [_of_each_patch(statistics, item) for item in sequences]
    positions = _window_positions(sequences, window, stride)
    return _with_labels([each[i][start:end] for i, start, _, end in positions], sequences, positions)


def _with_labels(
    x: list[NDArray[np.float32]], sequences: PatchSequences, positions: Sequence[tuple[int, int, int, int]]
) -> PatchFeatures:
    """Return values of windows with the labels and subject of each."""
    return PatchFeatures(
        x,
        [_counted(sequences.items[i], *position) for i, *position in positions],
        [sequences.items[i].subject for i, *_ in positions],
        sequences.class_names,
    )


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
    """Return the windows themselves, [3, time] each, in place of features, to train an encoder too.

    Parameters
    ----------
    sequences : PatchSequences
        Labelled stretches.
    window : int, default 300
        Patches of a window.
    stride : int, optional
        As for `embed_patches`.

    Returns
    -------
    PatchFeatures
    """
    positions = _window_positions(sequences, window, stride)
    return _with_labels(
        [_samples(sequences.items[i], start, end) for i, start, _, end in positions], sequences, positions
    )
