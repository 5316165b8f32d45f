"""Windows to pictures next to the usual stacks: `python benches/test_image.py [--threads N]`.

As a test (`pytest benches/test_image.py`) it holds each job to half of the ratio we aim for: a busy machine must not
fail it, a lost factor of two must.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from imuspec import _core
from interleaved import Timing, interleaved, table

USUAL = [(64, 60), (128, 116), (256, 254)]
MEAN, SD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)[:, None, :, None, None]


def windows(n: int) -> NDArray[np.float32]:
    """Gravity and noise."""
    return (np.random.default_rng(4).standard_normal((n, 3, 500)) * 0.1 + 1.0).astype(np.float32)


def to_levels(db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels [..., bin, frame] in place to 0..255, lowest frequency last."""
    low = db.min((-2, -1), keepdims=True)
    db -= low
    db *= 255 / db.max((-2, -1), keepdims=True)
    return db[..., ::-1, :]


def resized_cv2(levels: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    """Each channel by OpenCV."""
    out = np.empty((*levels.shape[:2], 96, 128), dtype)
    grid = (levels + 0.5).astype(np.uint8) if dtype == "uint8" else levels
    for i in range(grid.shape[0]):
        for k in range(3):
            cv2.resize(np.ascontiguousarray(grid[i, k]), (128, 96), dst=out[i, k], interpolation=cv2.INTER_LINEAR)
    return out if dtype == "uint8" else (out / 255 - MEAN) / SD


def contestants(
    x: NDArray[np.float32], nfft: int, noverlap: int, dtype: str, threads: int
) -> dict[str, Callable[[], object]]:
    """Ours first. All min-max each axis, draw straight levels and interpolate between the two nearest lines."""
    hop = nfft - noverlap
    window = np.hanning(nfft).astype(np.float32)
    out = np.empty((*x.shape[:2], 96, 128), dtype)

    def ours() -> object:
        return imuspec.rgb_image(x, nfft=nfft, noverlap=noverlap, levels="linear", resize="bilinear", out=out)

    def canvas() -> object:
        return imuspec.rgb_image(x, nfft=nfft, noverlap=noverlap, levels="linear", resize="canvas", out=out)

    def fresh() -> object:
        return imuspec.rgb_image(x, nfft=nfft, noverlap=noverlap, levels="linear", resize="bilinear", dtype=dtype)  # type: ignore[arg-type]

    pyfftw = pytest.importorskip("pyfftw")
    frames = np.lib.stride_tricks.sliding_window_view(x, nfft, axis=-1)[..., ::hop, :]
    source = pyfftw.empty_aligned(frames.shape, "float32")
    half = pyfftw.empty_aligned((*frames.shape[:-1], nfft // 2 + 1), "complex64")
    plan = pyfftw.FFTW(source, half, axes=(-1,), flags=("FFTW_MEASURE",), threads=threads)

    def fftw() -> object:
        np.multiply(frames, window, out=source)
        z = plan()
        power = z.real**2 + z.imag**2
        power[..., 1:-1] *= 2
        return resized_cv2(to_levels(np.swapaxes(10 * np.log10(power), -1, -2)), dtype)

    scipy_signal = pytest.importorskip("scipy.signal")

    def scipy_levels() -> NDArray[np.float32]:
        _, _, power = scipy_signal.spectrogram(x, window=window, nperseg=nfft, noverlap=noverlap, detrend=False)
        return to_levels(10 * np.log10(power))

    def pillow() -> object:
        from PIL import Image

        grid = (scipy_levels() + 0.5).astype(np.uint8)
        pictures = [
            np.asarray(Image.fromarray(g.transpose(1, 2, 0).copy()).resize((128, 96), Image.Resampling.BILINEAR))
            for g in grid
        ]
        levels = np.stack(pictures).transpose(0, 3, 1, 2)
        return levels if dtype == "uint8" else (levels.astype(np.float32) / 255 - MEAN) / SD

    torch = pytest.importorskip("torch")
    resize = pytest.importorskip("torchvision.transforms.functional").resize
    torch.set_num_threads(threads)
    signal, hann = torch.from_numpy(x).reshape(-1, 500), torch.from_numpy(window)

    def torchvision() -> object:
        z = torch.stft(signal, nfft, hop, window=hann, center=False, return_complex=True)
        power = z.abs() ** 2
        power[:, 1:-1] *= 2
        db = 10 * torch.log10(power)
        low = db.amin((-2, -1), keepdim=True)
        db = ((db - low) / (db.amax((-2, -1), keepdim=True) - low)).flip(-2).reshape(*x.shape[:2], *db.shape[1:])
        if dtype == "uint8":
            return resize((db * 255 + 0.5).to(torch.uint8), [96, 128], antialias=False).numpy()
        return ((resize(db, [96, 128], antialias=False) - torch.from_numpy(MEAN)) / torch.from_numpy(SD)).numpy()

    return {
        "imuspec": ours,
        "imuspec, fresh": fresh,
        "imuspec, canvas": canvas,
        "pyfftw + cv2": fftw,
        "scipy + cv2": lambda: resized_cv2(to_levels(scipy_db(scipy_signal, x, window, nfft, noverlap)), dtype),
        "scipy + PIL": pillow,
        "torch + torchvision": torchvision,
    }


def scipy_db(
    signal: object, x: NDArray[np.float32], window: NDArray[np.float32], nfft: int, noverlap: int
) -> NDArray[np.float32]:
    """Decibels by SciPy."""
    power = signal.spectrogram(x, window=window, nperseg=nfft, noverlap=noverlap, detrend=False)[2]  # type: ignore[attr-defined]
    return 10 * np.log10(power)


def agree(ours: object, theirs: object) -> None:
    """The same picture, a level or two apart on average."""
    a, b = (np.asarray(v, np.float64) for v in (ours, theirs))
    scale = 1.0 if a.max() > 20 else 255 * 0.226
    worst = float(np.mean(np.abs(a - b)) * scale)
    if a.shape != b.shape or not worst <= 4:
        raise AssertionError(f"picture: expected the peer's within 4 levels on average, got {worst}")


def measure(n: int, nfft: int, noverlap: int, dtype: str, *, threads: int, rounds: int) -> list[Timing]:
    """All contestants on n windows."""
    _core.set_threads(threads)
    try:
        return interleaved(contestants(windows(n), nfft, noverlap, dtype, threads), rounds=rounds, agree=agree)
    finally:
        _core.set_threads(0)


MUSTS = [(256, "uint8", (5, 12, 20)), (256, "float32", (10, 1, 20)), (1, "float32", (7, 16, 9))]


@pytest.mark.parametrize(("n", "dtype", "musts"), MUSTS)
@pytest.mark.parametrize(("nfft", "noverlap"), USUAL)
def test_pictures_are_no_less_than_half_as_fast_as_they_must_be(
    nfft: int, noverlap: int, n: int, dtype: str, musts: tuple[float, float, float]
) -> None:
    ratios = {t.name: t.least_ratio for t in measure(n, nfft, noverlap, dtype, threads=1, rounds=3)}
    for peer, must in zip(("pyfftw + cv2", "scipy + PIL", "torch + torchvision"), musts, strict=True):
        assert ratios[peer] >= must / 2, f"{peer}: {ratios}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for n, dtype, _ in MUSTS:
        for nfft, noverlap in USUAL:
            timings = measure(n, nfft, noverlap, dtype, threads=options.threads, rounds=options.rounds)
            print(table(f"{n} x {dtype} {nfft}/{noverlap}, {options.threads} threads", timings))
