"""`rgb_image` and `ImageStream` keep their contract."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest

import imuspec
from imuspec.spectral.image import training_range
from imuspec.spectral.settings import ImageOptions, ImageSettings

X = np.random.default_rng(1).standard_normal((4, 3, 300)).astype(np.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nfft": 7, "noverlap": 0}, "nfft: expected 8 to 16777216, got 7"),
        ({"nfft": 64, "noverlap": 64}, "noverlap: expected 0 to 63, got 64"),
        ({"noverlap": -1}, "noverlap: expected 0 to 127, got -1"),
        ({"levels": "grays"}, "levels: expected one of"),
        ({"norm": "none"}, "norm: expected one of"),
        ({"resize": "cubic"}, "resize: expected one of"),
        ({"precision": "half"}, "precision: expected one of"),
        ({"size": (0, 128)}, "size: expected"),
        ({"floor_db": -3.0}, "floor_db: expected a positive"),
        ({"floor_db": 80.0, "norm": "fixed"}, "floor_db: expected None"),
        ({"norm": "dataset"}, "range_db: expected"),
        ({"norm": "fixed", "range_db": (3.0, -3.0)}, "range_db: expected"),
        ({"range_db": (-60.0, 40.0)}, "range_db: expected None"),
        ({"preset": "ios"}, "preset: expected"),
        ({"preset": "android", "levels": "linear"}, "preset: expected levels"),
        ({"nan": "zero"}, "nan: expected"),
        ({"out": np.empty((3, 3, 96, 128), np.uint8)}, "out: expected shape"),
        ({"out": np.empty((4, 3, 96, 256), np.uint8)[..., ::2]}, "out: expected writeable C-contiguous aligned memory"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imuspec.rgb_image(X, **options)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((2, 300)), ValueError, "1 axis, or triads of axes, got 2"),
        (np.zeros((5, 4, 300)), ValueError, "got 4 axes"),
        (np.float64(3), ValueError, "got a single number"),
        (np.zeros((3, 0)), ValueError, "empty time axis"),
        (np.zeros((3, 300), complex), TypeError, "real numbers"),
    ],
)
def test_a_wrong_array_is_refused(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        imuspec.rgb_image(x)


def test_a_wrong_pixel_type_is_refused() -> None:
    with pytest.raises(TypeError, match="dtype: expected uint8 or float32, got int16"):
        imuspec.rgb_image(X, dtype="int16")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", ["auto", "float64", "float32"])
def test_nan_is_refused_with_its_window_and_axis(value: float, precision: Any) -> None:
    x = X.copy()
    x[2, 1, 250] = value
    with pytest.raises(ValueError, match="NaN or infinity in window 2, axis 1"):
        imuspec.rgb_image(x, precision=precision)


def test_masked_frames_are_black_and_the_others_unchanged() -> None:
    x = X.copy()
    x[2, 1, 299] = np.nan
    settings: Any = {"nfft": 64, "noverlap": 44, "size": None}
    got = imuspec.rgb_image(x, nan="mask", **settings)
    assert (got[2, 1, :, :-1] > 0).any()
    whole = imuspec.rgb_image(X, precision="float64", **settings)
    assert (got[[0, 1, 3]] == imuspec.rgb_image(X[[0, 1, 3]], **settings)).all()
    assert (got[2, [0, 2]] == whole[2, [0, 2]]).all()
    x[2, 1] = np.nan
    assert (imuspec.rgb_image(x, nan="mask", **settings)[2, 1] == 0).all()


def test_a_short_window_is_one_column_and_warns() -> None:
    with pytest.warns(UserWarning, match="100 samples are fewer than nfft = 128"):
        picture = imuspec.rgb_image(X[:, :, :100], size=None)
    assert picture.shape == (4, 3, 65, 1)


def test_one_axis_is_copied_and_triads_are_pictures() -> None:
    one = imuspec.rgb_image(X[0, :1])
    assert (one == one[0]).all()
    assert (one == imuspec.rgb_image(X[0, 0])).all()
    assert (one[0] == imuspec.rgb_image(X[0])[0]).all()
    six = X.reshape(2, 6, 300)
    pictures = imuspec.rgb_image(six)
    assert pictures.shape == (2, 2, 3, 96, 128)
    assert (pictures.reshape(4, 3, 96, 128) == imuspec.rgb_image(X)).all()


def test_leading_axes_are_kept_and_an_empty_batch_is_empty() -> None:
    assert imuspec.rgb_image(X.reshape(2, 2, 3, 300)).shape == (2, 2, 3, 96, 128)
    assert imuspec.rgb_image(X[:0]).shape == (0, 3, 96, 128)
    assert imuspec.rgb_image(X[0]).shape == (3, 96, 128)


def test_integers_and_lists_are_taken() -> None:
    x = (X * 1000).astype(np.int16)
    assert (imuspec.rgb_image(x) == imuspec.rgb_image(x.astype(np.float32))).all()
    assert (imuspec.rgb_image(x[0].tolist()) == imuspec.rgb_image(x[0].astype(np.float64))).all()


def test_out_is_filled_and_returned() -> None:
    for dtype in (np.uint8, np.float32):
        out = np.empty((4, 3, 96, 128), dtype)
        assert imuspec.rgb_image(X, out=out) is out
        assert (out == imuspec.rgb_image(X, dtype=np.dtype(dtype).name)).all()  # type: ignore[arg-type]


def test_axis_gain_does_not_show_but_joint_and_fixed_norms_do() -> None:
    scaled = X * np.array([1, 0.5, 4], np.float32)[:, None]
    assert (imuspec.rgb_image(X, precision="float64") == imuspec.rgb_image(scaled, precision="float64")).mean() > 0.999
    for norm in ("joint-window", "fixed"):
        a, b = (imuspec.rgb_image(x, norm=norm).mean((0, 2, 3)) for x in (X, scaled))
        assert b[2] > a[2] > b[1]
    fixed = imuspec.rgb_image(X, norm="fixed")
    assert (fixed == imuspec.rgb_image(X, norm="dataset", range_db=(-60.0, 40.0))).all()


@pytest.mark.parametrize(("nfft", "noverlap"), [(64, 48), (33, 20)])
def test_the_range_of_a_training_set_is_that_of_its_cells(nfft: int, noverlap: int) -> None:
    x = np.random.default_rng(3).normal(size=(40, 3, 200)) * np.geomspace(0.1, 3, 40)[:, None, None]
    low, high = training_range(x, nfft=nfft, noverlap=noverlap)
    frames = np.lib.stride_tricks.sliding_window_view(x, nfft, axis=-1)[..., :: nfft - noverlap, :]
    power = np.abs(np.fft.rfft(frames * np.hanning(nfft))) ** 2
    power[..., 1 : (nfft + 1) // 2] *= 2
    np.testing.assert_allclose((low, high), np.percentile(10 * np.log10(power), [1, 99]), atol=1e-8)
    drawn = imuspec.rgb_image(x, nfft=nfft, noverlap=noverlap, norm="dataset", range_db=(low, high), size=None)
    assert (drawn == 0).mean() == pytest.approx(0.01, abs=0.005)
    assert (drawn == 255).mean() == pytest.approx(0.01, abs=0.005)
    louder = training_range(10 * x, nfft=nfft, noverlap=noverlap)
    np.testing.assert_allclose(louder, (low + 20, high + 20), atol=1e-8)


@pytest.mark.parametrize(
    ("x", "percentiles", "message"),
    [
        (X[0], (1, 99), "training windows"),
        (X[:0], (1, 99), "training windows"),
        (X, (99, 1), "percentiles: expected"),
        (np.zeros((2, 3, 200)), (1, 99), "without power"),
    ],
)
def test_a_range_of_nothing_is_an_error(x: Any, percentiles: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_range(x, nfft=64, noverlap=48, percentiles=percentiles)


@pytest.mark.parametrize("norm", ["axis-window", "joint-window", "fixed"])
def test_every_norm_is_the_same_in_both_precisions(norm: Any) -> None:
    a, b = (imuspec.rgb_image(X, norm=norm, size=None, precision=p).astype(int) for p in ("auto", "float64"))
    assert np.abs(a - b).max() <= 1
    assert (a != b).mean() < 5e-3


def test_a_floor_lifts_the_weakest_cells() -> None:
    x = X + 30 * np.sin(np.arange(300) * 0.7).astype(np.float32)
    free, floored = (imuspec.rgb_image(x, floor_db=floor, size=None, levels="linear") for floor in (None, 20.0))
    assert (floored == 0).mean() > 0.5 > (free == 0).mean()
    assert (floored.max((2, 3)) == 255).all()


def test_adversarial_windows_agree_with_the_definition() -> None:
    spike = np.zeros(300)
    spike[150] = 1
    step = np.repeat([1.0, 1e-7], 150)
    cases = [
        np.zeros(300),
        np.ones(300),
        9.81 + 0 * spike,
        spike,
        step,
        1e-30 * X[0, 0],
        1e30 * X[0, 0],
        1e-42 * X[0, 0],
    ]
    for case in cases:
        for dtype in (np.float32, np.float64):
            x = case.astype(dtype)
            a, b = (
                imuspec.rgb_image(x, nfft=64, noverlap=56, size=None, precision=p).astype(int)
                for p in ("auto", "float64")
            )
            assert np.abs(a - b).max() <= 3
            assert (np.abs(a - b) > 1).mean() <= 1e-3
    assert (imuspec.rgb_image(np.zeros((3, 300))) == 0).all()
    assert imuspec.rgb_image(1e200 * X[0, 0].astype(np.float64), size=None).max() == 255


@pytest.mark.parametrize("norm", ["axis-window", "joint-window"])
@pytest.mark.parametrize("constant", [0, 1, "random"])
def test_a_floor_does_not_let_the_noise_of_cancelled_cells_set_the_range(norm: Any, constant: float | str) -> None:
    # Equal spikes cancel to exactly no power in some cells; float32 leaves rounding noise there.
    rng = np.random.default_rng(0)
    n = 3000
    level = rng.normal(size=(n, 1, 1)) if constant == "random" else np.full((n, 1, 1), float(constant))
    x = (level + (rng.random((n, 3, 220)) < 0.01)).astype(np.float32)
    auto, exact = (
        imuspec.rgb_image(x, norm=norm, nfft=128, noverlap=112, size=None, floor_db=80, precision=p).astype(int)
        for p in ("auto", "float64")
    )
    assert np.abs(auto - exact).max() <= 2


def test_the_apps_picture_has_a_black_top_row_and_no_bin_zero() -> None:
    app = imuspec.rgb_image(X[0], preset="android", size=None)
    linear = imuspec.rgb_image(X[0], levels="linear", size=None)
    assert (app[:, 0] == 0).all()
    assert app.max() <= 252
    assert np.abs(app[:, 1:].astype(float) - 0.99 * linear[:, :-1]).mean() < 20
    assert imuspec.rgb_image(X[0], preset="android").shape == (3, 96, 128)


def test_a_stream_refuses_what_it_cannot_draw() -> None:
    for options in ({"hop": 0}, {"window": 100}, {"n_axes": 2}, {"nfft": 4}):
        with pytest.raises(ValueError, match="expected"):
            imuspec.ImageStream(**options)  # type: ignore[arg-type]
    stream = imuspec.ImageStream(window=300)
    with pytest.raises(ValueError, match=r"expected \[3, samples\]"):
        stream.push(np.zeros((2, 10)))
    with pytest.raises(ValueError, match="NaN or infinity in axis 1"):
        stream.push(np.array([[0.0], [np.nan], [0.0]]))
    assert stream.push(X[0]).shape == (1, 3, 96, 128)


def test_the_overlap_follows_the_frame_length() -> None:
    x = np.random.default_rng(3).normal(size=(3, 500)).astype(np.float32)
    np.testing.assert_array_equal(imuspec.rgb_image(x), imuspec.rgb_image(x, nfft=128, noverlap=120))
    np.testing.assert_array_equal(imuspec.rgb_image(x, nfft=64), imuspec.rgb_image(x, nfft=64, noverlap=60))


def test_settings_are_the_keywords_made_once() -> None:
    settings = ImageSettings(nfft=64, norm="joint-window", size=(20, 30))
    ours = imuspec.rgb_image(X, settings, levels="linear")
    np.testing.assert_array_equal(
        ours, imuspec.rgb_image(X, nfft=64, norm="joint-window", size=(20, 30), levels="linear")
    )
    stream = imuspec.ImageStream(3, settings, window=300, levels="linear")
    exact = imuspec.rgb_image(X[:1], settings, levels="linear", precision="float64")
    np.testing.assert_array_equal(stream.push(X[0]), exact)


def test_the_fields_of_the_settings_are_the_keywords_of_every_call() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(ImageSettings)}
    assert list(ImageOptions.__annotations__) == list(fields)
    for call in (imuspec.rgb_image, imuspec.ImageStream.__init__):
        shown = inspect.signature(call).parameters
        assert {name: shown[name].default for name in fields} == fields
        assert "options" not in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nfft": 7}, "nfft: expected 8"),
        ({"noverlap": 128}, "noverlap: expected 0 to 127, got 128"),
        ({"levels": "grays"}, "levels: expected one of 'greys', 'linear', got 'grays'"),
        ({"nan": "drop"}, "nan: expected one of"),
        ({"preset": "ios"}, "preset: expected one of 'android'"),
        ({"preset": "android", "resize": "bilinear"}, "preset: expected levels, norm and resize left alone"),
        ({"norm": "dataset"}, "range_db: expected the data set's"),
        ({"norm": "joint-window", "range_db": (0, 1)}, 'range_db: expected None with norm="joint-window", got'),
        ({"norm": "fixed", "floor_db": 80.0}, 'floor_db: expected None with norm="fixed"'),
        ({"norm": "fixed", "range_db": (1, 1)}, "range_db: expected .low, high. with low < high"),
        ({"floor_db": -1.0}, "floor_db: expected a positive number"),
        ({"size": (0, 5)}, "size: expected 1 to"),
        ({"size": (5,)}, "size: expected .rows, columns."),
    ],
)
def test_settings_that_no_picture_has_are_refused_when_they_are_made(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageSettings(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "joint-window"},
        {"norm": "fixed"},
        {"norm": "fixed", "range_db": (-40, 10)},
        {"norm": "dataset", "range_db": (-50, 20)},
    ],
)
def test_the_module_draws_every_norm(options: Any) -> None:
    torch, nn = pytest.importorskip("torch"), pytest.importorskip("imuspec.nn")
    x = np.asarray(X, np.float32)
    drawn = nn.RGBImage(dtype="uint8", nfft=64, **options)(torch.from_numpy(x)).numpy().astype(int)
    gap = np.abs(drawn - imuspec.rgb_image(x, nfft=64, **options))
    assert gap.max() <= 2
    assert (gap > 0).mean() < 0.01
    axis = np.abs(drawn - imuspec.rgb_image(x, nfft=64))
    assert (axis > 2).mean() > 0.1


def test_the_module_refuses_the_settings_that_it_does_not_have() -> None:
    nn = pytest.importorskip("imuspec.nn")
    with pytest.raises(ValueError, match="floor_db: expected None, as RGBImage supports no other, got 80"):
        nn.RGBImage(floor_db=80.0)
    with pytest.raises(ValueError, match="levels: expected one of"):
        nn.RGBImage(levels="grays")
    assert nn.RGBImage(ImageSettings(nfft=64, size=None)).transform.hop == 4
