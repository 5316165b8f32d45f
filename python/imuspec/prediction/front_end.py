"""From samples in g to the features of a head: what a fitted model does before its head."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from imuspec.datasets.patches import scored_windows
from imuspec.datasets.recordings import UNITS
from imuspec.datasets.sequences import PatchSequence, PatchSequences
from imuspec.probing.parameter_free import StatisticsSource
from imuspec.probing.patch_features import PatchFeatures, embed_patches
from imuspec.probing.sources import embed

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = ["FrontEnd", "Kind", "kind_of", "with_stillness"]

Kind = Literal["statistics", "signal", "image", "patches"]
_MOST_G = 4.9  # of a median norm: half of 9.8 m/s2, far above that of a runner
_SENSOR_G = 0.01  # below it sensors differ, not wearers


@dataclass(frozen=True)
class FrontEnd:
    """What a model does with samples before its head.

    Attributes
    ----------
    kind : {"statistics", "signal", "image", "patches"}
        statistics: `imuspec.spectral.statistics.window_features`; signal: an encoder of windows; image: an encoder of their
        pictures; patches: an encoder of ten-second patches, each with its neighbours.
    rate_hz : float
        Sample rate, Hz.
    n_samples : int
        Samples of a window or a patch.
    layer : str
        Layer of the encoder that gives the features.
    picture : dict or None
        Keywords of `imuspec.rgb_image`.
    context : int
        Patches that an encoder of patches takes at once.
    stillness : bool
        Whether the log standard deviation of each axis of a patch is a feature too.
    """

    kind: Kind
    rate_hz: float
    n_samples: int
    layer: str = "last"
    picture: dict[str, Any] | None = None
    context: int = 1
    stillness: bool = False

    @property
    def window_s(self) -> float:
        """Length of a window or a patch, s."""
        return self.n_samples / self.rate_hz

    def as_json(self) -> dict[str, Any]:
        """Return the fields and the fixed facts of the input."""
        return {**asdict(self), "axes": 3, "unit": "g"}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> FrontEnd:
        """Return the front end that `as_json` described."""
        picture = fields.get("picture")
        if picture is not None:
            picture = {key: tuple(value) if isinstance(value, list) else value for key, value in picture.items()}
        return cls(**{**{key: fields[key] for key in cls.__dataclass_fields__}, "picture": picture})

    def checked(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return samples as float32 [N, 3, time]; warn if their median norm is that of m/s2, mg or counts.

        Raises
        ------
        ValueError
            If samples are not real numbers or not finite, or the shape is not that of the model's windows.
        """
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            raise ValueError(f"x: expected an array of real numbers, got dtype {array.dtype}")
        values = array.astype(np.float32, copy=False)
        n, unit = self.n_samples, f"3 axes in g at {self.rate_hz:g} Hz, {self.window_s:g} s"
        if self.kind == "patches":
            fits = values.ndim >= 2 and values.shape[-2] == 3 and values.shape[-1] >= n and values.shape[-1] % n == 0
            expected = f"[..., 3, {n} k] ({unit} a patch)"
        else:
            fits = values.ndim >= 2 and values.shape[-2:] == (3, n)
            expected = f"[..., 3, {n}] ({unit})"
        if not fits:
            raise ValueError(f"x: expected {expected}, got {list(values.shape)}")
        if not np.isfinite(values).all():
            raise ValueError("x: expected finite samples, got NaN or infinity")
        self._check_unit(values)
        return np.ascontiguousarray(values.reshape(-1, *values.shape[-2:]))

    def _check_unit(self, values: NDArray[np.float32]) -> None:
        """Warn if no wearer moves as samples in g would say."""
        median = float(np.median(np.sqrt(np.square(values, dtype=np.float64).sum(-2)))) if values.size else 0.0
        if median > _MOST_G:
            fitting = next((f", as of {name}" for name, one in UNITS.items() if 0.5 <= median / one <= 2), "")
            warnings.warn(
                f"x: expected g, got samples with a median norm of {median:.4g}{fitting}: the model takes g",
                stacklevel=4,
            )

    def features(self, encoder: Encoder | None, x: NDArray[np.float32], *, device: str = "cpu") -> NDArray[np.float32]:
        """Return the features [N, width] of windows [N, 3, time] of a model without patches, computed on the device."""
        if encoder is None:
            return StatisticsSource(self.rate_hz).features(x, {})["statistics"]
        return embed(encoder, x, picture=self.picture, layers=[self.layer], device=device)[self.layer]

    def patch_features(self, encoder: Encoder, x: NDArray[np.float32]) -> PatchFeatures:
        """Return the features of the windows of a stretch [3, patches * patch]."""
        n = x.shape[1] // self.n_samples
        stretch = PatchSequence(np.ascontiguousarray(x), np.full(n, -1), "", "")
        sequences = PatchSequences((stretch,), (), self.rate_hz)
        features = embed_patches(encoder, sequences, window=self.context)
        return with_stillness(features, sequences, self.context) if self.stillness else features


def with_stillness(features: PatchFeatures, sequences: PatchSequences, window: int) -> PatchFeatures:
    """Add log10 of each axis's standard deviation (g) to the features of an evaluation's windows.

    It levels off below some 10 mg, where sensors differ, not wearers.
    """
    beside = []
    for item in sequences:
        deviation = item.x.reshape(3, -1, item.patch).std(2, dtype=np.float64).T
        quiet = np.log10(np.hypot(deviation, _SENSOR_G)).astype(np.float32)
        beside += [quiet[start:end] for start, _, end in scored_windows(len(item.label), window=window)]
    x = [np.concatenate((part, more), axis=1) for part, more in zip(features.x, beside, strict=True)]
    return replace(features, x=x)


def stillness_of(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Return the same log standard deviations [B, patches, 3] of windows [B, 3, patches * patch]."""
    deviation = x.reshape(x.shape[0], 3, -1, patch).std(-1, unbiased=False).transpose(1, 2)
    return torch.log10(torch.sqrt(deviation.square() + _SENSOR_G**2))


def kind_of(encoder: Encoder | None) -> Kind:
    """Return what an encoder takes; None is the statistics of a window."""
    if encoder is None:
        return "statistics"
    return "patches" if hasattr(encoder, "patch") else cast("Kind", encoder.kind)
