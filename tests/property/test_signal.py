"""For all inputs: a batch is its series, threads do not matter, calibration undoes an error."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import imuspec
from imuspec import _core
from imuspec.signal import WindowMoments

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, n=st.integers(1, 9000), rows=st.integers(1, 9), order=st.integers(1, 9), cutoff=st.floats(0.5, 49))
def test_lowpass_of_a_batch_is_that_of_its_series_on_any_threads(
    seed: int, n: int, rows: int, order: int, cutoff: float
) -> None:
    x = np.random.default_rng(seed).normal(size=(rows, n)).astype(np.float32)
    alone = np.stack([imuspec.lowpass(row, sample_rate=100, cutoff=cutoff, order=order) for row in x])
    try:
        for threads in (1, 3):
            _core.set_threads(threads)
            batch = imuspec.lowpass(x, sample_rate=100, cutoff=cutoff, order=order)
            np.testing.assert_array_equal(batch, alone)
    finally:
        _core.set_threads(0)


@settings(deadline=None, max_examples=30)
@given(seed=seeds, n=st.integers(1, 3000), rows=st.integers(1, 20), rate=st.floats(1, 300))
def test_resampling_of_a_batch_is_that_of_its_series(seed: int, n: int, rows: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.choice([8_000_000, 10_000_000, 40_000_000, 1_500_000_000], n, p=[0.4, 0.5, 0.09, 0.01]))
    x = rng.normal(size=(rows, n)).astype(np.float32)
    for method in ("linear", "nearest"):
        batch, _ = imuspec.resample(x, time, rate=rate, method=method)  # type: ignore[arg-type]
        for row, alone in zip(x, batch, strict=True):
            values, _ = imuspec.resample(row, time, rate=rate, method=method)  # type: ignore[arg-type]
            np.testing.assert_array_equal(values, alone)
        finite = batch[np.isfinite(batch)]
        assert finite.size == 0 or (finite.min() >= x.min() and finite.max() <= x.max())


@settings(deadline=None, max_examples=30)
@given(
    seed=seeds,
    gain=st.tuples(*[st.floats(0.9, 1.1)] * 3),
    offset=st.tuples(*[st.floats(-0.1, 0.1)] * 3),
    slope=st.floats(-0.003, 0.003),
)
def test_calibration_undoes_a_gain_and_offset_error(
    seed: int, gain: tuple[float, ...], offset: tuple[float, ...], slope: float
) -> None:
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(300, 3))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    degrees = rng.uniform(20, 35, 300)
    start = np.arange(300) * 10**10
    for warm in (False, True):
        means = v * gain + offset + (slope * (degrees - 27))[:, None] * warm
        result = imuspec.calibrate(WindowMoments(start, means, np.zeros((300, 3)), None, degrees), temperature=warm)
        assert result.ok
        if result.n_iterations == 0:
            assert result.error_before_mg < 10
            continue
        calibrated = result.gain * means + result.offset
        if warm:
            calibrated = calibrated + np.outer(degrees - result.reference_temperature, result.temperature_slope)
        assert np.abs(calibrated - v).max() < 2e-3
        assert result.n_iterations < 500
