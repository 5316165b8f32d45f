"""Filters and resamplers against SciPy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.signal

import imuspec
from imuspec import _core


@pytest.mark.parametrize("order", range(1, 13))
@pytest.mark.parametrize("cutoff", [0.01, 0.2, 0.5, 0.8, 0.97])
def test_the_design_equals_scipys_butter(order: int, cutoff: float) -> None:
    theirs = scipy.signal.butter(order, cutoff, output="sos")
    np.testing.assert_allclose(_core.butterworth_sos(2.0, cutoff, order), theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(40,), (3, 500), (3, 5000), (2, 3, 30_000), (1, 20_001)])
@pytest.mark.parametrize(("order", "cutoff"), [(8, 15), (3, 5), (5, 40), (1, 1), (8, 0.5), (2, 49)])
def test_lowpass_equals_sosfiltfilt(shape: tuple[int, ...], order: int, cutoff: float) -> None:
    x = (np.random.default_rng(order).normal(size=shape) + 1).astype(np.float32)
    sos = scipy.signal.butter(order, cutoff / 50, output="sos")
    theirs = scipy.signal.sosfiltfilt(sos, x.astype(float))
    ours = imuspec.lowpass(x, sample_rate=100, cutoff=cutoff, order=order)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("n", [1, 2, 20, 27])
def test_a_series_too_short_for_scipy_is_reflected_as_far_as_it_goes(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n).astype(np.float32)
    sos = scipy.signal.butter(8, 0.3, output="sos")
    theirs = scipy.signal.sosfiltfilt(sos, x.astype(float), padlen=n - 1)
    np.testing.assert_allclose(imuspec.lowpass(x, sample_rate=100, cutoff=15), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("sample_rate", "rate"), [(100, 30), (100, 25), (50, 100), (80, 30), (30, 30), (100, 12.5)])
def test_polyphase_equals_resample_poly(sample_rate: float, rate: float) -> None:
    x = (np.random.default_rng(0).normal(size=(2, 3, 777)) + 1).astype(np.float32)
    time = (np.arange(777) * (1e9 / sample_rate)).astype(np.int64)
    ratio = Fraction(rate / sample_rate).limit_denominator(1000)
    theirs = scipy.signal.resample_poly(x.astype(float), ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    ours, grid = imuspec.resample(x, time, rate=rate, method="polyphase", sample_rate=sample_rate)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.diff(grid), 1e9 / rate, rtol=0, atol=1)


def test_linear_equals_numpys_interp_where_there_is_no_gap() -> None:
    rng = np.random.default_rng(1)
    time = np.cumsum(rng.integers(8_000_000, 12_000_000, 5000))
    x = rng.normal(size=(3, 5000)).astype(np.float32)
    ours, grid = imuspec.resample(x, time, rate=30)
    theirs = [np.interp(grid, time, axis) for axis in x]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
