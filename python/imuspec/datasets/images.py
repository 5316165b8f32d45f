"""Images of windows for PyTorch, drawn when a batch is requested; nothing is stored on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from imuspec.cohort.cohort import Cohort
from imuspec.spectral.image import rgb_image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Draw", "ImageBatch", "ImageDataset"]

_NEAR_S = 600.0  # windows of a cohort that are no further apart are read together


class Draw(Protocol):
    """A function from windows to images: `imuspec.rgb_image`, one of :mod:`imuspec.spectral.encodings`, or a partial."""

    def __call__(self, x: NDArray[Any], /, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Draw windows [n, axes, time] as images [n, ..., 3, rows, columns], into `out` if given."""


class ImageBatch(list[Any]):
    """A drawn batch. `images` and `labels` are whole tensors; the list has single items, for any collate function.

    Parameters
    ----------
    images : Tensor
        [n, ..., 3, rows, columns].
    labels : Tensor or None
        [n].
    """

    def __init__(self, images: Tensor, labels: Tensor | None) -> None:
        single = images.unbind()
        super().__init__(single if labels is None else zip(single, labels.unbind(), strict=True))
        self.images, self.labels = images, labels


class ImageDataset(Dataset[Any]):
    """Images of windows for a `torch.utils.data.DataLoader`, drawn per batch.

    Parameters
    ----------
    source : array or Cohort
        Windows [n, axes, time] in g (an array of any strides, a view of :func:`imuspec.windows` or a `numpy.memmap`), or a
        :class:`imuspec.Cohort`, whose segments are cut into windows of `window_s`.
    labels : array_like, optional
        Numbers [n]. Without labels the items are images alone.
    draw : Draw, default rgb_image
        The function that draws: :func:`imuspec.rgb_image`, a partial such as ``partial(rgb_image, nfft=64, noverlap=60)``,
        or one of :mod:`imuspec.spectral.encodings`. For workers that are not forked it must be picklable, as partials are.
    window_s : float, optional
        Length of a window, s; required for a cohort, and for a cohort only. Windows lie inside a segment.
    overlap_s : float, default 0.0
        Overlap of neighbouring windows, s; for a cohort only.
    ids : sequence of str, optional
        Recordings of the cohort. The default is all.

    Raises
    ------
    ValueError
        If the number of labels or the shape of the windows is wrong, or an array comes with settings of a cohort.

    Notes
    -----
    ``DataLoader(dataset, batch_size=256, collate_fn=ImageDataset.collate)`` requests a whole batch at once
    (``__getitems__``). One call of the native kernel draws it, and `collate` returns it without a copy; the default collate
    function copies it. A worker draws into shared memory. Workers may be forked after the parent has drawn; a forked child
    draws on one thread. :meth:`draw_into` draws into pinned memory. Prefer uint8 (the default of `rgb_image`) and normalise
    on the accelerator. Segments of a cohort may have NaN where nothing was measured: ``partial(rgb_image, nan="mask")``
    draws it black, plain `rgb_image` raises an error.

    Examples
    --------
    >>> import numpy as np
    >>> from torch.utils.data import DataLoader
    >>> dataset = ImageDataset(np.random.default_rng(0).normal(size=(64, 3, 500)), labels=np.arange(64))
    >>> images, labels = next(iter(DataLoader(dataset, batch_size=16, collate_fn=ImageDataset.collate)))
    >>> images.shape, images.dtype, labels.shape
    (torch.Size([16, 3, 96, 128]), torch.uint8, torch.Size([16]))
    """

    def __init__(
        self,
        source: NDArray[Any] | Cohort,
        labels: ArrayLike | None = None,
        *,
        draw: Draw = rgb_image,
        window_s: float | None = None,
        overlap_s: float = 0.0,
        ids: Sequence[str] | None = None,
    ) -> None:
        self._windows: _Array | _Wear
        if isinstance(source, Cohort):
            if window_s is None:
                raise ValueError("window_s: expected the seconds of a window of the cohort, got None")
            self._windows = _Wear(source, window_s, overlap_s, source.ids if ids is None else list(ids))
        else:
            if window_s is not None or overlap_s or ids is not None:
                raise ValueError("window_s, overlap_s, ids: not allowed with an array, which has windows")
            self._windows = _Array(source)
        self._draw = draw
        self.labels = None if labels is None else torch.as_tensor(np.ascontiguousarray(labels))
        if self.labels is not None and self.labels.shape[:1] != (len(self),):
            raise ValueError(f"labels: expected {len(self)}, got shape {tuple(self.labels.shape)}")

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> Any:
        """Return one image, with its label if there are labels."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch:
        """Draw a batch; a loader calls it with the indices of the batch."""
        positions = self._positions(indices)
        windows = self._windows.take(positions)
        out = None
        if get_worker_info() is not None and len(positions):
            out = _shared_like(self._draw(windows[:1]), len(positions)).numpy()
        return ImageBatch(torch.from_numpy(self._draw(windows, out=out)), self._labelled(positions))

    def draw_into(self, indices: Sequence[int], out: Tensor) -> ImageBatch:
        """Draw a batch into given memory, such as a pinned tensor, which can be copied to the accelerator asynchronously.

        Parameters
        ----------
        indices : sequence of int
            Windows.
        out : Tensor
            Contiguous [n, ..., 3, rows, columns] on the CPU, of a type that `draw` supports.

        Returns
        -------
        ImageBatch
            The batch; its images are `out`.
        """
        positions = self._positions(indices)
        self._draw(self._windows.take(positions), out=out.numpy())
        return ImageBatch(out, self._labelled(positions))

    @staticmethod
    def collate(batch: ImageBatch) -> Tensor | tuple[Tensor, Tensor]:
        """Return the tensors of a batch without a copy: the `collate_fn` of a loader."""
        return batch.images if batch.labels is None else (batch.images, batch.labels)

    def windows(self, indices: Sequence[int]) -> NDArray[Any]:
        """Return the windows [n, axes, time]."""
        return self._windows.take(self._positions(indices))

    def location(self, index: int) -> tuple[str, float]:
        """Return id of the recording and start after its first sample, s, of a window of a cohort."""
        if isinstance(self._windows, _Array):
            raise ValueError("location: expected a data set over a cohort, got one over an array")
        return self._windows.location(int(self._positions([index])[0]))

    def _positions(self, indices: Sequence[int]) -> NDArray[np.int64]:
        positions = np.asarray(indices, np.int64).reshape(-1)
        n = len(self)
        if positions.size and not (-n <= positions.min() and positions.max() < n):
            raise IndexError(f"index: expected -{n} to {n - 1}, got {positions.min()} to {positions.max()}")
        return np.where(positions < 0, positions + n, positions)

    def _labelled(self, positions: NDArray[np.int64]) -> Tensor | None:
        return None if self.labels is None else self.labels[torch.from_numpy(positions)]


def _shared_like(one: NDArray[Any], n: int) -> Tensor:
    """Return memory for n such images that is shared with the loader's process, as in torch's collate function."""
    like = torch.from_numpy(one)
    storage = like.untyped_storage()._new_shared(n * one.nbytes, device="cpu")
    return torch.empty(0, dtype=like.dtype).set_(storage).view(n, *one.shape[1:])


class _Array:
    """Windows in memory or in a memory-mapped file."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x = x if isinstance(x, np.ndarray) else np.asarray(x)
        if self.x.ndim != 3:
            raise ValueError(f"source: expected windows [n, axes, time] or a Cohort, got shape {self.x.shape}")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Return windows [n, axes, time]; consecutive windows are a view."""
        if positions.size and (np.diff(positions) == 1).all():
            return self.x[positions[0] : positions[-1] + 1]
        return self.x[positions]


class _Wear:
    """Windows on a grid in the segments of a cohort."""

    def __init__(self, cohort: Cohort, window_s: float, overlap_s: float, ids: Sequence[str]) -> None:
        if not 0 <= overlap_s < window_s:
            raise ValueError(f"window_s, overlap_s: expected 0 <= overlap_s < window_s, got {window_s}, {overlap_s}")
        self.cohort, self.window_s = cohort, window_s
        recordings = cohort.recordings
        rates = dict(zip(recordings["id"].to_pylist(), recordings["rate_hz"].to_pylist(), strict=True))
        unknown = [name for name in ids if name not in rates]
        if unknown:
            raise KeyError(f"ids: expected some of the cohort's {len(cohort)}, got {unknown[0]!r}")
        distinct = sorted({float(rates[name]) for name in ids})
        if len(distinct) != 1:
            raise ValueError(f"cohort: expected recordings of one sample rate, got {distinct} Hz")
        self.rate = distinct[0]
        self.length = round(window_s * self.rate)
        self.step = max(1, round((window_s - overlap_s) * self.rate))
        self.ids = list(ids)
        known = {name: number for number, name in enumerate(self.ids)}
        names, firsts, stops = (cohort.segments[name].to_pylist() for name in ("id", "start_index", "stop_index"))
        selected = [(known[i], first, stop) for i, first, stop in zip(names, firsts, stops, strict=True) if i in known]
        rows = np.array(sorted(selected), np.int64).reshape(-1, 3)
        counts = np.maximum(0, (rows[:, 2] - rows[:, 1] - self.length) // self.step + 1)
        self.recording, self.first = rows[:, 0], rows[:, 1]
        self.ends = np.cumsum(counts)
        self.begins = self.ends - counts

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.ends.size else 0

    def starts(self, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return index of the recording and first sample of each window."""
        segment = np.searchsorted(self.ends, positions, side="right")
        return self.recording[segment], self.first[segment] + (positions - self.begins[segment]) * self.step

    def location(self, position: int) -> tuple[str, float]:
        recording, first = self.starts(np.array([position]))
        return self.ids[int(recording[0])], float(first[0]) / self.rate

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return windows float32 [n, 3, time]; near windows of one recording are read together."""
        out = np.empty((len(positions), 3, self.length), np.float32)
        recording, first = self.starts(positions)
        order = np.lexsort((first, recording))
        apart = (np.diff(recording[order]) != 0) | (
            np.diff(first[order]) > max(round(_NEAR_S * self.rate), self.length)
        )
        for group in np.split(order, np.flatnonzero(apart) + 1) if len(order) else []:
            start, stop = int(first[group[0]]), int(first[group[-1]]) + self.length
            name = self.ids[int(recording[group[0]])]
            stretch = self.cohort.read(name, start / self.rate, (stop - start) / self.rate)
            for position in group:
                out[position] = stretch[:, first[position] - start : first[position] - start + self.length]
        return out
