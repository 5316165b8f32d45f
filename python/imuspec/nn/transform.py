"""The discrete Fourier transform of overlapping frames as a product with a constant real matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional


def hann(n: int, *, periodic: bool = True) -> NDArray[np.float64]:
    """The Hann window of n samples, w[k] = (1 - cos(2 pi k / m)) / 2, m = n (periodic) or n - 1."""
    if n == 1:
        return np.ones(1)
    values: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n if periodic else n - 1))
    return values


def dft_matrix(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n, 2 * bins]: a frame times it gives real parts, then imaginary parts, of its windowed one-sided transform."""
    n = len(window)
    phase = np.outer(np.arange(n), np.arange(n // 2 + 1)) % n * (2 * np.pi / n)
    matrix: NDArray[np.float64] = window[:, None] * np.concatenate([np.cos(phase), -np.sin(phase)], axis=1)
    return matrix


def in_full_precision(x: Tensor) -> Tensor:
    """Return float64 as it is and other types as float32: half precision is too coarse for the log of a spectrum."""
    return x if x.dtype == torch.float64 else x.float()


def magnitude(power: Tensor) -> Tensor:
    """Square root of the power; NaN stays NaN. The gradient at zero is zero, where that of sqrt is infinite."""
    zero = power == 0
    return torch.where(zero, 0.0, torch.sqrt(torch.where(zero, 1.0, power)))


class FramedTransform(nn.Module):
    """Power of the windowed one-sided transform of frames [..., time] -> [..., frame, bin].

    With a hop of half a frame each half is multiplied once and no frame is copied; otherwise frames are unfolded.
    """

    matrix: Tensor

    def __init__(self, window: NDArray[np.float64], hop: int, *, padded: bool) -> None:
        super().__init__()
        self.nfft, self.hop, self.padded = len(window), hop, padded
        self.register_buffer("matrix", torch.from_numpy(dft_matrix(window)), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves the matrix to another device; a change of precision is left to `parts`, which starts from float64."""
        exact = self.matrix
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # PyTorch's has no types
        self.matrix = exact.to(self.matrix.device)
        return self

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary parts [..., frame, bin]."""
        matrix = self.matrix.to(x.dtype)
        pad = self.nfft // 2 if self.padded else 0
        n_frames = (x.shape[-1] + 2 * pad - self.nfft) // self.hop + 1
        if n_frames < 1:
            raise ValueError(f"x: expected a frame of nfft = {self.nfft} or more samples, got {x.shape[-1]}")
        if self.nfft == 2 * self.hop:
            length = (n_frames + 1) * self.hop
            blocks = functional.pad(x, (pad, length - pad - x.shape[-1])).unflatten(-1, (n_frames + 1, self.hop))
            halves = blocks[..., :-1, :] @ matrix[: self.hop] + blocks[..., 1:, :] @ matrix[self.hop :]
        else:
            halves = functional.pad(x, (pad, pad)).unfold(-1, self.nfft, self.hop) @ matrix
        real, imaginary = halves.chunk(2, -1)
        return real, imaginary

    def forward(self, x: Tensor) -> Tensor:
        real, imaginary = self.parts(x)
        return real.square() + imaginary.square()
