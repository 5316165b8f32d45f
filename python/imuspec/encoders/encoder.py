"""The base class of encoders, and the name and settings that an encoder was built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["Encoder", "EncoderSpec"]

_DEFAULT_SAMPLES = 250  # 5 s at 50 Hz


@dataclass(frozen=True)
class EncoderSpec:
    """Name and settings of an encoder. A run stores them beside the weights.

    Attributes
    ----------
    name : str
        Name in `imuspec.encoders.REGISTRY`.
    settings : mapping
        Keyword arguments of the encoder's class or function, with paths as text.
    """

    name: str
    settings: Mapping[str, Any]


class Encoder(nn.Module):
    """A network that maps a batch of pictures or windows to one embedding for each.

    A subclass sets ``kind`` and ``n_features``, and defines ``forward`` and `layers`.

    Attributes
    ----------
    kind : {"image", "signal"}
        Input of the encoder: pictures ``[B, 3, rows, columns]``, or windows ``[B, axes, time]`` in g.
    n_features : int
        Length of an embedding.
    n_axes : int
        Axes of a window, or channels of a picture.
    spec : EncoderSpec or None
        Name and settings, if `imuspec.encoders.build` built the encoder.
    """

    kind: Literal["image", "signal"]
    n_features: int
    n_axes: int = 3
    spec: EncoderSpec | None = None

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the intermediate embeddings by name, each ``[B, features]``; the last is ``embedding``.

        Parameters
        ----------
        x : Tensor
            Input as for ``forward``.
        """
        raise NotImplementedError  # each encoder has its own

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return the shape of one input, without the batch dimension.

        Parameters
        ----------
        n_samples : int, optional
            Length of a window; by default that of the encoder, or 250 samples if the encoder takes any length.
        """
        return (3, 96, 128) if self.kind == "image" else (self.n_axes, n_samples or _DEFAULT_SAMPLES)
