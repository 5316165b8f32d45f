"""Command: doctor, which says what this installation has and tests the native kernels against their definitions."""

from __future__ import annotations

import importlib.metadata
import json as encoder
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from imuspec.cli.app import FAILED, app

__all__ = ["doctor"]

# extra -> the packages that it adds
EXTRAS = {
    "cluster": ("dask", "distributed", "dask-jobqueue", "s3fs", "universal-pathlib"),
    "train": ("torch", "torchvision", "timm", "lightning-fabric", "safetensors", "scikit-learn", "scipy", "pandas"),
    "report": ("matplotlib", "jinja2", "pandas"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
}
REQUIRED = ("numpy", "pydantic", "cyclopts", "rich", "zarr", "pyarrow")


@app.command
def doctor(*, json: bool = False) -> int:
    """Show versions, extras, processor, GPU and disk, and test the native kernels; exit code 1 if a kernel fails.

    Parameters
    ----------
    json
        Print JSON, for programs.
    """
    facts = {"system": _system(), "packages": _packages(), "extras": _extras(), "gpu": _gpu(), "kernels": _kernels()}
    failed = [name for name, result in facts["kernels"].items() if result != "ok"]
    if json:
        print(encoder.dumps(facts, indent=2))
        return FAILED if failed else 0
    for section, values in facts.items():
        print(section)
        for name, value in values.items():
            print(f"  {name:<22} {value}")
    print("all kernels agree with their definitions" if not failed else f"kernels that fail: {', '.join(failed)}")
    return FAILED if failed else 0


def _system() -> dict[str, str]:
    from imuspec import _core

    folder = Path(tempfile.gettempdir())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "imuspec": _core.__version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "instruction set": f"{_core.cpu_path()} on {platform.machine()} (IMUSPEC_CPU={os.environ.get('IMUSPEC_CPU', '')})",
        "threads": f"{_core.get_threads()} of {cores} cores (IMUSPEC_THREADS={os.environ.get('IMUSPEC_THREADS', '')})",
        "free disk, here": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB",
        f"free disk, {folder}": f"{shutil.disk_usage(folder).free / 1e9:.1f} GB",
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _packages() -> dict[str, str]:
    return {package: _version(package) or "missing" for package in REQUIRED}


def _extras() -> dict[str, str]:
    """What each extra still needs."""
    missing = {extra: [name for name in packages if not _version(name)] for extra, packages in EXTRAS.items()}
    return {
        extra: f"incomplete, without {', '.join(names)}: pip install 'imuspec[{extra}]'" if names else "installed"
        for extra, names in missing.items()
    }


def _gpu() -> dict[str, str]:
    if not _version("torch"):
        return {"torch": "missing"}
    import torch

    if not torch.cuda.is_available():
        return {"torch": f"{torch.__version__}, no CUDA device"}
    cards = {f"cuda:{i}": torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    return {"torch": f"{torch.__version__}, CUDA {torch.version.cuda}", **cards}


def _kernels() -> dict[str, str]:
    """Each kernel against a definition in NumPy on random windows: ok, or the difference."""
    return {name: _outcome(test) for name, test in _TESTS.items()}


def _outcome(test: Callable[[], Iterator[tuple[float, float]]]) -> str:
    try:
        for difference, tolerance in test():
            if not difference <= tolerance:
                return f"differs by {difference:.3g}, at most {tolerance:.3g} is allowed"
    except Exception as error:  # the reason is the answer
        return f"{type(error).__name__}: {error}"
    return "ok"


def _windows() -> Any:
    import numpy as np

    return np.random.default_rng(0).normal(0, 0.3, (16, 3, 500)).astype(np.float32)


def _power(x: Any, nfft: int, noverlap: int) -> Any:
    """Periodic-Hann periodograms, [..., frequency, frame], in float64 NumPy."""
    import numpy as np

    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(nfft) / nfft)
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), nfft, axis=-1)[..., :: nfft - noverlap, :]
    return (np.abs(np.fft.rfft(frames * hann)) ** 2).swapaxes(-1, -2)


def _spectrogram() -> Iterator[tuple[float, float]]:
    import numpy as np

    from imuspec.spectral.spectrogram import spectrogram

    x = _windows()
    for nfft, noverlap in ((32, 16), (64, 60), (128, 116), (100, 75)):
        want = _power(x, nfft, noverlap)
        got = spectrogram(x, nperseg=nfft, noverlap=noverlap, scaling="spectrum", mode="magnitude")[2]
        hann_sum = nfft / 2
        yield float(np.abs(got - np.sqrt(want) / hann_sum).max()), 1e-5


def _image() -> Iterator[tuple[float, float]]:
    import numpy as np

    from imuspec.spectral.image import rgb_image

    x = _windows()
    exact = rgb_image(x, precision="float64").astype(int)
    yield float(np.abs(rgb_image(x).astype(int) - exact).max()), 2.0


def _magnitude() -> Iterator[tuple[float, float]]:
    import numpy as np

    from imuspec.spectral.magnitude import log_mean_magnitude

    x = _windows()[..., :300]
    padded = np.pad(x, [(0, 0), (0, 0), (16, 16)])
    mean = np.sqrt(_power(padded, 32, 16)).mean(-1)
    yield float(np.abs(log_mean_magnitude(x, nfft=32) - np.log(np.maximum(mean, 0.1))).max()), 1e-4


def _lowpass() -> Iterator[tuple[float, float]]:
    import numpy as np

    from imuspec.signal import lowpass

    t = np.arange(3000) / 100
    slow, fast = (np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1.0, 35.0))
    got = lowpass(np.stack([slow, fast]), sample_rate=100, cutoff=15)[:, 200:-200]
    yield float(np.abs(got[0] - slow[200:-200]).max()), 1e-4
    yield float(np.abs(got[1]).max()), 1e-3


def _recording() -> Iterator[tuple[float, float]]:
    import numpy as np

    from imuspec.recording.reading import read
    from imuspec.simulation import simulate

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.cwa"
        simulate(path, days=0.01, seed=0)
        recording = read(path)
        yield abs(float(np.diff(recording.time).mean()) - 1e7), 2e5
        yield float(recording.quality.counts.get("bad_checksum", 0)), 0.0


_TESTS: dict[str, Callable[[], Iterator[tuple[float, float]]]] = {
    "spectrogram": _spectrogram,
    "RGB image": _image,
    "log mean magnitude": _magnitude,
    "low-pass": _lowpass,
    "reading a recording": _recording,
}
