"""An encoder that takes acceleration in g and standardises it by numbers of the data that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from imuspec.encoders.encoder import Encoder

__all__ = ["Standardised", "axis_statistics", "bare", "standardised"]


def axis_statistics(x: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each axis of windows ``[N, axes, time]``, computed in float64."""
    values = x.double()
    mean = values.mean((0, 2))
    sd = (values - mean[:, None]).square().mean((0, 2)).sqrt()
    return tuple(mean.tolist()), tuple(sd.tolist())


class Standardised(Encoder):
    """``encoder((x - mean) / sd)`` for each axis, both saved with the weights.

    Parameters
    ----------
    encoder : Encoder
        The encoder of standardised windows.
    mean, sd : sequence of float
        Mean and standard deviation of each axis, g, of the training windows.

    Raises
    ------
    ValueError
        If `mean` and `sd` differ in length, or a standard deviation is not positive.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.cnn1d import Cnn1d
    >>> from imuspec.encoders.standardised import Standardised
    >>> Standardised(Cnn1d(), mean=(0, 0, 1), sd=(0.5, 0.5, 0.5))(torch.zeros(2, 3, 100)).shape
    torch.Size([2, 128])
    """

    kind = "signal"
    mean: Tensor
    sd: Tensor

    def __init__(self, encoder: Encoder, *, mean: Sequence[float], sd: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(sd) or min(sd) <= 0:
            raise ValueError(f"sd: expected a positive number for each of {len(mean)} axes, got {list(sd)}")
        self.inner = encoder
        self.n_axes = encoder.n_axes
        self.n_features = encoder.n_features
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None])
        self.register_buffer("sd", torch.tensor(sd, dtype=torch.float32)[:, None])

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return the shape that the inner encoder takes."""
        return self.inner.input_shape(n_samples)

    def standardise(self, x: Tensor) -> Tensor:
        """[B, axes, time] in g -> the same in standard deviations."""
        return (x - self.mean) / self.sd

    def forward(self, x: Tensor) -> Tensor:
        """[B, axes, time] in g -> [B, features]."""
        out: Tensor = self.inner(self.standardise(x))
        return out

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the encoder's layers."""
        return self.inner.layers(self.standardise(x))


def standardised(
    *, encoder: str, mean: Sequence[float], sd: Sequence[float], settings: Mapping[str, Any] | None = None
) -> Standardised:
    """Return a :class:`Standardised` around the encoder of this name, built with these settings."""
    from imuspec import encoders

    return Standardised(encoders.build(encoder, **(settings or {})), mean=mean, sd=sd)


def bare(encoder: Encoder) -> Encoder:
    """Return the encoder that takes windows as they are: the inner one of a :class:`Standardised`, else itself.

    Objectives see windows that are standardised already.
    """
    return encoder.inner if isinstance(encoder, Standardised) else encoder
