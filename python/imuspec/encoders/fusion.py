"""Several triads of axes, an encoder for each: accelerometer and gyroscope, or two places on the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["AccelerationAlone", "Fusion", "SingleAxis", "acceleration_alone", "fusion", "single_axis"]


class Fusion(nn.Module):
    """An encoder with its own weights for each triad; the embedding joins theirs.

    Parameters
    ----------
    encoders
        One for each triad, of one kind.

    Examples
    --------
    >>> import torch
    >>> from imuspec.encoders.cnn1d import Cnn1d
    >>> from imuspec.encoders.fusion import Fusion
    >>> Fusion([Cnn1d(), Cnn1d()])(torch.zeros(4, 2, 3, 100)).shape
    torch.Size([4, 256])
    """

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        kinds = {str(encoder.kind) for encoder in encoders}
        if len(kinds) != 1:
            raise ValueError(f"encoders: expected one or more of one kind, got {sorted(kinds)}")
        self.kind = kinds.pop()
        self.encoders = nn.ModuleList(encoders)
        self.n_features = sum(cast("int", encoder.n_features) for encoder in encoders)

    def _triads(self, x: Tensor) -> Sequence[Tensor]:
        if x.ndim < 3 or x.shape[1] != len(self.encoders):
            raise ValueError(f"x: expected [B, {len(self.encoders)} triads, ...], got {list(x.shape)}")
        return x.unbind(1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, triad, 3, ...] -> [B, sum of the encoders' features]."""
        return torch.cat([encoder(part) for encoder, part in zip(self.encoders, self._triads(x), strict=True)], 1)

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return each encoder's layers as ``triad1.NAME``, ..., and the joined ``embedding``."""
        found: dict[str, Tensor] = {}
        joined = []
        for i, (encoder, part) in enumerate(zip(self.encoders, self._triads(x), strict=True), 1):
            inner = cast("Encoder", encoder).layers(part)
            joined.append(inner["embedding"])
            found |= {f"triad{i}.{name}": value for name, value in inner.items()}
        return found | {"embedding": torch.cat(joined, 1)}


class SingleAxis(nn.Module):
    """One axis, or one channel of a picture, shown three times to an encoder that expects three.

    Parameters
    ----------
    encoder
        The encoder of three channels.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.inner = encoder
        self.kind = str(encoder.kind)
        self.n_features = cast("Encoder", encoder).n_features

    def _three(self, x: Tensor) -> Tensor:
        if x.shape[1] != 1:
            raise ValueError(f"x: expected one channel [B, 1, ...], got {list(x.shape)}")
        return x.expand(-1, 3, *x.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1, ...] -> [B, features]."""
        out: Tensor = self.inner(self._three(x))
        return out

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the encoder's layers."""
        return cast("Encoder", self.inner).layers(self._three(x))


def fusion(*, encoder: str, n_triads: int = 2, settings: Mapping[str, Any] | None = None) -> Fusion:
    """Return a :class:`Fusion` of encoders of one name and settings, each with weights of its own."""
    from imuspec import encoders

    if n_triads < 1:
        raise ValueError(f"n_triads: expected at least 1, got {n_triads}")
    return Fusion([encoders.build(encoder, **(settings or {})) for _ in range(n_triads)])


def single_axis(*, encoder: str, settings: Mapping[str, Any] | None = None) -> SingleAxis:
    """Return a :class:`SingleAxis` around the encoder of this name, built with these settings."""
    from imuspec import encoders

    return SingleAxis(encoders.build(encoder, **(settings or {})))


class AccelerationAlone(nn.Module):
    """An encoder of accelerometer and gyroscope, shown a gyroscope that measures nothing.

    Parameters
    ----------
    encoder
        The encoder of six axes, the accelerometer's first.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.inner = encoder
        self.kind = str(encoder.kind)
        self.n_features = cast("Encoder", encoder).n_features

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, time] -> [B, features]."""
        out: Tensor = self.inner(torch.cat([x, torch.zeros_like(x)], 1))
        return out

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the encoder's layers."""
        return cast("Encoder", self.inner).layers(torch.cat([x, torch.zeros_like(x)], 1))


def acceleration_alone(*, encoder: str, settings: Mapping[str, Any] | None = None) -> AccelerationAlone:
    """Return an :class:`AccelerationAlone` around the encoder of this name, built with these settings."""
    from imuspec import encoders

    return AccelerationAlone(encoders.build(encoder, **(settings or {})))
