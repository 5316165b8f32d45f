"""The base class of encoders, and the record of how one was built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["Encoder", "EncoderSpec"]

_DEFAULT_SAMPLES = 250  # 5 s at 50 Hz


@dataclass(frozen=True)
class EncoderSpec:
    """How an encoder was built: what a Run keeps beside the weights.

    Attributes
    ----------
    name : str
        Name in `imuspec.encoders.REGISTRY`.
    settings : mapping
        Arguments of its maker; paths as text.
    """

    name: str
    settings: Mapping[str, Any]


class Encoder(nn.Module):
    """A network from a batch of pictures or windows to one embedding each.

    A subclass sets ``kind`` and ``n_features`` and defines ``forward`` and `layers`.

    Attributes
    ----------
    kind : str
        ``"image"`` for pictures ``[B, 3, rows, columns]``, ``"signal"`` for windows ``[B, axes, time]`` in g.
    n_features : int
        Numbers of an embedding.
    n_axes : int
        Axes of a window, or channels of a picture.
    spec : EncoderSpec, optional
        How `imuspec.encoders.build` built it; None for an encoder that was built otherwise.
    """

    kind: Literal["image", "signal"]
    n_features: int
    n_axes: int = 3
    spec: EncoderSpec | None = None

    def layers(self, x: Tensor) -> dict[str, Tensor]:
        """Return the intermediate embeddings by name, each ``[B, features]``."""
        raise NotImplementedError

    def input_shape(self, n_samples: int | None = None) -> tuple[int, ...]:
        """Return the shape of one input, without the batch.

        Parameters
        ----------
        n_samples : int, optional
            Length of a window; by default the encoder's own, or 250 samples where it takes any.
        """
        return (3, 96, 128) if self.kind == "image" else (self.n_axes, n_samples or _DEFAULT_SAMPLES)
