"""The discrete Fourier transform of overlapping frames as a product with a constant real matrix."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


def hann(n: int, *, periodic: bool = True) -> NDArray[np.float64]:
    """Return the Hann window, ``w[k] = (1 - cos(2 pi k / m)) / 2``.

    Parameters
    ----------
    n : int
        Number of samples.
    periodic : bool, default True
        Whether ``m = n`` (periodic window) or ``m = n - 1`` (symmetric window).

    Returns
    -------
    ndarray
        float64 ``[n]``.
    """
    if n == 1:
        return np.ones(1)
    values: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n if periodic else n - 1))
    return values


def dft_matrix(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the windowed one-sided Fourier transform as a real matrix.

    Parameters
    ----------
    window : ndarray
        Window ``[n]``.

    Returns
    -------
    ndarray
        float64 ``[n, 2 * bins]`` with ``bins = n // 2 + 1``. The product of a frame and the matrix is the real parts, then
        the imaginary parts, of the transform.
    """
    n = len(window)
    phase = np.outer(np.arange(n), np.arange(n // 2 + 1)) % n * (2 * np.pi / n)
    matrix: NDArray[np.float64] = window[:, None] * np.concatenate([np.cos(phase), -np.sin(phase)], axis=1)
    return matrix


def in_full_precision(x: Tensor) -> Tensor:
    """Return a float64 tensor unchanged, and others as float32. Half precision is too coarse for the log of a spectrum."""
    return x if x.dtype == torch.float64 else x.float()


def magnitude(power: Tensor) -> Tensor:
    """Return the square root of the power, with gradient 0 at power 0, where that of sqrt is infinite. NaN stays NaN."""
    zero = power == 0
    return torch.where(zero, 0.0, torch.sqrt(torch.where(zero, 1.0, power)))


def _frames_matrix(
    shapes: tuple[tuple[int, int], ...], length: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return the transforms of all frames of a signal as one matrix, by the periodic Hann window and padded as by `LMMLoss`.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Samples of a frame, and samples between frames, of each frame length.
    length : int
        Samples of the signal.
    dtype : torch.dtype
        Type of the matrix.
    device : torch.device
        Device of the matrix.

    Returns
    -------
    Tensor
        ``[length, 2 * cells]``: real parts, then imaginary parts, of frame after frame of each frame length.

    Raises
    ------
    ValueError
        If the signal is shorter than a frame.
    """
    real: list[NDArray[np.float64]] = []
    imaginary: list[NDArray[np.float64]] = []
    for nfft, hop in shapes:
        pad, bins = nfft // 2, nfft // 2 + 1
        n_frames = (length + 2 * pad - nfft) // hop + 1
        if n_frames < 1:
            raise ValueError(f"x: expected a frame of nfft = {nfft} or more samples, got {length}")
        transform = dft_matrix(hann(nfft))
        padded = np.zeros((length + 2 * pad, n_frames, 2 * bins))
        for frame in range(n_frames):
            padded[frame * hop : frame * hop + nfft, frame] = transform
        inside = padded[pad : pad + length]  # the samples outside are zeros
        real.append(inside[..., :bins].reshape(length, -1))
        imaginary.append(inside[..., bins:].reshape(length, -1))
    return torch.from_numpy(np.concatenate(real + imaginary, 1)).to(device, dtype)


_frames_on_device = functools.lru_cache(maxsize=32)(_frames_matrix)  # so that a call copies nothing to the device
_frames_in_graph = torch.compiler.assume_constant_result(_frames_matrix)  # a constant of the graph


def all_magnitudes(x: Tensor, shapes: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """Return the magnitudes of padded frames of several lengths by one matrix product.

    Parameters
    ----------
    x : Tensor
        Signals ``[..., time]``, float32 or float64.
    shapes : tuple of tuple of int
        Samples of a frame, and samples between frames, of each frame length.

    Returns
    -------
    list of Tensor
        ``[..., frame, bin]`` of each frame length.

    Raises
    ------
    ValueError
        If the signal is shorter than a frame.
    """
    length = x.shape[-1]
    matrix = _frames_in_graph if torch.compiler.is_compiling() else _frames_on_device
    real, imaginary = (x @ matrix(shapes, length, x.dtype, x.device)).chunk(2, -1)  # [..., cells]
    cells = magnitude(real.square() + imaginary.square())
    grids = [((length + nfft // 2 * 2 - nfft) // hop + 1, nfft // 2 + 1) for nfft, hop in shapes]  # frames, bins
    sections = cells.split([frames * bins for frames, bins in grids], -1)
    return [section.unflatten(-1, grid) for section, grid in zip(sections, grids, strict=True)]


class Exact(nn.Module):
    """A module whose constants are computed in float64. A change of precision of a model does not round them.

    Each constant has a float32 copy, so that nothing is converted when the module is called.
    """

    def register_exact(self, name: str, values: NDArray[np.float64]) -> None:
        """Add the buffers `name`, float64, and ``name_single``, float32. State dicts do not contain them."""
        exact = torch.from_numpy(values)
        self.register_buffer(name, exact, persistent=False)
        self.register_buffer(f"{name}_single", exact.float(), persistent=False)

    def exact(self, name: str, dtype: torch.dtype) -> Tensor:
        """Return a constant as float32, or as float64 if `dtype` is float64."""
        constant: Tensor = getattr(self, name if dtype == torch.float64 else f"{name}_single")
        return constant

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the constants to another device, in their own precision."""
        constants = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # PyTorch's has no types
        for name, constant in constants.items():
            moved = self._buffers[name]
            if constant is not None and moved is not None:
                self._buffers[name] = constant.to(moved.device)
        return self


class FramedTransform(Exact):
    """Power of the windowed one-sided Fourier transform of overlapping frames.

    If `hop` is half a frame, each half-frame is multiplied by its half of the matrix once, and no frame is copied.

    Parameters
    ----------
    window : ndarray
        Window ``[nfft]``.
    hop : int
        Samples from one frame to the next.
    padded : bool
        Whether to add ``nfft // 2`` zeros on both sides, so that frame ``m`` is centred on sample ``m * hop``.
    """

    def __init__(self, window: NDArray[np.float64], hop: int, *, padded: bool) -> None:
        super().__init__()
        self.nfft, self.hop, self.padded = len(window), hop, padded
        self.register_exact("matrix", dft_matrix(window))

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the real and imaginary parts.

        Parameters
        ----------
        x : Tensor
            Signals ``[..., time]``.

        Returns
        -------
        real, imaginary : Tensor
            ``[..., frame, bin]``.

        Raises
        ------
        ValueError
            If the signal is shorter than a frame.
        """
        matrix = self.exact("matrix", x.dtype)
        pad = self.nfft // 2 if self.padded else 0
        n_frames = (x.shape[-1] + 2 * pad - self.nfft) // self.hop + 1
        if n_frames < 1:
            raise ValueError(f"x: expected a frame of nfft = {self.nfft} or more samples, got {x.shape[-1]}")
        if self.nfft == 2 * self.hop:
            length = (n_frames + 1) * self.hop
            inside = x[..., : length - pad]  # no negative padding, which the runtimes of phones do not know
            signal = functional.pad(inside, (pad, length - pad - inside.shape[-1]))
            blocks = signal.unflatten(-1, (n_frames + 1, self.hop))
            spectrum = blocks[..., :-1, :] @ matrix[: self.hop] + blocks[..., 1:, :] @ matrix[self.hop :]
        else:
            spectrum = functional.pad(x, (pad, pad)).unfold(-1, self.nfft, self.hop) @ matrix
        real, imaginary = spectrum.chunk(2, -1)  # from [..., frame, 2 * bins]
        return real, imaginary

    def forward(self, x: Tensor) -> Tensor:
        """Return the power ``[..., frame, bin]`` of signals ``[..., time]``."""
        real, imaginary = self.parts(x)
        return real.square() + imaginary.square()
