"""Encoders of several triads of axes, of one axis, and of acceleration where acceleration and rotation are expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder

__all__ = ["AccelerationAlone", "Fusion", "SingleAxis", "acceleration_alone", "fusion", "single_axis"]


class Fusion(Encoder):
    """An encoder with its own weights for each triad of axes; the embedding joins theirs.

    A triad is an accelerometer or a gyroscope at one place on the body.

    Parameters
    ----------
    encoders : sequence of Encoder
        One for each triad, all of one kind.

    Raises
    ------
    ValueError
        If the encoders are of different kinds, or the input has another number of triads.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.cnn1d import Cnn1d
    >>> from imuspec.encoders.fusion import Fusion
    >>> Fusion([Cnn1d(), Cnn1d()])(torch.zeros(4, 2, 3, 100)).shape
    torch.Size([4, 256])
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        kinds = {encoder.kind for encoder in encoders}
        if len(kinds) != 1:
            raise ValueError(f"encoders: expected one or more of one kind, got {sorted(kinds)}")
        self.kind = kinds.pop()
        self.encoders = nn.ModuleList(encoders)
        self.n_features = sum(encoder.n_features for encoder in encoders)

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return (triads, ...), then the shape that each encoder takes."""
        return (len(self.encoders), *cast("Encoder", self.encoders[0]).input_shape(n_samples))

    def _triads(self, x: Tensor) -> list[tuple[Encoder, Tensor]]:
        if x.ndim < 3 or x.shape[1] != len(self.encoders):
            raise ValueError(f"x: expected [B, {len(self.encoders)} triads, ...], got {list(x.shape)}")
        return [(cast("Encoder", encoder), part) for encoder, part in zip(self.encoders, x.unbind(1), strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        """[B, triad, 3, ...] -> [B, sum of the encoders' features]."""
        return torch.cat([encoder(part) for encoder, part in self._triads(x)], 1)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return each encoder's layers as ``triad1.NAME``, ``triad2.NAME``, ..., and the joined ``embedding``."""
        layers: dict[str, Tensor] = {}
        embeddings = []
        for i, (encoder, part) in enumerate(self._triads(x), 1):
            inner = encoder.layers(part)
            embeddings.append(inner["embedding"])  # [B, features]
            layers |= {f"triad{i}.{name}": value for name, value in inner.items()}
        return layers | {"embedding": torch.cat(embeddings, 1)}


class SingleAxis(Encoder):
    """One axis, or one channel of a picture, repeated three times for an encoder of three.

    Parameters
    ----------
    encoder : Encoder
        The encoder of three channels.

    Raises
    ------
    ValueError
        If the input has more than one channel.
    """

    n_axes = 1

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.inner = encoder
        self.kind, self.n_features = encoder.kind, encoder.n_features

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return the shape that the inner encoder takes, with one channel."""
        return (1, *self.inner.input_shape(n_samples)[1:])

    def _three(self, x: Tensor) -> Tensor:
        if x.shape[1] != 1:
            raise ValueError(f"x: expected one channel [B, 1, ...], got {list(x.shape)}")
        return x.expand(-1, 3, *x.shape[2:])  # [B, 3, ...]

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1, ...] -> [B, features]."""
        embeddings: Tensor = self.inner(self._three(x))
        return embeddings

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the inner encoder's layers, each ``[B, features]``."""
        return self.inner.layers(self._three(x))


class AccelerationAlone(Encoder):
    """Acceleration for an encoder of accelerometer and gyroscope: the gyroscope's axes are zero.

    Parameters
    ----------
    encoder : Encoder
        The encoder of six axes, the accelerometer's first.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.inner = encoder
        self.kind, self.n_features = encoder.kind, encoder.n_features

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return the shape that the inner encoder takes, with three axes."""
        return (3, *self.inner.input_shape(n_samples)[1:])

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, time] -> [B, features]."""
        embeddings: Tensor = self.inner(torch.cat([x, torch.zeros_like(x)], 1))  # from [B, 6, time]
        return embeddings

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the inner encoder's layers, each ``[B, features]``."""
        return self.inner.layers(torch.cat([x, torch.zeros_like(x)], 1))


def fusion(*, encoder: str, n_triads: int = 2, settings: Mapping[str, Any] | None = None) -> Fusion:
    """Return a :class:`Fusion` of encoders of one name and settings, each with its own weights.

    Parameters
    ----------
    encoder : str
        Name of the encoders in `imuspec.encoders.REGISTRY`.
    n_triads : int, default 2
        Number of triads.
    settings : mapping, optional
        Settings of the encoders.
    """
    from imuspec import encoders

    if n_triads < 1:
        raise ValueError(f"n_triads: expected at least 1, got {n_triads}")
    return Fusion([encoders.build(encoder, **(settings or {})) for _ in range(n_triads)])


def single_axis(*, encoder: str, settings: Mapping[str, Any] | None = None) -> SingleAxis:
    """Return a :class:`SingleAxis` on the encoder of this name and settings."""
    from imuspec import encoders

    return SingleAxis(encoders.build(encoder, **(settings or {})))


def acceleration_alone(*, encoder: str, settings: Mapping[str, Any] | None = None) -> AccelerationAlone:
    """Return an :class:`AccelerationAlone` on the encoder of this name and settings."""
    from imuspec import encoders

    return AccelerationAlone(encoders.build(encoder, **(settings or {})))
