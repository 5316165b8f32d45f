"""For all signals and settings: batch = loop, any threads, strided = copied, Parseval."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import imuspec
from imuspec import _core


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, Any]]:
    """A batch and settings that fit it."""
    nperseg = draw(st.sampled_from([8, 9, 16, 32, 47, 64, 128]))
    keywords: dict[str, Any] = {
        "nperseg": nperseg,
        "noverlap": draw(st.integers(0, nperseg - 1)),
        "nfft": draw(st.sampled_from([nperseg, 128, 2 * nperseg + 1])),
        "detrend": draw(st.sampled_from([False, "constant", "linear"])),
        "mode": draw(st.sampled_from(["psd", "magnitude", "complex"])),
        "return_onesided": draw(st.booleans()),
    }
    keywords["db"] = keywords["mode"] == "psd" and draw(st.booleans())
    shape = (draw(st.integers(1, 5)), 3, draw(st.integers(nperseg, 400)))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    x = np.random.default_rng(draw(st.integers(0, 1000))).standard_normal(shape).astype(dtype)
    return x, keywords


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_batch_is_the_loop_over_its_signals_bit_for_bit(case: tuple[np.ndarray, dict[str, Any]]) -> None:
    x, keywords = case
    batch = imuspec.spectrogram(x, **keywords)[2]
    loop = [[imuspec.spectrogram(axis, **keywords)[2] for axis in window] for window in x]
    assert batch.tobytes() == np.array(loop).tobytes()


@settings(max_examples=40, deadline=None)
@given(cases())
def test_a_strided_view_gives_what_its_copy_gives_bit_for_bit(case: tuple[np.ndarray, dict[str, Any]]) -> None:
    x, keywords = case
    recording = np.concatenate(list(x), axis=-1)
    views = np.lib.stride_tricks.sliding_window_view(recording, x.shape[-1], axis=-1)[:, ::7].swapaxes(0, 1)[::-1]
    s = imuspec.spectrogram(views, **keywords)[2]
    assert s.tobytes() == imuspec.spectrogram(views.copy(), **keywords)[2].tobytes()
    backwards = x[..., ::-1]
    assert (
        imuspec.spectrogram(backwards, **keywords)[2].tobytes()
        == imuspec.spectrogram(backwards.copy(), **keywords)[2].tobytes()
    )


def test_any_number_of_threads_gives_the_same_bits() -> None:
    x = np.random.default_rng(1).standard_normal((400, 3, 500)).astype(np.float32)
    long = x[:, 0].reshape(-1)
    results = []
    try:
        for threads in (1, 2, 3, 8):
            _core.set_threads(threads)
            results.append([imuspec.spectrogram(v, nperseg=64, noverlap=56, db=True)[2].tobytes() for v in (x, long)])
    finally:
        _core.set_threads(0)
    assert results.count(results[0]) == len(results)


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 200), st.integers(0, 1000))
def test_the_power_of_a_frame_is_that_of_its_windowed_samples(nperseg: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal(nperseg)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(nperseg) / nperseg)
    f, _, s = imuspec.spectrogram(x, nperseg=nperseg)
    np.testing.assert_allclose(s.sum() * f[1], ((x * window) ** 2).sum() / (window**2).sum(), rtol=1e-12)
