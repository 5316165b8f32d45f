"""Every instruction set that this processor has gives the same results: a lower one can be forced by a switch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imuspec
from imuspec import _core

PATHS = ["plain", "neon"] if _core.cpu_path() == "neon" else ["plain", "avx2", "avx512"]
AVAILABLE = PATHS[: PATHS.index(_core.cpu_path()) + 1]
WORK = """
import sys, numpy as np, imuspec
from imuspec import _core
x = np.load(sys.argv[1])
np.savez(
    sys.argv[2],
    path=_core.cpu_path(),
    db=imuspec.spectrogram(x, nperseg=64, noverlap=60, db=True)[2],
    odd=imuspec.spectrogram(x, nperseg=45, noverlap=30)[2],
    long=imuspec.spectrogram(x, nperseg=256, noverlap=254)[2],
    lmm=np.concatenate(imuspec.log_mean_magnitude(x, nfft=(16, 32, 64, 128)), -1),
    lmv=imuspec.log_magnitude_variance(x),
    **{f"{r}_{t}": imuspec.rgb_image(x, nfft=64, noverlap=60, resize=r, levels=t)
       for r in ("canvas", "antialias", "bilinear") for t in ("greys", "linear")},
    uneven=imuspec.rgb_image(x, nfft=100, noverlap=93, size=(41, 61), resize="bilinear"),
    grid=imuspec.rgb_image(x, nfft=128, noverlap=120, size=None),
    app=imuspec.rgb_image(x, preset="android"),
)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("paths")
    x = (1 + 0.1 * np.random.default_rng(0).standard_normal((9, 3, 500))).astype(np.float32)
    np.save(folder / "x.npy", x)
    result = {}
    for path in AVAILABLE:
        environment = {**os.environ, "IMUSPEC_CPU": path, "PYTHONPATH": str(Path(imuspec.__file__).parents[1])}
        arguments = [sys.executable, "-c", WORK, str(folder / "x.npy"), str(folder / f"{path}.npz")]
        subprocess.run(arguments, check=True, env=environment)
        with np.load(folder / f"{path}.npz") as stored:
            result[path] = dict(stored)
    return result


def test_the_switch_takes_the_path_that_it_names(results: dict[str, dict[str, np.ndarray]]) -> None:
    assert [str(result["path"]) for result in results.values()] == AVAILABLE


def test_all_paths_give_the_same_spectrograms_features_and_pictures(results: dict[str, dict[str, np.ndarray]]) -> None:
    first, *others = results.values()
    for other in others:
        for name, want in first.items():
            if name == "path":
                continue
            got = other[name]
            if want.dtype == np.uint8:
                difference = np.abs(got.astype(int) - want)
                assert difference.max() <= 1, name
                assert (difference > 0).mean() <= 2e-3, name
            elif name == "db":
                assert np.abs(got - want)[want > want.max() - 60].max() < 2.6e-3
            elif name in ("odd", "long"):
                assert np.abs(got - want).max() < 1e-6 * want.max(), name
            else:
                np.testing.assert_allclose(got, want, atol=2e-5, err_msg=name)
