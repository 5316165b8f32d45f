"""Other pictures of a window against their definitions, and the choice of nfft."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import imuspec
from imuspec.spectral.encodings import ENCODINGS, gramian_angular_field, recurrence_plot, scalogram
from imuspec.spectral.frame_length import choose_nfft

X = np.random.default_rng(6).standard_normal((4, 3, 60))
T = np.arange(500)
OTHERS = [gramian_angular_field, recurrence_plot, scalogram]


def levels(u: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.floor(255 * u + 0.5)


def same(got: NDArray[np.uint8], want: NDArray[np.float64]) -> None:
    """Equal but for cells whose value lies on the border of two levels."""
    difference = np.abs(got - want)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-3


@pytest.mark.parametrize("kind", ["sum", "difference"])
def test_the_gramian_field_is_the_cosine_or_sine_of_angles(kind: Any) -> None:
    (x,) = X[0, :1]
    angle = [math.acos(2 * (v - x.min()) / (x.max() - x.min()) - 1) for v in x]
    field = [[math.cos(a + b) if kind == "sum" else math.sin(a - b) for b in angle] for a in angle]
    same(gramian_angular_field(x, kind=kind, size=None)[0], levels((np.array(field) + 1) / 2))


def test_a_smaller_field_is_that_of_the_means_of_stretches() -> None:
    x = X[0, 0].reshape(20, 3).mean(1)
    same(gramian_angular_field(X[0, 0], size=(20, 20))[0], gramian_angular_field(x, size=None)[0].astype(float))
    assert gramian_angular_field(X[0, 0], size=(7, 13)).shape == (3, 7, 13)


@pytest.mark.parametrize(("dimension", "delay"), [(1, 1), (2, 1), (3, 4)])
def test_the_recurrence_plot_is_the_distance_of_states(dimension: int, delay: int) -> None:
    x = X[0, 1]
    n = 60 - (dimension - 1) * delay
    states = [x[i : i + (dimension - 1) * delay + 1 : delay] for i in range(n)]
    d = np.array([[math.dist(a, b) for b in states] for a in states])
    got = recurrence_plot(x, dimension=dimension, delay=delay, size=None)[0]
    same(got, levels(1 - d / d.max()))
    assert (got.diagonal() == 255).all()
    near = recurrence_plot(x, dimension=dimension, delay=delay, size=None, threshold=0.2)[0]
    same(near, 255.0 * (d <= 0.2 * d.max()))


def test_a_smaller_recurrence_plot_is_pillows() -> None:
    image = pytest.importorskip("PIL.Image")
    x = X[0, 1]
    d = np.abs(x[:, None] - x)
    plot = image.fromarray((1 - d / d.max()).astype(np.float32))
    want = np.asarray(plot.resize((33, 24), image.Resampling.BILINEAR))
    same(recurrence_plot(x, size=(24, 33))[0], levels(want))


def test_the_scalogram_is_the_convolution_with_a_morlet_wavelet() -> None:
    x = X[0, 2]
    low, high, rows = 0.03, 0.25, 12
    frequencies = np.exp(np.linspace(math.log(high), math.log(low), rows))
    lags = np.arange(-400, 401)
    modulus = np.empty((rows, 60))
    for i, f in enumerate(frequencies):
        scale = 6 / (2 * math.pi * f)
        # the inverse transform of 2 exp(-(scale w - 6)^2 / 2), whose energy at negative frequencies is negligible
        wavelet = 2 / (scale * math.sqrt(2 * math.pi)) * np.exp(6j * lags / scale - lags**2 / (2 * scale**2))
        modulus[i] = np.abs(np.convolve(x - x.mean(), wavelet)[400:460])
    db = 20 * np.log10(modulus)
    want = levels(np.maximum(db - (db.max() - 40), 0) / 40)
    same(scalogram(x, frequencies=(low, high), floor_db=40, size=(rows, 60))[0], want)


def test_a_tone_lights_the_row_of_its_frequency_at_its_own_amplitude() -> None:
    t = np.arange(4000)
    frequencies = np.geomspace(0.4, 0.004, 96)
    for f in (0.04, 0.1, 0.2):
        x = np.sin(2 * np.pi * f * t) + 0.5 * np.sin(2 * np.pi * f / 4 * t)
        middle = scalogram(x, frequencies=(0.004, 0.4), size=None, floor_db=40)[0, :, 2000].astype(float)
        assert abs(math.log(frequencies[middle.argmax()] / f)) < 0.06
        lower = middle[np.abs(np.log(frequencies / (f / 4))).argmin()]
        assert middle.max() - lower == pytest.approx(255 * 6.02 / 40, abs=4)


@pytest.mark.parametrize("draw", OTHERS)
def test_every_encoding_takes_what_rgb_image_takes(draw: Any) -> None:
    batch = draw(X, size=(24, 32))
    assert (batch.shape, batch.dtype) == ((4, 3, 24, 32), np.uint8)
    np.testing.assert_array_equal(batch, np.stack([draw(x, size=(24, 32)) for x in X]))
    np.testing.assert_array_equal(draw(X.reshape(2, 6, 60), size=(24, 32)).reshape(batch.shape), batch)
    np.testing.assert_array_equal(draw(X[0, 0], size=(24, 32)), np.repeat(batch[0, :1], 3, 0))
    recording = X.swapaxes(0, 1).reshape(3, -1)
    views = imuspec.windows(recording, length=60)
    np.testing.assert_array_equal(draw(views, size=(24, 32)), batch)
    out = np.empty((4, 3, 24, 32), np.float32)
    assert draw(X, size=(24, 32), out=out) is out
    mean, sd = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    np.testing.assert_allclose(out, (batch / 255 - mean) / sd, atol=2e-6)
    assert draw(X[:0]).shape == (0, 3, 96, 128)


@pytest.mark.parametrize("draw", OTHERS)
def test_a_constant_axis_is_black_and_gain_and_offset_do_not_show(draw: Any) -> None:
    x = X[0].copy()
    x[1] = 9.81
    picture = draw(x)
    assert (picture[1] == 0).all()
    assert picture[0].max() > 150
    changed = draw(-3 + 1e-3 * x if draw is gramian_angular_field else 5 - 1e3 * x)
    assert np.abs(changed.astype(int) - picture).max() <= 1


@pytest.mark.parametrize("draw", OTHERS)
def test_nan_is_refused_by_window_and_axis_or_drawn_black(draw: Any) -> None:
    x = np.repeat(X, 2, 0)
    x = np.concatenate([x, x])
    x[10, 2, 30:33] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in window 10, axis 2"):
        draw(x)
    masked, whole = draw(x, nan="mask"), draw(np.nan_to_num(x))
    np.testing.assert_array_equal(masked[:10], whole[:10])
    np.testing.assert_array_equal(masked[10, :2], whole[10, :2])
    column = int(31.5 / 60 * 128)
    assert (masked[10, 2, :, column] == 0).all()
    assert masked[10, 2, :, 5].max() > 100
    x[10, 2] = np.nan
    assert (draw(x, nan="mask")[10, 2] == 0).all()


@pytest.mark.parametrize(
    ("draw", "options", "message"),
    [
        (gramian_angular_field, {"kind": "product"}, "kind: expected"),
        (gramian_angular_field, {"size": (0, 4)}, "size: expected"),
        (gramian_angular_field, {"nan": "skip"}, "nan: expected"),
        (recurrence_plot, {"dimension": 0}, "dimension, delay: expected"),
        (recurrence_plot, {"dimension": 7, "delay": 10}, "x: expected more than 60 samples"),
        (recurrence_plot, {"threshold": 1.5}, "threshold: expected"),
        (scalogram, {"frequencies": (0.3, 0.6)}, "frequencies: expected"),
        (scalogram, {"floor_db": 0}, "floor_db: expected"),
    ],
)
def test_an_argument_outside_its_domain_is_named(draw: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        draw(X, **options)


def test_every_encoding_says_which_operations_it_bears() -> None:
    assert {"translate_x", "permute_x", "hue", "jitter"} == ENCODINGS["spectrogram"].operations
    assert "translate_x" not in ENCODINGS["gramian"].operations
    for encoding in ENCODINGS.values():
        assert encoding.draw(np.tile(X, 3), size=(24, 32)).shape == (4, 3, 24, 32)


def test_close_tones_ask_for_long_frames_and_knocks_for_short_ones() -> None:
    tones, knocks = np.sin(0.5 * T) + np.sin(0.56 * T), (T % 125 == 60).astype(float)
    assert choose_nfft(tones) == 256
    assert choose_nfft(knocks) == 32
    chirp = np.sin(2 * np.pi * (0.02 * T + 0.0003 * T**2))
    assert 32 < choose_nfft(chirp, candidates=(16, 32, 64, 128, 256)) < 256
    both = np.stack([tones, knocks, 0 * tones])[:, None]
    assert choose_nfft(both + 9.81, per="window").tolist()[:2] == [256, 32]


def test_gravity_and_gain_do_not_change_the_choice_and_silence_has_no_say() -> None:
    tones = np.sin(0.5 * T) + np.sin(0.56 * T) + 0.01 * np.random.default_rng(6).standard_normal((5, 3, 500))
    assert choose_nfft(tones) == choose_nfft(1e-3 * tones + 1) == choose_nfft(tones.astype(np.float32) + 100)
    with_silence = np.concatenate([tones, np.ones((50, 3, 500)), np.full((1, 3, 500), np.nan)])
    assert choose_nfft(with_silence) == choose_nfft(tones) == 256
    chosen = choose_nfft(with_silence.reshape(7, 8, 3, 500), per="window")
    assert isinstance(chosen, np.ndarray)
    assert chosen.shape == (7, 8)
    assert choose_nfft(np.ones((4, 3, 100))) == 32


def test_the_entropy_is_that_of_the_power_by_its_definition() -> None:
    window = np.stack([np.sin(0.3 * T), np.sin(0.9 * T), 0.1 * np.cos(T)])
    x = window - window.mean(-1, keepdims=True)
    result = {}
    for nfft in (32, 64, 128, 256):
        frames = np.lib.stride_tricks.sliding_window_view(x, nfft, -1)[:, ::8] * np.hanning(nfft)
        power = np.abs(np.fft.rfft(frames)) ** 2
        power[..., 1:-1] *= 2
        p = power / power.sum()
        result[nfft] = -0.5 * math.log2((p**3).sum() / (8 / nfft) ** 2)
    assert choose_nfft(window, hop=8) == min(result, key=lambda n: result[n])


@pytest.mark.parametrize(
    "options", [{"candidates": ()}, {"candidates": (4,)}, {"hop": 0}, {"candidates": (1024,)}, {"per": "day"}]
)
def test_a_choice_that_cannot_be_made_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        choose_nfft(np.zeros((3, 500)), **options)
