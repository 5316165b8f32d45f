"""Pictures against their twin in NumPy, matplotlib, OpenCV, and float64 on recordings."""

from __future__ import annotations

import io
import lzma
import tarfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import image_twin as twin
import imuspec
from reference_data import DATA, needs_data

rng = np.random.default_rng(7)
NOISE = rng.standard_normal((3, 300))


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


def wisdm(step: int) -> NDArray[np.float64]:
    with np.load(io.BytesIO(lzma.open(DATA / "datasets/wisdm/wisdm_v1.1_windows128_20hz.npz.xz").read())) as stored:
        return stored["acc_cms2"][::step] / 100


def hapt() -> NDArray[np.float64]:
    with tarfile.open(DATA / "datasets/hapt/HAPT_acc.tar.xz") as archive:
        name = next(name for name in archive.getnames() if "acc_exp01" in name)
        x = np.loadtxt(archive.extractfile(name)).T
    n = x.shape[1] // 500
    return x[:, : n * 500].reshape(3, n, 500).transpose(1, 0, 2)[:20]


def daphnet() -> NDArray[np.float64]:
    with lzma.open(DATA / "datasets/daphnet/S03R02.txt.xz") as file:
        rows = np.loadtxt(file, max_rows=40_000)
    n = len(rows) // 500
    return rows[: n * 500, 1:4].T.reshape(3, n, 500).transpose(1, 0, 2)[::4] / 1000


def resampled(kind: str) -> NDArray[np.float64]:
    x = wisdm(400)
    if kind == "polyphase":
        return pytest.importorskip("scipy.signal").resample_poly(x, 5, 2, axis=-1)
    t = np.arange(320) * 0.4
    return np.stack([[np.interp(t, np.arange(128), axis) for axis in window] for window in x])


@needs_data
@pytest.mark.parametrize(
    "windows",
    [hapt, daphnet, lambda: resampled("linear"), lambda: resampled("polyphase")],
    ids=["hapt", "daphnet", "wisdm-linear", "wisdm-polyphase"],
)
def test_auto_is_within_a_level_of_float64_on_recordings(windows: Any) -> None:
    x = windows().astype(np.float32)
    for size in (None, (96, 128)):
        counts = np.zeros(256, int)
        for nfft, hop in [(n, h) for n in (32, 64, 128, 256) for h in (2, 16)]:
            settings: Any = {"nfft": nfft, "noverlap": nfft - hop, "size": size}
            got = imuspec.rgb_image(x, **settings)
            want = imuspec.rgb_image(x, precision="float64", **settings)
            counts += np.bincount(np.abs(got.astype(np.int16) - want).ravel(), minlength=256)
        assert counts[:2].sum() / counts.sum() >= 0.999
        assert counts[4:].sum() == 0
