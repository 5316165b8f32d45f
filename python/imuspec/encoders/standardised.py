"""An encoder that takes acceleration in g and standardises each axis first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from imuspec.encoders.encoder import Encoder

__all__ = ["Standardised", "inner_encoder", "standardised"]


class Standardised(Encoder):
    """An encoder of standardised windows with its standardisation: ``encoder((x - mean) / sd)`` for each axis.

    The weights file holds mean and standard deviation too.

    Parameters
    ----------
    encoder : Encoder
        An encoder of standardised windows.
    mean, sd : sequence of float
        Mean and standard deviation of each axis over the training windows, g.

    Raises
    ------
    ValueError
        If `mean` and `sd` have different lengths, or a standard deviation is not positive.

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
        """Return the inner encoder's input shape, as in `Encoder.input_shape`."""
        return self.inner.input_shape(n_samples)

    def standardise(self, x: Tensor) -> Tensor:
        """Return ``(x - mean) / sd`` of windows ``[B, axes, time]``, g."""
        return (x - self.mean) / self.sd

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, features]`` of windows ``[B, axes, time]``, g."""
        out: Tensor = self.inner(self.standardise(x))
        return out

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the inner encoder's layers, each ``[B, features]``, of windows ``[B, axes, time]``, g."""
        return self.inner.layers(self.standardise(x))


def standardised(
    *, encoder: str, mean: Sequence[float], sd: Sequence[float], settings: Mapping[str, Any] | None = None
) -> Standardised:
    """Return a :class:`Standardised` around a new encoder.

    Parameters
    ----------
    encoder : str
        Name of the encoder in `imuspec.encoders.REGISTRY`.
    mean, sd : sequence of float
        Mean and standard deviation of each axis, g.
    settings : mapping, optional
        Keyword arguments of the encoder.
    """
    from imuspec import encoders

    return Standardised(encoders.build(encoder, **(settings or {})), mean=mean, sd=sd)


def inner_encoder(encoder: Encoder) -> Encoder:
    """Return the inner encoder of a :class:`Standardised`, and any other encoder unchanged.

    Objectives use it because the windows that they receive are already standardised.
    """
    return encoder.inner if isinstance(encoder, Standardised) else encoder
