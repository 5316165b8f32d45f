"""Windows in the order of Keras and UCI HAR's users, [N, time, axes], are refused with the way to transpose them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import imuspec
from imuspec.spectral.image import training_range

X = np.random.default_rng(0).normal(size=(4, 300, 3)).astype(np.float32)


@pytest.mark.parametrize("n_axes", [1, 3, 6, 9])
@pytest.mark.parametrize(
    "take", [imuspec.rgb_image, imuspec.log_mean_magnitude, training_range], ids=lambda f: f.__name__
)
def test_time_before_axes_is_refused_with_the_way_to_transpose(take: Callable[..., Any], n_axes: int) -> None:
    windows = np.tile(X, 3)[:, :, :n_axes]
    with pytest.raises(ValueError, match=r"looks like \[\.\.\., time, axes\]; transpose it: np.swapaxes\(x, -1, -2\)"):
        take(windows)


def test_a_table_of_three_columns_is_refused_and_its_transpose_is_drawn() -> None:
    with pytest.raises(ValueError, match=r"expected \[\.\.\., axes, time\], got \(300, 3\)"):
        imuspec.rgb_image(X[0])
    assert imuspec.rgb_image(np.swapaxes(X, -1, -2)).shape == (4, 3, 96, 128)
    assert imuspec.rgb_image(np.tile(np.swapaxes(X, -1, -2), (1, 2, 1))).shape == (4, 2, 3, 96, 128)


def test_a_module_of_torch_refuses_what_the_function_refuses() -> None:
    torch = pytest.importorskip("torch")
    from imuspec import nn

    with pytest.raises(ValueError, match="transpose it"):
        nn.LogMeanMagnitude(32)(torch.from_numpy(X))
    assert nn.LogMeanMagnitude(32)(torch.from_numpy(X).mT).shape == (4, 3, 17)


def test_shared_samples_follow_the_frame_unless_they_are_stated() -> None:
    windows = np.ascontiguousarray(np.swapaxes(X, -1, -2))
    np.testing.assert_array_equal(imuspec.rgb_image(windows, nfft=64), imuspec.rgb_image(windows, nfft=64, noverlap=60))
