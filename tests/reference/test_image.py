"""Pictures against their twin in NumPy, matplotlib, OpenCV, and float64 on recordings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import image_twin as twin
import imuspec
import recorded_windows
from reference_data import needs_data

NOISE = np.random.default_rng(7).standard_normal((3, 300))


@pytest.mark.parametrize("levels", ["greys", "linear"])
@pytest.mark.parametrize(
    ("nfft", "noverlap"), [(32, 24), (64, 60), (128, 116), (256, 240), (33, 20), (8, 0), (100, 93)]
)
def test_the_grid_is_the_twins(nfft: int, noverlap: int, levels: Any) -> None:
    for precision, share in (("float64", 1e-3), ("auto", 5e-3)):
        got = imuspec.rgb_image(NOISE, nfft=nfft, noverlap=noverlap, levels=levels, size=None, precision=precision)
        want = np.stack([twin.grid(axis, nfft, noverlap, levels) for axis in NOISE])
        difference = np.abs(got.astype(int) - want)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= share


@pytest.mark.parametrize("resize", ["canvas", "bilinear"])
@pytest.mark.parametrize(("nfft", "noverlap"), [(32, 30), (64, 56), (128, 112), (256, 254)])
def test_the_picture_is_the_twins(nfft: int, noverlap: int, resize: Any) -> None:
    got = imuspec.rgb_image(NOISE, nfft=nfft, noverlap=noverlap, resize=resize, precision="float64")
    difference = np.abs(got.astype(int) - twin.picture(NOISE, nfft, noverlap, resize=resize))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 2e-3


@pytest.mark.parametrize(("nfft", "noverlap"), [(32, 16), (128, 120)])
def test_decibels_are_matplotlibs_specgram(nfft: int, noverlap: int) -> None:
    mlab = pytest.importorskip("matplotlib.mlab")
    power, _, _ = mlab.specgram(NOISE[0], NFFT=nfft, Fs=1.0, noverlap=noverlap)
    db = 10 * np.log10(power)
    u = (db - db.min()) / (db.max() - db.min())
    want = twin.GREYS[np.minimum(np.floor(256 * u), 255).astype(int)][::-1]
    got = imuspec.rgb_image(NOISE[0], nfft=nfft, noverlap=noverlap, size=None, precision="float64")[0]
    assert (got != want).mean() <= 1e-3


@pytest.mark.parametrize("size", [(96, 128), (224, 224), (40, 61)])
@pytest.mark.parametrize(("nfft", "noverlap"), [(64, 60), (128, 116), (256, 254)])
def test_bilinear_is_opencvs_within_a_level(nfft: int, noverlap: int, size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    grid = imuspec.rgb_image(NOISE, nfft=nfft, noverlap=noverlap, size=None)
    got = imuspec.rgb_image(NOISE, nfft=nfft, noverlap=noverlap, size=size, resize="bilinear")
    want = [cv2.resize(channel, size[::-1], interpolation=cv2.INTER_LINEAR) for channel in grid]
    assert np.abs(got.astype(int) - want).max() <= 1


def test_the_tensor_is_the_picture_normalised() -> None:
    picture = imuspec.rgb_image(NOISE)
    mean, sd = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    np.testing.assert_allclose(imuspec.rgb_image(NOISE, dtype="float32"), (picture / 255 - mean) / sd, atol=2e-6)


@pytest.mark.parametrize("rest", [-0.454, 0.1, 1.0])
@pytest.mark.parametrize(("nfft", "noverlap"), [(32, 28), (64, 48), (128, 120), (256, 254)])
def test_an_axis_at_rest_is_the_definitions(rest: float, nfft: int, noverlap: int) -> None:
    """Sums of a constant come out as zero or as noise by their order, and the picture hangs on its weakest cell."""
    x = np.full((3, 500), rest, np.float32)
    x[1, 100:] += 0.2 * np.random.default_rng(7).standard_normal(400)
    x[2, 250] += 0.02
    settings: Any = {"nfft": nfft, "noverlap": noverlap, "size": None}
    difference = np.abs(
        imuspec.rgb_image(x, **settings) - imuspec.rgb_image(x, precision="float64", **settings).astype(int)
    )
    assert difference.max() <= 1


@needs_data
@pytest.mark.parametrize("name", list(recorded_windows.SETS))
def test_auto_is_within_a_level_of_float64_on_recordings(name: str) -> None:
    x = recorded_windows.SETS[name](every=12)
    for size in (None, (96, 128)):
        counts = recorded_windows.differences(x, [(n, h) for n in (32, 64, 128, 256) for h in (2, 16)], size=size)
        assert counts.sum() > 1e6
        assert counts[:2].sum() / counts.sum() >= 0.999
        assert counts[4:].sum() == 0


@needs_data
def test_the_page_of_pictures_states_a_distribution_that_holds() -> None:
    page = (Path(__file__).parents[2] / "docs" / "results" / "precision.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w ,-]+) \| ([\d,]+) \| .* \| ([\d.]+) % \| (\d) \|$", page, re.MULTILINE)
    assert {name for name, *_ in rows} == set(recorded_windows.SETS)
    assert all(float(share) >= 99.9 and int(worst) <= 3 for *_, share, worst in rows)
