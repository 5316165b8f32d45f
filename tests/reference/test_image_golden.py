"""Pictures against the stored ones: 16 settings of a closed-form signal."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest

import imuspec
from reference_data import DATA, needs_data

pytestmark = needs_data
SETTINGS = [(nfft, nfft - hop) for nfft in (32, 64, 128, 256) for hop in (2, 4, 8, 16)]


def signal() -> np.ndarray:
    """Two tones, a chirp and a little arithmetic noise, 500 samples at 50 Hz."""
    n = np.arange(500)
    noise = ((7919 * n) % 1013) / 1013 - 0.5
    chirp = 0.2 * np.sin(2 * np.pi * n * (2 + n / 100) / 50)
    tones = np.sin(2 * np.pi * 1.9 * n / 50) + 0.4 * np.sin(2 * np.pi * 3.8 * n / 50 + 0.7)
    return tones + chirp + 0.01 * noise


def case(nfft: int, noverlap: int) -> dict[str, Any]:
    cases = json.loads((DATA / "reference" / "specgram_grid_golden.json").read_text())["cases"]
    return next(c for c in cases if (c["nfft"], c["noverlap"]) == (nfft, noverlap))


@pytest.mark.parametrize(("nfft", "noverlap"), SETTINGS)
def test_the_native_grid_is_the_stored_one_bit_for_bit(nfft: int, noverlap: int) -> None:
    golden = case(nfft, noverlap)
    grid = imuspec.rgb_image(signal(), nfft=nfft, noverlap=noverlap, size=None, precision="float64")
    assert grid.shape == (3, golden["bins"], golden["frames"])
    assert (grid == grid[0]).all()
    assert hashlib.sha256(grid[0].tobytes()).hexdigest() == golden["gray_sha256"]


@pytest.mark.parametrize("resize", ["canvas", "antialias"])
@pytest.mark.parametrize(("nfft", "noverlap"), SETTINGS)
def test_the_picture_is_pillows_within_a_level_in_a_thousandth(nfft: int, noverlap: int, resize: Any) -> None:
    with np.load(DATA / "reference" / "image_96x128_golden.npz") as stored:
        want = stored[f"{resize}_{nfft}_{noverlap}"]
    got = imuspec.rgb_image(signal(), nfft=nfft, noverlap=noverlap, resize=resize, precision="float64")[0]
    difference = np.abs(got.astype(int) - want)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


@pytest.mark.parametrize("gravity", [0.0, 1.0, 9.81])
def test_the_default_precision_is_within_a_level_in_all_but_a_thousandth(gravity: float) -> None:
    counts = np.zeros(256, int)
    for nfft, noverlap in SETTINGS:
        auto, exact = (
            imuspec.rgb_image(
                signal() + gravity, nfft=nfft, noverlap=noverlap, precision=precision, levels="linear", size=None
            )
            for precision in ("auto", "float64")
        )
        counts += np.bincount(np.abs(auto.astype(int) - exact).ravel(), minlength=256)
    assert counts[2:].sum() / counts.sum() <= 1e-3
    assert counts[4:].sum() == 0
