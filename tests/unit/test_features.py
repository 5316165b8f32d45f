"""Statistics of a window: each against its definition, one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from imuspec.spectral.statistics import BANDS_HZ, CHANNELS, STATISTICS, window_features

RATE = 50.0
T = np.arange(256) / RATE


def of(x: np.ndarray, rate: float = RATE) -> dict[str, float]:
    values, names = window_features(x[None], rate)
    return dict(zip(names, values[0].tolist(), strict=True))


def test_there_are_78_of_them_each_with_a_name_and_a_description() -> None:
    values, names = window_features(np.random.default_rng(0).normal(size=(5, 3, 100)), RATE)
    assert values.shape == (5, 78)
    assert values.dtype == np.float32
    assert len(set(names)) == 78
    for name in names:
        assert name in STATISTICS or name.split("_", 1)[1] in STATISTICS


def test_levels_are_what_numpy_says() -> None:
    x = np.random.default_rng(1).gamma(2, size=(3, 256))
    got = of(x)
    for name, channel in zip(CHANNELS, [*x, np.linalg.norm(x, axis=0)], strict=True):
        assert got[f"{name}_mean"] == pytest.approx(channel.mean(), rel=1e-5)
        assert got[f"{name}_sd"] == pytest.approx(channel.std(), rel=1e-5)
        assert got[f"{name}_q05"] == pytest.approx(np.quantile(channel, 0.05), rel=1e-5)
        assert got[f"{name}_q95"] == pytest.approx(np.quantile(channel, 0.95), rel=1e-5)
        assert got[f"{name}_jerk"] == pytest.approx(np.abs(np.diff(channel)).mean() * RATE, rel=1e-5)
        assert got[f"{name}_min"] == pytest.approx(channel.min(), rel=1e-5)
        assert got[f"{name}_max"] == pytest.approx(channel.max(), rel=1e-5)
    assert got["xy_correlation"] == pytest.approx(np.corrcoef(x)[0, 1], abs=1e-6)
    assert got["yz_correlation"] == pytest.approx(np.corrcoef(x)[1, 2], abs=1e-6)


def test_a_tone_is_found_in_its_band_with_its_power() -> None:
    hz = 16 * RATE / 256  # 3.125 Hz, a bin
    got = of(np.stack([0.4 * np.sin(2 * np.pi * hz * T), 0 * T, 0 * T + 1]))
    assert got["x_peak_hz"] == pytest.approx(hz)
    assert got["x_band_2_3.5"] == pytest.approx(np.log10(0.4**2 / 2), abs=0.01)
    assert got["x_band_6_10"] == pytest.approx(-8, abs=0.1)
    assert got["x_entropy"] < 0.3


def test_bands_hold_the_variance_of_noise() -> None:
    x = np.random.default_rng(0).normal(0, 0.5, (400, 3, 256))
    values, names = window_features(x, RATE)
    share = sum(
        10.0 ** values[:, names.index(f"x_band_{low:g}_{high:g}")].astype(float) for low, high in BANDS_HZ
    ).mean()
    assert share == pytest.approx(0.25 * (20 - 0.3) / 25, rel=0.03)
    assert values[:, names.index("x_entropy")].mean() > 0.85


def test_a_rhythm_is_found_whatever_its_direction() -> None:
    beat = 1 + 0.3 * np.sin(2 * np.pi * 1.25 * T)  # every 0.8 s
    got = of(np.stack([0.6 * beat, 0 * T, 0.8 * beat]))
    assert got["norm_rhythm_s"] == pytest.approx(0.8, abs=0.03)
    assert got["norm_rhythm"] == pytest.approx(1 - 40 / 256, abs=0.03)
    assert got["xz_correlation"] == pytest.approx(1)


def test_a_change_of_posture_is_an_angle() -> None:
    x = np.zeros((3, 256))
    x[2, :128], x[0, 128:] = 1, 1
    assert of(x)["tilt_change"] == pytest.approx(np.pi / 2, abs=1e-5)


@pytest.mark.parametrize("x", [np.zeros((3, 64)), np.tile([[0.0], [0.6], [0.8]], 64)], ids=["zeros", "still"])
def test_a_sensor_that_does_not_move_gives_finite_numbers(x) -> None:
    got = of(x)
    assert np.isfinite(list(got.values())).all()
    assert got["norm_sd"] == pytest.approx(0, abs=1e-7)
    assert got["norm_peak_hz"] == got["norm_entropy"] == got["norm_rhythm"] == got["xy_correlation"] == 0


def test_a_batch_is_its_windows_one_by_one() -> None:
    x = np.random.default_rng(2).normal(size=(1030, 3, 40)).astype(np.float32)
    values, _ = window_features(x, 20.0)
    for row in (0, 1023, 1024, 1029):
        np.testing.assert_allclose(values[row], window_features(x[row : row + 1], 20.0)[0][0], rtol=1e-5, atol=1e-6)
    assert np.isfinite(values).all()
    assert window_features(x[:0], 20.0)[0].shape == (0, 78)


@pytest.mark.parametrize(
    ("x", "rate", "message"),
    [
        (np.zeros((2, 100)), 50, r"x: expected shape \[N, 3, time\] with 8 samples or more, got \[2, 100\]"),
        (np.zeros((2, 3, 7)), 50, r"got \[2, 3, 7\]"),
        (np.full((2, 3, 9), np.nan), 50, "x: expected finite samples, got NaN or infinity"),
        (np.zeros((2, 3, 9)), 0, "rate: expected a positive number of Hz, got 0"),
    ],
)
def test_bad_input_is_refused(x, rate, message) -> None:
    with pytest.raises(ValueError, match=message):
        window_features(x, rate)
