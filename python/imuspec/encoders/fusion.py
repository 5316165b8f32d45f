"""Adapters: several triads of axes, a single axis, and acceleration for an encoder of acceleration and rotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from imuspec.encoders.encoder import Encoder, EncoderSpec

__all__ = ["AccelerationAlone", "Fusion", "SingleAxis", "acceleration_alone", "fusion", "single_axis"]


class Fusion(Encoder):
    """An encoder for each triad of axes, each with separate weights. The embedding is the concatenation of theirs.

    A triad is the three axes of an accelerometer or a gyroscope at one position on the body.

    Parameters
    ----------
    encoders : sequence of Encoder
        One encoder for each triad, all of the same kind.

    Raises
    ------
    ValueError
        If the encoders have different kinds, or the input has another number of triads.

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
        """Return the number of triads, then the input shape of each encoder, as in `Encoder.input_shape`."""
        return (len(self.encoders), *cast("Encoder", self.encoders[0]).input_shape(n_samples))

    def _triads(self, x: Tensor) -> list[tuple[Encoder, Tensor]]:
        if x.ndim < 3 or x.shape[1] != len(self.encoders):
            raise ValueError(f"x: expected [B, {len(self.encoders)} triads, ...], got {list(x.shape)}")
        return [(cast("Encoder", encoder), part) for encoder, part in zip(self.encoders, x.unbind(1), strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, sum of the encoders' features]`` of inputs ``[B, triad, 3, ...]``."""
        return torch.cat([encoder(part) for encoder, part in self._triads(x)], 1)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the layers of each encoder as ``triad1.NAME``, ``triad2.NAME``, ..., and the whole ``embedding``."""
        layers: dict[str, Tensor] = {}
        embeddings = []
        for i, (encoder, part) in enumerate(self._triads(x), 1):
            inner = encoder.layers(part)
            embeddings.append(inner["embedding"])  # [B, features]
            layers |= {f"triad{i}.{name}": value for name, value in inner.items()}
        return layers | {"embedding": torch.cat(embeddings, 1)}


class SingleAxis(Encoder):
    """One axis, or a picture of one channel, copied to the three channels of an encoder.

    Parameters
    ----------
    encoder : Encoder
        An encoder of three axes or channels.

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
        """Return the inner encoder's input shape with one channel, as in `Encoder.input_shape`."""
        return (1, *self.inner.input_shape(n_samples)[1:])

    def _copied(self, x: Tensor) -> Tensor:
        if x.shape[1] != 1:
            raise ValueError(f"x: expected one channel [B, 1, ...], got {list(x.shape)}")
        return x.expand(-1, 3, *x.shape[2:])  # [B, 3, ...]

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, features]`` of windows or pictures ``[B, 1, ...]``."""
        embeddings: Tensor = self.inner(self._copied(x))
        return embeddings

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the inner encoder's layers, each ``[B, features]``."""
        return self.inner.layers(self._copied(x))


class AccelerationAlone(Encoder):
    """Acceleration for an encoder of accelerometer and gyroscope. The gyroscope's axes are set to zero.

    Parameters
    ----------
    encoder : Encoder
        An encoder of six axes, the accelerometer's first.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.inner = encoder
        self.kind, self.n_features = encoder.kind, encoder.n_features
        if encoder.spec is not None:
            inner = {"encoder": encoder.spec.name, "settings": dict(encoder.spec.settings)}
            self.spec = EncoderSpec("acceleration_alone", inner)

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return the inner encoder's input shape with three axes, as in `Encoder.input_shape`."""
        return (3, *self.inner.input_shape(n_samples)[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings ``[B, features]`` of windows ``[B, 3, time]``."""
        embeddings: Tensor = self.inner(torch.cat([x, torch.zeros_like(x)], 1))  # from [B, 6, time]
        return embeddings

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the inner encoder's layers, each ``[B, features]``."""
        return self.inner.layers(torch.cat([x, torch.zeros_like(x)], 1))


def fusion(*, encoder: str, n_triads: int = 2, settings: Mapping[str, Any] | None = None) -> Fusion:
    """Return a :class:`Fusion` of encoders with the same name and settings.

    Parameters
    ----------
    encoder : str
        Name of the encoders in `imuspec.encoders.REGISTRY`.
    n_triads : int, default 2
        Number of triads.
    settings : mapping, optional
        Keyword arguments of each encoder.

    Raises
    ------
    ValueError
        If `n_triads` is below 1, or `encoder` is not a known encoder.
    """
    from imuspec import encoders

    if n_triads < 1:
        raise ValueError(f"n_triads: expected at least 1, got {n_triads}")
    return Fusion([encoders.build(encoder, **(settings or {})) for _ in range(n_triads)])


def single_axis(*, encoder: str, settings: Mapping[str, Any] | None = None) -> SingleAxis:
    """Return a :class:`SingleAxis` around a new encoder.

    Parameters
    ----------
    encoder : str
        Name of the encoder in `imuspec.encoders.REGISTRY`.
    settings : mapping, optional
        Keyword arguments of the encoder.
    """
    from imuspec import encoders

    return SingleAxis(encoders.build(encoder, **(settings or {})))


def acceleration_alone(*, encoder: str, settings: Mapping[str, Any] | None = None) -> AccelerationAlone:
    """Return an :class:`AccelerationAlone` around a new encoder.

    Parameters
    ----------
    encoder : str
        Name of the encoder in `imuspec.encoders.REGISTRY`.
    settings : mapping, optional
        Keyword arguments of the encoder.
    """
    from imuspec import encoders

    return AccelerationAlone(encoders.build(encoder, **(settings or {})))
