"""Pictures of windows for PyTorch, drawn when a batch is asked for: nothing is kept on disk."""

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

_NEAR_S = 600.0  # windows of a cohort no further apart are read in one piece


class Draw(Protocol):
    """What makes pictures of windows: :func:`imuspec.rgb_image`, one of :mod:`imuspec.spectral.encodings`, or a partial of them."""

    def __call__(self, x: NDArray[Any], /, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """[n, axes, time] to [n, ..., 3, rows, columns], into `out` if given."""


class ImageBatch(list[Any]):
    """A drawn batch: `images` and `labels` whole, and as a list the single items, as any collate function takes them."""

    def __init__(self, images: Tensor, labels: Tensor | None) -> None:
        single = images.unbind()
        super().__init__(single if labels is None else zip(single, labels.unbind(), strict=True))
        self.images, self.labels = images, labels


class ImageDataset(Dataset[Any]):
    """Windows as pictures for a `torch.utils.data.DataLoader`, drawn per batch.

    Parameters
    ----------
    source : array or Cohort
        Windows [n, axes, time] (g; an array of any strides, a view of :func:`imuspec.windows` or a `numpy.memmap`), or a
        :class:`imuspec.Cohort`, whose kept wear is cut into windows of `window_s`.
    labels : array_like, optional
        [n], of whatever number type; None gives pictures alone.
    draw : Draw, default rgb_image
        What makes the pictures: :func:`imuspec.rgb_image` as it is, ``functools.partial(rgb_image, nfft=64, noverlap=60)``,
        one of :mod:`imuspec.spectral.encodings`. To send it to a worker that is not forked it must be picklable, as partials are.
    window_s : float, optional
        Of a cohort only: length of a window and what neighbours share, seconds; windows never leave a segment.
    overlap_s : float, default 0.0
        Of a cohort only: length of a window and what neighbours share, seconds; windows never leave a segment.
    ids : sequence of str, optional
        Of a cohort only: which recordings; None takes all.

    Raises
    ------
    ValueError
        For labels of another number, windows of another shape, or windows asked of an array.

    Notes
    -----
    ``DataLoader(dataset, batch_size=256, collate_fn=ImageDataset.collate)`` asks for a whole batch at once
    (``__getitems__``), which one call of the native kernel draws, and takes it as it is: the default collate function
    works too, and copies it. A worker draws straight into shared memory. Workers may be forked after the parent has
    drawn: a forked child draws on one thread. Give `draw` into pinned memory with :meth:`draw_into`. Prefer uint8 (the
    default of `rgb_image`) and normalise on the accelerator. Wear in a cohort may hold NaN where nothing was measured:
    ``functools.partial(rgb_image, nan="mask")`` draws it black, plain `rgb_image` raises.

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
                raise ValueError("window_s, overlap_s, ids: expected none with an array, which holds windows already")
            self._windows = _Array(source)
        self._draw = draw
        self.labels = None if labels is None else torch.as_tensor(np.ascontiguousarray(labels))
        if self.labels is not None and self.labels.shape[:1] != (len(self),):
            raise ValueError(f"labels: expected {len(self)}, got shape {tuple(self.labels.shape)}")

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, index: int) -> Any:
        """One picture, with its label if there are labels."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> ImageBatch:
        """Draw a batch: what a loader calls with the indices of its batch."""
        places = self._places(indices)
        windows = self._windows.take(places)
        out = None
        if get_worker_info() is not None and len(places):
            out = _shared_like(self._draw(windows[:1]), len(places)).numpy()
        return ImageBatch(torch.from_numpy(self._draw(windows, out=out)), self._labelled(places))

    def draw_into(self, indices: Sequence[int], out: Tensor) -> ImageBatch:
        """Draw a batch into memory that is there: a pinned tensor, whose copy to the accelerator need not be waited for.

        Parameters
        ----------
        indices : sequence of int
            Which windows.
        out : Tensor
            Contiguous [n, ..., 3, rows, columns] on the CPU, of a type that `draw` knows.

        Returns
        -------
        The batch; its images are `out`.
        """
        places = self._places(indices)
        self._draw(self._windows.take(places), out=out.numpy())
        return ImageBatch(out, self._labelled(places))

    @staticmethod
    def collate(batch: ImageBatch) -> Tensor | tuple[Tensor, Tensor]:
        """Take a drawn batch as it is, without a copy: the `collate_fn` of a loader."""
        return batch.images if batch.labels is None else (batch.images, batch.labels)

    def windows(self, indices: Sequence[int]) -> NDArray[Any]:
        """Return the windows themselves, [n, axes, time]."""
        return self._windows.take(self._places(indices))

    def where(self, index: int) -> tuple[str, float]:
        """Return recording and start, in seconds after its first sample, of a window of a cohort."""
        if isinstance(self._windows, _Array):
            raise ValueError("where: expected a data set over a cohort, got one over an array")
        return self._windows.where(int(self._places([index])[0]))

    def _places(self, indices: Sequence[int]) -> NDArray[np.int64]:
        places = np.asarray(indices, np.int64).reshape(-1)
        n = len(self)
        if places.size and not (-n <= places.min() and places.max() < n):
            raise IndexError(f"index: expected -{n} to {n - 1}, got {places.min()} to {places.max()}")
        return np.where(places < 0, places + n, places)

    def _labelled(self, places: NDArray[np.int64]) -> Tensor | None:
        return None if self.labels is None else self.labels[torch.from_numpy(places)]


def _shared_like(one: NDArray[Any], n: int) -> Tensor:
    """Memory for n such pictures that the loader's process sees too, as torch's own collate function takes it."""
    like = torch.from_numpy(one)
    storage = like.untyped_storage()._new_shared(n * one.nbytes, device="cpu")
    return torch.empty(0, dtype=like.dtype).set_(storage).view(n, *one.shape[1:])


class _Array:
    """Windows that lie in memory or in a file."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x = x if isinstance(x, np.ndarray) else np.asarray(x)
        if self.x.ndim != 3:
            raise ValueError(f"source: expected windows [n, axes, time] or a Cohort, got shape {self.x.shape}")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """[n, axes, time]; neighbours in order are a view."""
        if places.size and (np.diff(places) == 1).all():
            return self.x[places[0] : places[-1] + 1]
        return self.x[places]


class _Wear:
    """Windows on a grid in the kept wear of a cohort."""

    def __init__(self, cohort: Cohort, window_s: float, overlap_s: float, ids: Sequence[str]) -> None:
        if not 0 <= overlap_s < window_s:
            raise ValueError(f"window_s, overlap_s: expected 0 <= overlap_s < window_s, got {window_s}, {overlap_s}")
        self.cohort, self.window_s = cohort, window_s
        recordings = cohort.recordings
        rates = dict(zip(recordings["id"].to_pylist(), recordings["rate_hz"].to_pylist(), strict=True))
        unknown = [name for name in ids if name not in rates]
        if unknown:
            raise KeyError(f"ids: expected some of the cohort's {len(cohort)}, got {unknown[0]!r}")
        self.rate = _one_rate({rates[name] for name in ids})
        self.length = round(window_s * self.rate)
        self.step = max(1, round((window_s - overlap_s) * self.rate))
        self.ids = list(ids)
        known = {name: number for number, name in enumerate(self.ids)}
        names, firsts, pasts = (cohort.segments[name].to_pylist() for name in ("id", "start_index", "stop_index"))
        kept = [(known[i], f, p) for i, f, p in zip(names, firsts, pasts, strict=True) if i in known]
        rows = np.array(sorted(kept), np.int64).reshape(-1, 3)
        counts = np.maximum(0, (rows[:, 2] - rows[:, 1] - self.length) // self.step + 1)
        self.recording, self.first = rows[:, 0], rows[:, 1]
        self.ends = np.cumsum(counts)
        self.begins = self.ends - counts

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.ends.size else 0

    def place(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Number of the recording and first sample of each window."""
        segment = np.searchsorted(self.ends, places, side="right")
        return self.recording[segment], self.first[segment] + (places - self.begins[segment]) * self.step

    def where(self, place: int) -> tuple[str, float]:
        recording, first = self.place(np.array([place]))
        return self.ids[int(recording[0])], float(first[0]) / self.rate

    def take(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, 3, time]; windows of one recording that lie close are read together."""
        out = np.empty((len(places), 3, self.length), np.float32)
        recording, first = self.place(places)
        order = np.lexsort((first, recording))
        apart = (np.diff(recording[order]) != 0) | (
            np.diff(first[order]) > max(round(_NEAR_S * self.rate), self.length)
        )
        for group in np.split(order, np.flatnonzero(apart) + 1) if len(order) else []:
            start, stop = int(first[group[0]]), int(first[group[-1]]) + self.length
            name = self.ids[int(recording[group[0]])]
            piece = self.cohort.read(name, start / self.rate, (stop - start) / self.rate)
            for place in group:
                out[place] = piece[:, first[place] - start : first[place] - start + self.length]
        return out


def _one_rate(rates: set[float]) -> float:
    if len(rates) != 1:
        raise ValueError(f"cohort: expected recordings of one sample rate, got {sorted(rates)} Hz")
    return float(next(iter(rates)))
