"""The same jobs as a careful user of each installed library would write them.

Each function returns calls by name, imuspec first. :func:`same_decibels` and :func:`same_picture` check that their results agree.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imuspec.spectral.image import rgb_image
from imuspec.spectral.magnitude import log_mean_magnitude
from imuspec.spectral.spectrogram import spectrogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Calls",
    "image_calls",
    "installed",
    "magnitude_calls",
    "same_decibels",
    "same_features",
    "same_picture",
    "spectrogram_calls",
    "windows",
]

Calls = dict[str, Callable[[], object]]
MEAN, SD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)[:, None, :, None, None]
FLOOR = 0.1


def installed(name: str) -> Any:
    """Return a module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def windows(*shape: int, seed: int = 4) -> NDArray[np.float32]:
    """Simulate gravity and noise, g."""
    x = np.random.default_rng(seed).standard_normal(shape, np.float32)
    x *= 0.1
    x += 1.0
    return x


def _decibel(power: NDArray[Any]) -> NDArray[Any]:
    """Convert power to dB in place; silence is -inf."""
    with np.errstate(divide="ignore"):
        np.log10(power, out=power)
    power *= 10
    return power


def _frames(x: NDArray[np.float32], nfft: int, hop: int) -> NDArray[np.float32]:
    return np.lib.stride_tricks.sliding_window_view(x, nfft, axis=-1)[..., ::hop, :]


def spectrogram_calls(x: NDArray[np.float32], nfft: int, noverlap: int, threads: int) -> Calls:
    """Return calls for spectrograms in dB, periodic Hann; [..., frame, freq] or [..., freq, frame]."""
    hop = nfft - noverlap
    hann = np.hanning(nfft + 1)[:-1]
    scaled = (hann * np.sqrt(2.0 / (hann * hann).sum())).astype(np.float32)
    frames = _frames(x, nfft, hop)
    out = np.empty((*x.shape[:-1], nfft // 2 + 1, frames.shape[-2]), np.float32)

    def ended(power: NDArray[Any]) -> NDArray[Any]:
        power[..., 0] *= 0.5
        power[..., -1] *= 0.5
        return _decibel(power)

    calls: Calls = {
        "imuspec": lambda: spectrogram(x, nperseg=nfft, noverlap=noverlap, db=True)[2],
        "imuspec, out reused": lambda: spectrogram(x, nperseg=nfft, noverlap=noverlap, db=True, out=out)[2],
    }
    if pyfftw := installed("pyfftw"):
        source, half, plan = _planned(pyfftw, frames, nfft, threads)

        def planned() -> object:
            np.multiply(frames, scaled, out=source)
            plan.execute()
            return ended(half.real**2 + half.imag**2)

        calls["pyfftw, measured plan"] = planned
    if mkl_fft := installed("mkl_fft"):

        def by_mkl() -> object:
            z = mkl_fft.rfft(frames * scaled)
            return ended(z.real**2 + z.imag**2)

        calls["mkl_fft"] = by_mkl
    if signal := installed("scipy.signal"):
        calls["scipy.signal.spectrogram"] = lambda: _decibel(
            signal.spectrogram(x, window="hann", nperseg=nfft, noverlap=noverlap, detrend=False)[2]
        )
    if torch := installed("torch"):
        torch.set_num_threads(threads)
        flat, torch_window = torch.from_numpy(x.reshape(-1, x.shape[-1])), torch.from_numpy(scaled)

        def stft() -> object:
            z = torch.stft(flat, nfft, hop, window=torch_window, center=False, return_complex=True)
            power = z.real.square() + z.imag.square()
            power[:, 0] *= 0.5
            power[:, -1] *= 0.5
            return power.log10_().mul_(10)

        calls["torch.stft"] = stft
    return calls


def _planned(pyfftw: Any, frames: NDArray[np.float32], nfft: int, threads: int) -> tuple[Any, Any, Any]:
    """Input, output and measured plan."""
    source = pyfftw.empty_aligned(frames.shape, "float32")
    half = pyfftw.empty_aligned((*frames.shape[:-1], nfft // 2 + 1), "complex64")
    return source, half, pyfftw.FFTW(source, half, axes=(-1,), flags=("FFTW_MEASURE",), threads=threads)


def same_decibels(result: object, reference: object) -> None:
    """Raise where cells within 60 dB of the peak differ by 0.0026 dB."""
    a = np.asarray(result)
    b = np.asarray(reference).reshape(*a.shape[:-2], *np.asarray(reference).shape[-2:])
    b = b if b.shape == a.shape else np.swapaxes(b, -1, -2)
    strong = b > b.max() - 60
    worst = float(np.abs(a[strong] - b[strong]).max())
    if not worst < 0.0026:
        raise AssertionError(f"result: expected the peer's within 0.0026 dB, got {worst}")


def _levels(db: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale decibels [..., bin, frame] in place to 0..255, lowest frequency last."""
    low = db.min((-2, -1), keepdims=True)
    db -= low
    db *= 255 / db.max((-2, -1), keepdims=True)
    return db[..., ::-1, :]


def _by_cv2(cv2: Any, levels: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Resize each channel by OpenCV."""
    out = np.empty((*levels.shape[:2], 96, 128), dtype)
    grid = (levels + 0.5).astype(np.uint8) if dtype == "uint8" else levels
    for i in range(grid.shape[0]):
        for k in range(3):
            cv2.resize(np.ascontiguousarray(grid[i, k]), (128, 96), dst=out[i, k], interpolation=cv2.INTER_LINEAR)
    return out if dtype == "uint8" else np.asarray((out / 255 - MEAN) / SD)


def image_calls(
    x: NDArray[np.float32], nfft: int, noverlap: int, threads: int, dtype: Literal["uint8", "float32"] = "uint8"
) -> Calls:
    """Return calls for pictures of 96 x 128: each axis from its least to its largest value, linear levels, bilinear."""
    hop = nfft - noverlap
    hann = np.hanning(nfft).astype(np.float32)
    out = np.empty((*x.shape[:2], 96, 128), dtype)

    def drawn(resize: Any, into: NDArray[Any] | None) -> Callable[[], object]:
        return lambda: rgb_image(
            x,
            nfft=nfft,
            noverlap=noverlap,
            levels="linear",
            resize=resize,
            dtype=dtype,
            out=into,
        )

    calls: Calls = {
        "imuspec": drawn("bilinear", out),
        "imuspec, fresh": drawn("bilinear", None),
        "imuspec, canvas": drawn("canvas", out),
    }
    cv2, pyfftw, signal = installed("cv2"), installed("pyfftw"), installed("scipy.signal")

    def by_scipy() -> NDArray[np.float32]:
        power = signal.spectrogram(x, window=hann, nperseg=nfft, noverlap=noverlap, detrend=False)[2]
        return _levels(10 * np.log10(power))

    if cv2 and pyfftw:
        frames = _frames(x, nfft, hop)
        source, half, plan = _planned(pyfftw, frames, nfft, threads)

        def fftw() -> object:
            np.multiply(frames, hann, out=source)
            plan.execute()
            power = half.real**2 + half.imag**2
            power[..., 1:-1] *= 2
            return _by_cv2(cv2, _levels(np.swapaxes(10 * np.log10(power), -1, -2)), dtype)

        calls["pyfftw + cv2"] = fftw
    if cv2 and signal:
        calls["scipy + cv2"] = lambda: _by_cv2(cv2, by_scipy(), dtype)
    if signal and (image := installed("PIL.Image")):
        calls["scipy + PIL"] = lambda: _by_pillow(image, by_scipy(), dtype)
    if (torch := installed("torch")) and (vision := installed("torchvision.transforms.functional")):
        torch.set_num_threads(threads)
        calls["torch + torchvision"] = _by_torchvision(torch, vision.resize, x, hann, hop, dtype)
    return calls


def _by_pillow(image: Any, levels: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    grid = (levels + 0.5).astype(np.uint8)
    pictures = [
        np.asarray(image.fromarray(g.transpose(1, 2, 0).copy()).resize((128, 96), image.Resampling.BILINEAR))
        for g in grid
    ]
    drawn = np.stack(pictures).transpose(0, 3, 1, 2)
    return drawn if dtype == "uint8" else np.asarray((drawn.astype(np.float32) / 255 - MEAN) / SD)


def _by_torchvision(
    torch: Any, resize: Any, x: NDArray[np.float32], hann: NDArray[np.float32], hop: int, dtype: str
) -> Callable[[], object]:
    signals, window = torch.from_numpy(x).reshape(-1, x.shape[-1]), torch.from_numpy(hann)
    mean, sd = torch.from_numpy(MEAN), torch.from_numpy(SD)

    def call() -> object:
        z = torch.stft(signals, len(hann), hop, window=window, center=False, return_complex=True)
        power = z.abs() ** 2
        power[:, 1:-1] *= 2
        db = 10 * torch.log10(power)
        low = db.amin((-2, -1), keepdim=True)
        db = ((db - low) / (db.amax((-2, -1), keepdim=True) - low)).flip(-2).reshape(*x.shape[:2], *db.shape[1:])
        if dtype == "uint8":
            return resize((db * 255 + 0.5).to(torch.uint8), [96, 128], antialias=False).numpy()
        return ((resize(db, [96, 128], antialias=False) - mean) / sd).numpy()

    return call


def same_picture(result: object, reference: object) -> None:
    """Raise where pictures differ by more than 4 levels on average (Pillow and the canvas smooth more)."""
    a, b = (np.asarray(v, np.float64) for v in (result, reference))
    scale = 1.0 if a.max() > 20 else 255 * 0.226
    worst = float(np.mean(np.abs(a - b)) * scale)
    if a.shape != b.shape or not worst <= 4:
        raise AssertionError(f"picture: expected the peer's within 4 levels on average, got {worst}")


def magnitude_calls(x: NDArray[np.float32], threads: int, nfft: int = 32) -> Calls:
    """Return calls for LMM features [..., nfft // 2 + 1] of patches [..., time]."""
    hop, length = nfft // 2, x.shape[-1]
    out = np.empty((*x.shape[:-1], nfft // 2 + 1), np.float32)
    flat, chunk = x.reshape(-1, length), 900
    hann = np.hanning(nfft + 1)[:-1].astype(np.float32)
    calls: Calls = {
        "imuspec": lambda: log_mean_magnitude(x, nfft=nfft),
        "imuspec, out reused": lambda: log_mean_magnitude(x, nfft=nfft, out=out),
    }
    if mkl_fft := installed("mkl_fft"):
        padded = np.zeros((chunk, length + nfft), np.float32)
        frames = _frames(padded, nfft, hop)

        def by_mkl() -> object:
            result = np.empty((len(flat), nfft // 2 + 1), np.float32)
            for first in range(0, len(flat), chunk):
                part = flat[first : first + chunk]
                padded[: len(part), nfft // 2 : -(nfft // 2)] = part
                z = mkl_fft.rfft(frames[: len(part)] * hann)
                mean = np.sqrt(z.real**2 + z.imag**2).mean(1)
                result[first : first + chunk] = np.log(np.maximum(mean, FLOOR))
            return result.reshape(out.shape)

        calls["mkl_fft in chunks"] = by_mkl
    if torch := installed("torch"):
        torch.set_num_threads(threads)
        window, signals = torch.hann_window(nfft), torch.from_numpy(flat)

        def features(part: Any) -> Any:
            z = torch.stft(part, nfft, hop, window=window, pad_mode="constant", return_complex=True)
            return z.abs().mean(-1).clamp(min=FLOOR).log()

        calls["torch.stft in chunks"] = lambda: (
            torch.cat([features(part) for part in signals.split(chunk)]).reshape(out.shape).numpy()
        )
        calls["torch.stft"] = lambda: features(signals).reshape(out.shape).numpy()
    return calls


def same_features(result: object, reference: object) -> None:
    """Raise where values differ by 1e-4 of the largest."""
    a, b = np.asarray(result, np.float64), np.asarray(reference, np.float64)
    worst = float(np.abs(a - b).max() / np.abs(b).max())
    if a.shape != b.shape or not worst < 1e-4:
        raise AssertionError(f"result: expected the peer's within 1e-4, got {worst}")
