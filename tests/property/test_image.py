"""What holds for all windows: batch = loop, threads, strides and cuts do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imuspec
from imuspec import _core

X = np.random.default_rng(2).standard_normal((24, 3, 200)).astype(np.float32)
OPTIONS = st.fixed_dictionaries(
    {
        "nfft": st.sampled_from([16, 32, 45, 64, 128]),
        "noverlap": st.integers(0, 15),
        "levels": st.sampled_from(["greys", "linear"]),
        "norm": st.sampled_from(["axis-window", "joint-window", "fixed"]),
        "resize": st.sampled_from(["canvas", "antialias", "bilinear"]),
        "dtype": st.sampled_from(["uint8", "float32"]),
    }
)


@given(OPTIONS)
@settings(max_examples=25, deadline=None)
def test_a_batch_is_its_loop_and_threads_and_strides_do_not_show(options: dict[str, Any]) -> None:
    batch = imuspec.rgb_image(X, **options)
    loop = np.stack([imuspec.rgb_image(x, **options) for x in X])
    assert (batch == loop).all()
    interleaved = np.ascontiguousarray(X.transpose(0, 2, 1)).transpose(0, 2, 1)
    assert (batch == imuspec.rgb_image(interleaved, **options)).all()
    before = _core.get_threads()
    try:
        for n in (1, 3):
            _core.set_threads(n)
            assert (batch == imuspec.rgb_image(X, **options)).all()
    finally:
        _core.set_threads(before)


@pytest.mark.parametrize("hop", [8, 24, 13, 300])
@pytest.mark.parametrize("norm", ["axis-window", "joint-window"])
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_a_stream_is_the_batch_however_it_is_cut(hop: int, norm: Any, data: st.DataObject) -> None:
    x = X.transpose(1, 0, 2).reshape(3, -1)[:, :1200].astype(np.float64)
    cuts = sorted(data.draw(st.lists(st.integers(0, 1200), max_size=8)))
    options: Any = {"nfft": 64, "noverlap": 56, "norm": norm, "size": (20, 30)}
    stream = imuspec.ImageStream(window=200, hop=hop, **options)
    assert stream.aligned == (hop % 8 == 0)
    got = np.concatenate([stream.push(piece) for piece in np.split(x, cuts, axis=1)])
    windows = np.stack([x[:, i : i + 200] for i in range(0, 1001, hop)])
    assert (got == imuspec.rgb_image(windows, precision="float64", **options)).all()
