"""The picture of a window in plain NumPy, written from its published steps, one line each."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RED_OF_GREYS = (255, 240, 217, 189, 150, 115, 82, 37, 0)
GREYS = 255 - np.floor(np.interp(np.arange(256) / 255, np.linspace(0, 1, 9), RED_OF_GREYS) + 1e-9).astype(np.uint8)


def decibels(x: NDArray[np.float64], nfft: int, noverlap: int) -> NDArray[np.float64]:
    """One axis -> [bin, frame]; a cell without power is -inf."""
    x = np.pad(x.astype(np.float64), (0, max(0, nfft - x.size)))
    hop = nfft - noverlap
    n_frames = (x.size - noverlap) // hop
    frames = np.stack([x[hop * t : hop * t + nfft] for t in range(n_frames)])
    power = np.abs(np.fft.rfft(frames * np.hanning(nfft))) ** 2
    power[:, 1 : (nfft + 1) // 2] *= 2
    with np.errstate(divide="ignore"):
        return 10 * np.log10(power).T


def grid(x: NDArray[np.float64], nfft: int, noverlap: int, levels: str = "greys") -> NDArray[np.uint8]:
    """One axis -> greys, the highest frequency first."""
    db = decibels(x, nfft, noverlap)
    drawn = np.isfinite(db)
    if not drawn.any() or db[drawn].min() == db[drawn].max():
        return np.zeros(db.shape, np.uint8)
    low, high = db[drawn].min(), db[drawn].max()
    u = (np.where(drawn, db, low) - low) / (high - low)
    linear = np.floor(255 * u + 0.5).astype(np.uint8)
    greys = GREYS[np.minimum(np.floor(256 * u), 255).astype(int)] if levels == "greys" else linear
    return np.where(drawn, greys, 0)[::-1].astype(np.uint8)


def canvas_matrix(n: int, size: int, canvas: int) -> NDArray[np.float64]:
    """Nearest neighbour from n lines up to the canvas, then a triangle of half-width canvas / size down to `size`."""
    matrix = np.zeros((size, n))
    scale = canvas / size
    for i in range(size):
        centre = (i + 0.5) * scale
        pixels = range(max(math.floor(centre - scale + 0.5), 0), min(math.floor(centre + scale + 0.5), canvas))
        for p in pixels:
            matrix[i, math.floor((p + 0.5) * n / canvas)] += max(0.0, 1 - abs(p + 0.5 - centre) / scale)
    return matrix / matrix.sum(1, keepdims=True)


def two_point_matrix(n: int, size: int) -> NDArray[np.float64]:
    """Linear interpolation at half-pixel centres, held at the ends."""
    matrix = np.zeros((size, n))
    for i in range(size):
        position = min(max((i + 0.5) * n / size - 0.5, 0), n - 1)
        first = min(math.floor(position), max(n - 2, 0))
        matrix[i, first] += 1 - (position - first)
        matrix[i, min(first + 1, n - 1)] += position - first
    return matrix


def picture(
    x: NDArray[np.float64], nfft: int, noverlap: int, *, resize: str = "canvas", levels: str = "greys"
) -> NDArray[np.uint8]:
    """[3, time] -> [3, 96, 128]."""
    channels = []
    for axis in x:
        g = grid(axis, nfft, noverlap, levels).astype(np.float64)
        if resize == "canvas":
            rows, columns = canvas_matrix(g.shape[0], 96, 480), canvas_matrix(g.shape[1], 128, 640)
        else:
            rows, columns = two_point_matrix(g.shape[0], 96), two_point_matrix(g.shape[1], 128)
        stretched = np.floor(g @ columns.T + 0.5 + 1e-9)
        channels.append(np.floor(rows @ stretched + 0.5 + 1e-9).astype(np.uint8))
    return np.stack(channels)
