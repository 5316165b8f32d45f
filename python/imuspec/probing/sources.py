"""Features of a frozen encoder, on pictures or on windows."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imuspec.probing.parameter_free import moments
from imuspec.recipe.probing import PictureSettings
from imuspec.spectral.image import rgb_image, training_range

if TYPE_CHECKING:
    from imuspec.encoders import Encoder

__all__ = [
    "EncoderSource",
    "FeatureSource",
    "SplitSource",
    "embed",
    "layers_of",
    "with_batch_norms_of",
]

Choice = dict[str, Any]
_MOMENTS = "+moments"


class FeatureSource(Protocol):
    """Features for a probe."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the features that one pass returns; each becomes a row."""
        ...

    def choices(self, n_samples: int) -> list[Choice]:
        """Return the settings for windows of a length, at least one; the validation part chooses among them."""
        ...

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:
        """Windows [n, 3, time] in g -> features [n, width] of each layer."""
        ...


class SplitSource(FeatureSource, Protocol):
    """A source whose features depend on a split's training windows where `of_split` is true."""

    @property
    def of_split(self) -> bool:
        """Whether `fitted` must be called before `features`."""
        ...

    def fitted(self, train: NDArray[np.float32]) -> FeatureSource:
        """Return the source of one split, from its training windows [n, 3, time] in g."""
        ...


class EncoderSource:
    """Features of a frozen encoder. The native kernel draws pictures when needed, once for each window and setting.

    Under ``norm="dataset"`` without a range, and under ``batch_norm="training"``, `probe` passes the training windows of each
    split to `fitted`, and the range, or the statistics in the batch norms, are of those alone.

    Parameters
    ----------
    encoder : nn.Module
        Encoder from `imuspec.encoders`; it is put in eval mode, so that batch norms use their running statistics.
    pictures : PictureSettings, optional
        The grid of nfft and hop, norm, size and batch norms. They do not apply to an encoder of signals.
    layers : sequence of str, default ("last",)
        "last" for the embedding; names of ``encoder.layers`` for inner layers; ``NAME.bands`` for a stage's map averaged over
        time alone, in six bands of frequency.
        With ``+moments`` behind the name, the six numbers of `imuspec.probing.moments` stand behind the features: pictures and
        magnitudes lose the sign of gravity, and pictures the level.
    batch : int, default 64
        Windows of one pass.
    device : str, default "cpu"
        Device of the encoder.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        pictures: PictureSettings | None = None,
        layers: Sequence[str] = ("last",),
        batch: int = 64,
        device: str = "cpu",
    ) -> None:
        self._encoder = encoder
        self._pictures = PictureSettings() if pictures is None else pictures
        self._layers = tuple(layers)
        self._batch, self._device = batch, device
        self._train: NDArray[np.float32] | None = None
        self._adapted: tuple[Choice, nn.Module] | None = None

    @property
    def of_split(self) -> bool:
        """Whether features depend on the split, so that `fitted` must be called first."""
        drawn = cast("Encoder", self._encoder).kind == "image"
        return drawn and (self._takes_range or self._pictures.batch_norm == "training")

    @property
    def _takes_range(self) -> bool:
        return self._pictures.norm == "dataset" and self._pictures.range_db is None

    def fitted(self, train: NDArray[np.float32]) -> EncoderSource:
        """Return the source of a split, from the windows of its training part."""
        other = copy.copy(self)
        other._train, other._adapted = train, None
        return other

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the features that one pass returns."""
        return self._layers

    def choices(self, n_samples: int) -> list[Choice]:
        """Return the picture settings; an nfft longer than the window is left out, as its picture is a single column."""
        if cast("Encoder", self._encoder).kind == "signal":
            return [{}]
        usable = [nfft for nfft in self._pictures.nfft if nfft <= n_samples]
        if not usable:
            raise ValueError(f"nfft: expected at most the window's {n_samples} samples, got {self._pictures.nfft}")
        choices: list[Choice] = [{"nfft": n, "hop": hop} for n in usable for hop in self._pictures.hop if hop <= n]
        if self._takes_range and self._train is not None:
            for choice in choices:
                low, high = training_range(self._train, nfft=choice["nfft"], noverlap=choice["nfft"] - choice["hop"])
                choice |= {"black_db": low, "white_db": high}
        return choices

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:
        """Return the features of each layer."""
        picture, encoder = self.parts(choice)
        return embed(encoder, x, picture=picture, layers=self._layers, batch=self._batch, device=self._device)

    def parts(self, choice: Choice) -> tuple[Choice | None, nn.Module]:
        """Return the keywords of `imuspec.rgb_image` (None for an encoder of signals), and the encoder of a choice."""
        picture = self._picture(choice) if choice else None
        if picture is not None and self._pictures.batch_norm == "training":
            return picture, self._of_training(choice, picture)
        return picture, self._encoder

    def _picture(self, choice: Choice) -> Choice:
        """Return the keywords of `imuspec.rgb_image`."""
        range_db = (choice["black_db"], choice["white_db"]) if "black_db" in choice else self._pictures.range_db
        return {
            "nfft": choice["nfft"],
            "noverlap": choice["nfft"] - choice["hop"],
            "norm": self._pictures.norm,
            "range_db": range_db,
            "size": self._pictures.size,
        }

    def _of_training(self, choice: Choice, picture: Choice) -> nn.Module:
        """Return the encoder with batch norms of the training windows; the one of the last choice is stored."""
        if self._train is None:
            raise ValueError("batch_norm: expected the training windows from fitted() before features, got none")
        if self._adapted is None or self._adapted[0] != choice:
            adapted = with_batch_norms_of(self._encoder, self._train, picture=picture, device=self._device)
            self._adapted = (choice, adapted)
        return self._adapted[1]


def embed(
    encoder: nn.Module,
    x: NDArray[Any],
    *,
    picture: Choice | None = None,
    layers: Sequence[str] = ("last",),
    batch: int = 64,
    device: str = "cpu",
) -> dict[str, NDArray[np.float32]]:
    """Return frozen features of windows; the encoder is put in eval mode.

    Parameters
    ----------
    encoder : nn.Module
        Encoder from `imuspec.encoders`, of pictures or of signals.
    x : array [n, 3, time]
        Windows, g.
    picture : dict, optional
        Keywords of `imuspec.rgb_image`, for an encoder of pictures; by default its defaults.
    layers : sequence of str
        As for `EncoderSource`.
    batch : int
        Windows of one pass.
    device : str
        Device of the encoder.

    Returns
    -------
    dict of float32 arrays [n, width]
        Layer -> features.

    Raises
    ------
    ValueError
        If the encoder lacks a layer.
    """
    encoder = encoder.to(device).eval()
    plain = list(dict.fromkeys(name.removesuffix(_MOMENTS) for name in layers))
    parts_of: dict[str, list[NDArray[np.float32]]] = {name: [] for name in plain}
    with torch.inference_mode():
        for inputs in _batches(cast("Encoder", encoder).kind, x, picture or {}, batch):
            for name, value in layers_of(encoder, inputs.to(device), plain).items():
                parts_of[name].append(value.float().cpu().numpy())
    own = {name: np.concatenate(parts) if parts else np.empty((0, 0), np.float32) for name, parts in parts_of.items()}
    return {
        name: np.concatenate([own[name.removesuffix(_MOMENTS)], moments(x)], axis=1)
        if name.endswith(_MOMENTS) and len(x)
        else own[name.removesuffix(_MOMENTS)]
        for name in layers
    }


def with_batch_norms_of(
    encoder: nn.Module,
    x: NDArray[Any],
    *,
    picture: Choice | None = None,
    most: int = 512,
    device: str = "cpu",
) -> nn.Module:
    """Return a copy of an encoder whose batch norms hold the mean and variance of these windows' pictures.

    Statistics of natural pictures are wrong for spectrograms; those of unlabelled windows of the set replace them. No weight
    changes.

    Parameters
    ----------
    encoder : nn.Module
        Encoder from `imuspec.encoders` with batch norms; it does not change.
    x : array [n, 3, time]
        Windows, g.
    picture : dict, optional
        Keywords of `imuspec.rgb_image`.
    most : int
        Most windows to use, drawn at random with a fixed seed.
    device : str
        Device of the encoder.

    Returns
    -------
    nn.Module
        In eval mode.

    Raises
    ------
    ValueError
        If the encoder has no batch norms, or there are fewer than two windows.

    References
    ----------
    Li et al., Adaptive batch normalization for practical domain adaptation, Pattern Recognition 80, 2018.
    """
    adapted = copy.deepcopy(encoder).to(device).eval()
    norms = [module for module in adapted.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        raise ValueError("batch_norm: expected an encoder with batch norms for training, got one without")
    if len(x) < 2:
        raise ValueError(f"batch_norm: expected at least 2 training windows, got {len(x)}")
    mixed = np.random.default_rng(0).permutation(len(x))[:most]  # each batch of all kinds of windows
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    size = -(-len(mixed) // -(-len(mixed) // 128))  # batches alike, of at most 128
    with torch.inference_mode():
        for inputs in _batches(cast("Encoder", adapted).kind, x[mixed], picture or {}, size):
            adapted(inputs.to(device))
    return adapted.eval()


def _batches(kind: str, x: NDArray[Any], picture: Choice, size: int) -> Iterator[Tensor]:
    """Yield inputs of the encoder; the next batch is drawn while the encoder works on the present one."""

    def make(start: int) -> Tensor:
        part = np.ascontiguousarray(x[start : start + size], np.float32)
        return torch.from_numpy(rgb_image(part, dtype="float32", **picture) if kind == "image" else part)

    starts = range(0, len(x), size)
    with ThreadPoolExecutor(1) as drawing:
        ahead = drawing.submit(make, 0) if len(x) else None
        for start in starts:
            assert ahead is not None
            ready = ahead.result()
            if start + size < len(x):
                ahead = drawing.submit(make, start + size)
            yield ready


def layers_of(encoder: nn.Module, inputs: Tensor, required: Sequence[str]) -> dict[str, Tensor]:
    """Return the named features of a batch, in one pass through the encoder where it has maps.

    Parameters
    ----------
    encoder : nn.Module
        Encoder of pictures or signals.
    inputs : Tensor
        Batch of its input.
    required : sequence of str
        As for `EncoderSource`.

    Raises
    ------
    ValueError
        If the encoder lacks a layer.
    """
    if tuple(required) == ("last",):
        return {"last": encoder(inputs)}
    if hasattr(encoder, "maps"):  # a convolutional trunk: its embedding is the mean of its last map
        maps: dict[str, Tensor] = cast("Any", encoder).maps(inputs)
        known = {name: value.mean((2, 3)) for name, value in maps.items()}
        known["last"] = known[list(maps)[-1]]
        known |= {
            f"{name}.bands": nn.functional.adaptive_avg_pool2d(value, (6, 1)).flatten(1) for name, value in maps.items()
        }
    else:
        known = cast("Encoder", encoder).layers(inputs)
        known |= {"last": encoder(inputs)} if "last" in required else {}
    unknown = set(required) - set(known) - {"last"}
    if unknown:
        names = ", ".join(sorted({*known, "last"}))
        raise ValueError(f"layer: expected some of {names}, got {', '.join(sorted(unknown))}")
    return {name: known[name] for name in required}
