"""Arguments of `imuspec.spectrogram`: what is refused, how, and what passes without a copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imuspec

X = np.random.default_rng(0).standard_normal((2, 3, 300)).astype(np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": "kaiser"}, "window: expected one of hann"),
        ({"window": np.ones((2, 32))}, "window: expected one axis"),
        ({"window": np.ones(32), "nperseg": 31}, "nperseg: expected the window's length 32, got 31"),
        ({"window": np.ones(301)}, "window: expected at most the signal's 300 samples, got 301"),
        ({"nperseg": 0}, "nperseg: expected 1 to 16777216, got 0"),
        ({"nperseg": 32, "noverlap": 32}, "noverlap: expected less than nperseg = 32, got 32"),
        ({"nperseg": 32, "noverlap": -1}, "noverlap: expected 0 to 16777216, got -1"),
        ({"nperseg": 32, "nfft": 31}, "nfft: expected 32 to 16777216, got 31"),
        ({"detrend": "cubic"}, "detrend: expected False | 'constant' | 'linear', got 'cubic'"),
        ({"scaling": "power"}, "scaling: expected 'density' | 'spectrum', got 'power'"),
        ({"mode": "angle"}, "mode: expected 'psd' | 'magnitude' | 'complex', got 'angle'"),
        ({"mode": "complex", "db": True}, "db: expected mode 'psd' with it, got 'complex'"),
        ({"fs": 0}, "fs: expected a positive number of Hz, got 0"),
    ],
)
def test_an_argument_outside_its_domain_is_named_with_what_was_expected(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match="^" + message.replace("|", r"\|").replace("(", r"\(")):
        imuspec.spectrogram(X, **{"nperseg": 32 if "window" not in arguments else None, **arguments})


def test_complex_and_non_numeric_signals_are_refused_by_type() -> None:
    with pytest.raises(TypeError, match="x: expected real numbers, got dtype complex64"):
        imuspec.spectrogram(X.astype(np.complex64))
    with pytest.raises(TypeError, match="x: expected real numbers"):
        imuspec.spectrogram(np.array(["a"]))


def test_a_scalar_and_an_empty_signal_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x: expected an array \[..., time\], got a single number"):
        imuspec.spectrogram(1.0)
    with pytest.raises(ValueError, match="x: expected at least one sample, got none"):
        imuspec.spectrogram(np.empty((3, 0)))


def test_out_is_filled_and_returned() -> None:
    fresh = imuspec.spectrogram(X, nperseg=32)[2]
    out = np.full_like(fresh, np.nan)
    assert imuspec.spectrogram(X, nperseg=32, out=out)[2] is out
    np.testing.assert_array_equal(out, fresh)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((2, 3, 17, 9), np.float32), r"out: expected shape \(2, 3, 17, 10\), got \(2, 3, 17, 9\)"),
        (np.empty((2, 3, 17, 10)), "out: expected dtype float32, got float64"),
        (np.empty((2, 3, 10, 17), np.float32).swapaxes(-1, -2), "out: expected writeable C-contiguous aligned memory"),
    ],
)
def test_out_of_another_shape_type_or_layout_is_refused(out: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imuspec.spectrogram(X, nperseg=32, out=out)


def test_out_may_not_be_the_signal_itself() -> None:
    x = np.zeros((1, 1), np.float32)
    with pytest.raises(ValueError, match="out:"):
        imuspec.spectrogram(x[0], window=np.ones(1), out=x)


def test_returned_axes_are_the_callers_own() -> None:
    f, t, _ = imuspec.spectrogram(X, nperseg=32)
    f[:] = t[:] = -1
    again_f, again_t, _ = imuspec.spectrogram(X, nperseg=32)
    assert again_f[1] > 0
    assert again_t[0] > 0


def test_an_empty_batch_keeps_its_shape() -> None:
    assert imuspec.spectrogram(X[:0], nperseg=32)[2].shape == (0, 3, 17, 10)


def test_a_short_signal_warns_every_time() -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match="nperseg = 256 is greater than the signal's length, using nperseg = 100"):
            imuspec.spectrogram(X[..., :100])


def test_the_symmetric_hann_window_is_numpys() -> None:
    by_name = imuspec.spectrogram(X, nperseg=31, window="hann_symmetric")[2]
    np.testing.assert_allclose(by_name, imuspec.spectrogram(X, window=np.hanning(31))[2], rtol=1e-6)


def test_an_unknown_instruction_set_is_refused_with_those_of_this_cpu() -> None:
    environment = {"IMUSPEC_CPU": "sse9", "PYTHONPATH": str(Path(imuspec.__file__).parents[1])}
    command = [sys.executable, "-c", "import imuspec"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError: IMUSPEC_CPU: expected one that this CPU has of plain" in done.stderr
    assert 'got "sse9"' in done.stderr


def test_a_lower_instruction_set_can_be_forced_and_gives_the_same_spectrogram(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, imuspec; from imuspec import _core; assert _core.cpu_path() == 'plain';"
        "np.save(sys.argv[2], imuspec.spectrogram(np.load(sys.argv[1]), nperseg=64, noverlap=60)[2])"
    )
    location = [str(tmp_path / "x.npy"), str(tmp_path / "s.npy")]
    environment = {"IMUSPEC_CPU": "plain", "PYTHONPATH": str(Path(imuspec.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code, *location], check=True, env=environment)
    s = imuspec.spectrogram(X, nperseg=64, noverlap=60)[2]
    assert np.abs(np.load(location[1]) - s).max() < 1e-6 * s.max()


@pytest.mark.parametrize("nfft", [2**63, 2**40, 10**11])
def test_a_transform_beyond_all_memory_is_refused_by_name(nfft: int) -> None:
    for call in (
        lambda: imuspec.spectrogram(X, nperseg=nfft),
        lambda: imuspec.spectrogram(X, nperseg=64, nfft=nfft),
        lambda: imuspec.rgb_image(np.zeros((3, 500), np.float32), nfft=nfft),
        lambda: imuspec.log_mean_magnitude(X, nfft=nfft),
        lambda: imuspec.log_magnitude_variance(X, nfft=nfft),
    ):
        with pytest.raises(ValueError, match=r"^(nfft|nperseg): expected"):
            call()


def test_numbers_in_arrays_count_as_numbers() -> None:
    plain = imuspec.spectrogram(X, 50.0, nperseg=64, noverlap=60)[2]
    np.testing.assert_array_equal(
        imuspec.spectrogram(X, np.array(50.0), nperseg=np.int64(64), noverlap=np.int16(60))[2], plain
    )
    with pytest.raises(TypeError, match="nperseg: expected a whole number"):
        imuspec.spectrogram(X, nperseg=[64])
