"""`imuspec.spectrogram` against SciPy and matplotlib's mlab, on random, real-like and adversarial input."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec

signal = pytest.importorskip("scipy.signal")

SETTINGS: list[dict[str, Any]] = [
    {"nperseg": 32, "noverlap": 16},
    {"nperseg": 64, "noverlap": 60},
    {"nperseg": 128, "noverlap": 116},
    {"nperseg": 256, "noverlap": 254},
    {"nperseg": 16, "noverlap": 15, "nfft": 64},
    {"nperseg": 8, "noverlap": 3},
    {"nperseg": 33, "noverlap": 20},
    {"nperseg": 100, "nfft": 101, "window": "hamming"},
    {"nperseg": 50, "window": "blackman", "scaling": "spectrum"},
    {"nperseg": 64, "window": "boxcar", "detrend": "constant"},
    {"nperseg": 40, "nfft": 64, "detrend": "linear"},
    {"nperseg": 64, "mode": "complex"},
    {"nperseg": 64, "mode": "magnitude", "detrend": "constant"},
    {"nperseg": 64, "return_onesided": False},
    {"nperseg": 31, "return_onesided": False, "mode": "complex", "scaling": "spectrum"},
    {"window": np.hanning(48)},
    {},
]
SIGNALS: dict[str, NDArray[np.float64]] = {
    "random": np.random.default_rng(7).standard_normal((2, 3, 500)),
    "worn": np.array([[0.0], [0.0], [1.0]]) + 0.05 * np.random.default_rng(8).standard_normal((3, 500)).cumsum(-1) / 20,
    "constant": np.full((1, 400), 1.0),
    "zero": np.zeros((2, 300)),
    "spike": np.eye(1, 300, 137),
    "tiny": 1e-30 * np.random.default_rng(9).standard_normal(300),
    "huge": 1e30 * np.random.default_rng(10).standard_normal(300),
}


def theirs(x: NDArray[Any], fs: float, settings: dict[str, Any]) -> tuple[NDArray[Any], ...]:
    """SciPy's spectrogram with our defaults."""
    return signal.spectrogram(x, fs, **{"window": "hann", "detrend": False, **settings})


def assert_within_peak(s: NDArray[Any], want: NDArray[Any], tolerance: float) -> None:
    """Every value is within `tolerance` of the largest of its frame."""
    peak = np.abs(want).max(axis=-2, keepdims=True)
    assert np.all(np.abs(s - want) <= tolerance * peak), float(np.max(np.abs(s - want) / np.maximum(peak, 1e-300)))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ["random", "worn", "spike", "tiny", "huge", "zero"])
def test_float64_is_scipys_within_1e_13_of_each_frames_peak(name: str, settings: dict[str, Any]) -> None:
    x = SIGNALS[name]
    f, t, s = imuspec.spectrogram(x, 50.0, **settings)
    want_f, want_t, want = theirs(x, 50.0, settings)
    np.testing.assert_array_equal(f, want_f)
    np.testing.assert_array_equal(t, want_t)
    assert (s.shape, s.dtype) == (want.shape, want.dtype)
    if "detrend" in settings and name == "worn":
        # What is left of a frame is a thousandth of gravity, whose rounding is left with it on both sides.
        assert_within_peak(s, want, 1e-11)
    else:
        assert_within_peak(s, want, 1e-13)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", ["random", "worn", "spike", "zero"])
def test_float32_is_scipys_within_1e_6_of_each_frames_peak(name: str, settings: dict[str, Any]) -> None:
    x = SIGNALS[name].astype(np.float32)
    s = imuspec.spectrogram(x, 50.0, **settings)[2]
    want = theirs(x.astype(np.float64), 50.0, settings)[2]
    assert s.dtype == theirs(x, 50.0, settings)[2].dtype
    assert_within_peak(s, want, 1e-6)


def test_float32_keeps_scipys_limits_of_range() -> None:
    tiny, huge = SIGNALS["tiny"].astype(np.float32), SIGNALS["huge"].astype(np.float32)
    assert np.all(imuspec.spectrogram(tiny, nperseg=32)[2] == 0)
    assert np.all(imuspec.spectrogram(tiny, nperseg=32, db=True)[2] == -np.inf)
    assert np.all(imuspec.spectrogram(huge, nperseg=32)[2] == np.inf)
    assert np.all(imuspec.spectrogram(huge, nperseg=32, db=True)[2] == np.inf)


def test_a_constant_has_its_power_in_the_lowest_bins_alone() -> None:
    x = SIGNALS["constant"]
    s = imuspec.spectrogram(x, nperseg=64)[2]
    want = theirs(x, 1.0, {"nperseg": 64})[2]
    assert_within_peak(s, want, 1e-13)
    assert s[:, 2:].max() < 1e-25 * s.max()


@pytest.mark.parametrize("length", [63, 64, 65, 71, 72, 73])
def test_the_tail_follows_scipys_rule(length: int) -> None:
    x = SIGNALS["random"][..., :length]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        f, t, s = imuspec.spectrogram(x, nperseg=64, noverlap=56)
        want_f, want_t, want = theirs(x, 1.0, {"nperseg": 64, "noverlap": 56})
    np.testing.assert_array_equal(f, want_f)
    np.testing.assert_array_equal(t, want_t)
    assert s.shape == want.shape
    assert_within_peak(s, want, 1e-13)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float16", "bool"])
def test_other_types_become_what_scipy_makes_of_them(dtype: str) -> None:
    x = (10 * SIGNALS["random"][0]).astype(dtype)
    s = imuspec.spectrogram(x, nperseg=32)[2]
    want = theirs(x, 1.0, {"nperseg": 32})[2]
    assert s.dtype == want.dtype
    assert_within_peak(s, theirs(x.astype(np.float64), 1.0, {"nperseg": 32})[2], 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_decibels_are_ten_logarithms_of_scipys_power(dtype: str) -> None:
    x = SIGNALS["worn"].astype(dtype)
    power = theirs(x.astype(np.float64), 50.0, {"nperseg": 128, "noverlap": 116})[2]
    db = imuspec.spectrogram(x, 50.0, nperseg=128, noverlap=116, db=True)[2]
    want = 10 * np.log10(power)
    strong = power > power.max(axis=-2, keepdims=True) * 1e-6
    assert np.abs(db - want)[strong].max() < (2.6e-3 if dtype == "float32" else 1e-9)
    exact = imuspec.spectrogram(x, 50.0, nperseg=128, noverlap=116)[2].astype(np.float64)
    assert np.abs(db - 10 * np.log10(exact)).max() < (2e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(("nfft", "noverlap"), [(32, 24), (128, 116), (33, 30)])
def test_the_symmetric_window_gives_mlabs_specgram(nfft: int, noverlap: int) -> None:
    mlab = pytest.importorskip("matplotlib.mlab")
    x = SIGNALS["random"][0, 0]
    want, want_f, want_t = mlab.specgram(x, NFFT=nfft, Fs=50, noverlap=noverlap)
    f, t, s = imuspec.spectrogram(x, 50.0, nperseg=nfft, noverlap=noverlap, window="hann_symmetric")
    np.testing.assert_allclose(f, want_f, rtol=1e-14)
    np.testing.assert_allclose(t, want_t, rtol=1e-14)
    assert_within_peak(s, want, 1e-13)


def test_a_nan_makes_the_frames_that_hold_it_nan_and_no_other() -> None:
    x = SIGNALS["random"][0].astype(np.float32)
    x[1, 100] = np.nan
    s = imuspec.spectrogram(x, nperseg=32, noverlap=16, db=True)[2]
    held = (np.arange(30) * 16 <= 100) & (np.arange(30) * 16 + 32 > 100)
    assert np.isnan(s[1][:, held]).all()
    assert np.isfinite(s[1][:, ~held]).all()
    assert np.isfinite(s[[0, 2]]).all()
