"""Every kernel gives the bits of a contiguous native copy, however its input lies in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

import imuspec
from imuspec.signal import window_statistics
from imuspec.spectral.encodings import gramian_angular_field
from imuspec.spectral.frame_length import choose_nfft
from imuspec.spectral.statistics import window_features

Array = NDArray[Any]
TIMES = np.arange(200, dtype=np.int64) * 10**7


WARMTH = np.linspace(20.0, 30.0, 200)
FOUND = imuspec.Calibration(np.array([0.1, -0.2, 0.0]), np.array([1.1, 0.9, 1.0]), np.array([0.01, 0.0, 0.02]), 25.0)


def _statistics(x: Array) -> Array:
    return np.stack([window_statistics(window, TIMES, window_s=0.5).mean for window in x])


KERNELS: dict[str, Callable[[Array], Any]] = {
    "lowpass": lambda x: imuspec.lowpass(x, sample_rate=100, cutoff=15),
    "linear": lambda x: imuspec.resample(x, TIMES, rate=30)[0],
    "nearest": lambda x: imuspec.resample(x, TIMES, rate=30, method="nearest")[0],
    "polyphase": lambda x: imuspec.resample(x, TIMES, rate=50, method="polyphase")[0],
    "window_statistics": _statistics,
    "spectrogram": lambda x: imuspec.spectrogram(x, 100.0, nperseg=64)[2],
    "rgb_image": lambda x: imuspec.rgb_image(x, nfft=64, noverlap=48),
    "log_mean_magnitude": imuspec.log_mean_magnitude,
    "window_features": lambda x: window_features(x, rate=100)[0],
    "choose_nfft": lambda x: choose_nfft(x, candidates=(32, 64), per="window"),
    "windows": lambda x: imuspec.windows(x, length=64, overlap=16),
    "pictures of windows": lambda x: imuspec.rgb_image(imuspec.windows(x, length=64, overlap=16), nfft=32, noverlap=16),
    "Calibration.apply": lambda x: FOUND.apply(x, WARMTH),
    "temperature": lambda x: FOUND.apply(np.ones((len(x), 3, 200), np.float32), x[:, 0]),
    "gramian": lambda x: gramian_angular_field(x, size=(8, 8)),
}


def _packed(x: Array) -> Array:
    records = np.zeros(len(x), dtype=[("flag", "u1"), ("x", x.dtype, x.shape[1:])])
    records["x"] = x
    return records["x"]


def _unaligned(x: Array) -> Array:
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    view = raw.view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def _spaced(x: Array) -> Array:
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _read_only(x: Array) -> Array:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "packed": _packed,
    "unaligned": _unaligned,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "fortran": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(np.swapaxes(x, -1, -2)).swapaxes(-1, -2),
    "spaced": _spaced,
    "backwards in time": lambda x: x[..., ::-1].copy()[..., ::-1],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "zero strides": lambda x: as_strided(x[:1], x.shape, (0, *x.strides[1:])),
    "read-only": _read_only,
    "packed big-endian": lambda x: _packed(x.astype(x.dtype.newbyteorder(">"))),
}


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_layout_gives_the_bits_of_a_contiguous_native_copy(kernel: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    seed, n = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.integers(1, 5))
    x = np.random.default_rng(seed).normal(size=(n, 3, 200)).astype(dtype)
    laid = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))](x)
    copy = np.array(laid, dtype=dtype, order="C")
    np.testing.assert_array_equal(KERNELS[kernel](laid), KERNELS[kernel](copy), strict=True)


def test_a_field_of_packed_records_is_read_row_by_row() -> None:
    records = np.zeros(4, dtype=[("flag", "u1"), ("x", "<f4", (200,))])
    records["x"] = 1
    x = records["x"]
    np.testing.assert_allclose(imuspec.lowpass(x, sample_rate=100, cutoff=15), 1, atol=1e-5)
    np.testing.assert_array_equal(imuspec.resample(x, TIMES, rate=30)[0], 1)
    np.testing.assert_array_equal(window_statistics(x[:3], TIMES, window_s=0.5).mean, 1)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [np.complex64, "U4", object])
def test_what_is_not_real_numbers_is_refused_by_name(kernel: str, dtype: Any) -> None:
    with pytest.raises(TypeError, match="real numbers"):
        KERNELS[kernel](np.ones((2, 3, 200)).astype(dtype))


@pytest.mark.parametrize("kernel", ["rgb_image", "log_mean_magnitude", "choose_nfft"])
def test_windows_with_time_before_the_axes_are_refused(kernel: str) -> None:
    with pytest.raises(ValueError, match="transpose"):
        KERNELS[kernel](np.random.default_rng(0).normal(size=(8, 200, 3)))


@pytest.mark.parametrize("layout", ["unaligned", "fortran", "transposed", "spaced", "zero strides", "read-only"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_reads_tensors_of_any_layout(layout: str, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    from imuspec.nn import lmm_loss

    def loss_and_gradient(x: Array, y: Array) -> tuple[Array, Array]:
        prediction, target = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)
        lmm_loss(prediction, target, nfft=[16, 32], lmv=0.5, mse=0.1, reduction="none", native=True).sum().backward()
        return prediction.grad.numpy(), lmm_loss(prediction, target, reduction="none").detach().numpy()

    rng = np.random.default_rng(5)
    x, y = (rng.normal(size=(17, 3, 200)).astype(dtype) for _ in range(2))
    laid = [LAYOUTS[layout](array) for array in (x, y)]
    copies = [np.array(array, order="C") for array in laid]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch has no read-only tensors
        for ours, plain in zip(loss_and_gradient(*laid), loss_and_gradient(*copies), strict=True):
            np.testing.assert_array_equal(ours, plain, strict=True)


def test_windows_of_what_a_kernel_can_read_are_a_view() -> None:
    x = np.zeros((3, 900), np.float32)[:, ::2]
    assert np.shares_memory(imuspec.windows(x, length=30), x)
