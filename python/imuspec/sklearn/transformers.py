"""Transformers: windows to pictures, spectrograms, features and embeddings."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from imuspec.errors import require
from imuspec.sklearn.models import is_model, load_model, other_form
from imuspec.sklearn.windows import AXES, WindowTransformer
from imuspec.spectral.image import rgb_image, training_range
from imuspec.spectral.magnitude import log_mean_magnitude
from imuspec.spectral.settings import ImageSettings, Norm
from imuspec.spectral.spectrogram import spectrogram
from imuspec.spectral.statistics import window_features

if TYPE_CHECKING:
    from imuspec.prediction import Model

__all__ = ["Embedding", "LogMeanMagnitude", "RgbImage", "Spectrogram", "WindowStatistics"]


def _range_of(
    x: NDArray[Any], norm: str, range_db: tuple[float, float] | None, nfft: int, noverlap: int | None
) -> tuple[float, float] | None:
    """Return the decibels of black and white: those given, or of the training windows for "dataset"."""
    if norm != "dataset" or range_db is not None:
        return range_db
    return training_range(x, nfft=nfft, noverlap=noverlap)


class RgbImage(WindowTransformer):
    """The spectrogram picture of each window, as `imuspec.rgb_image`; levels ``[n, 3 * rows * columns]``, uint8.

    Parameters
    ----------
    nfft : int, default 128
        Samples of a frame.
    noverlap : int, optional
        Samples that neighbouring frames share; by default all but a sixteenth of a frame.
    norm : {"axis-window", "joint-window", "fixed", "dataset"}, default "axis-window"
        Part of the data between whose smallest and largest decibels levels are spread. "dataset": percentiles 1 and 99 of the
        windows that `fit` receives, which are those of the training part in a cross-validation.
    range_db : (float, float), optional
        Decibels of black and white with "fixed", and with "dataset" in place of percentiles.
    levels : {"greys", "linear"}, default "greys"
        Levels of the picture.
    resize : {"canvas", "antialias", "bilinear"}, default "canvas"
        Method of the change of size.
    size : (int, int) or None, default (96, 128)
        Rows and columns; None stores the native grid.
    floor_db : float, optional
        Largest distance below the strongest cell, dB.

    Attributes
    ----------
    range_db_ : (float, float) or None
        Decibels of black and white that `fit` determined.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.sklearn import RgbImage
    >>> x = np.random.default_rng(0).normal(size=(4, 3, 250)).astype(np.float32)
    >>> pictures = RgbImage(nfft=64, size=(24, 32)).fit(x)
    >>> pictures.transform(x).shape, pictures.get_feature_names_out()[-1]
    ((4, 2304), 'z_row23_column31')
    """

    def __init__(
        self,
        *,
        nfft: int = 128,
        noverlap: int | None = None,
        norm: Norm = "axis-window",
        range_db: tuple[float, float] | None = None,
        levels: Literal["greys", "linear"] = "greys",
        resize: Literal["canvas", "antialias", "bilinear"] = "canvas",
        size: tuple[int, int] | None = (96, 128),
        floor_db: float | None = None,
    ) -> None:
        self.nfft = nfft
        self.noverlap = noverlap
        self.norm = norm
        self.range_db = range_db
        self.levels = levels
        self.resize = resize
        self.size = size
        self.floor_db = floor_db

    def _fitted(self, X: NDArray[Any]) -> list[str]:
        self.range_db_ = _range_of(X, self.norm, self.range_db, self.nfft, self.noverlap)
        self._features(X[:1])  # refuses settings that these windows cannot have
        settings = self._settings()
        columns = (max(X.shape[2], settings.nfft) - settings.nfft) // (settings.nfft - settings.overlap) + 1
        rows, columns = settings.size or (settings.nfft // 2 + 1, columns)
        return [f"{axis}_row{row}_column{column}" for axis in AXES for row in range(rows) for column in range(columns)]

    def _features(self, X: NDArray[Any]) -> NDArray[Any]:
        return rgb_image(X, self._settings())

    def _settings(self) -> ImageSettings:
        return ImageSettings(**{**self.get_params(), "range_db": self.range_db_})


class Spectrogram(WindowTransformer):
    """The spectrogram of each axis, as `imuspec.spectrogram`; ``[n, 3 * frequencies * frames]``.

    Parameters
    ----------
    rate : float, default 50.0
        Sample rate of the windows, Hz.
    nperseg : int, default 64
        Samples of a frame.
    noverlap : int, optional
        Samples that neighbouring frames share; by default an eighth of a frame.
    nfft : int, optional
        Length of the transform; by default `nperseg`.
    window : str or tuple, default "hann"
        Window of a frame.
    detrend : {False, "constant", "linear"}, default "constant"
        Part that is removed from each frame.
    scaling : {"density", "spectrum"}, default "density"
        g^2/Hz or g^2.
    db : bool, default True
        Whether the result is in decibels.
    floor : float, default 1e-10
        Smallest power, so that decibels are finite.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.sklearn import Spectrogram
    >>> x = np.random.default_rng(0).normal(size=(4, 3, 250)).astype(np.float32)
    >>> names = Spectrogram(rate=50, nperseg=100, noverlap=0).fit(x).get_feature_names_out()
    >>> len(names), names[1]
    (306, 'x_0Hz_3s')
    """

    def __init__(
        self,
        *,
        rate: float = 50.0,
        nperseg: int = 64,
        noverlap: int | None = None,
        nfft: int | None = None,
        window: str | tuple[Any, ...] = "hann",
        detrend: Literal[False, "constant", "linear"] = "constant",
        scaling: Literal["density", "spectrum"] = "density",
        db: bool = True,
        floor: float = 1e-10,
    ) -> None:
        self.rate = rate
        self.nperseg = nperseg
        self.noverlap = noverlap
        self.nfft = nfft
        self.window = window
        self.detrend = detrend
        self.scaling = scaling
        self.db = db
        self.floor = floor

    def _fitted(self, X: NDArray[Any]) -> list[str]:
        if not self.floor > 0:
            raise ValueError(f"floor: expected a positive power, got {self.floor}")
        frequency, time, _ = self._parts(X[:1])
        return [f"{axis}_{f:.4g}Hz_{t:.4g}s" for axis in AXES for f in frequency for t in time]

    def _features(self, X: NDArray[Any]) -> NDArray[Any]:
        power = self._parts(X)[2]
        return 10 * np.log10(np.maximum(power, power.dtype.type(self.floor))) if self.db else power

    def _parts(self, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        return spectrogram(
            X,
            self.rate,
            self.window,
            self.nperseg,
            self.noverlap,
            self.nfft,
            detrend=self.detrend,
            scaling=self.scaling,
        )


class LogMeanMagnitude(WindowTransformer):
    """The log of the mean magnitude spectrum of each axis, as `imuspec.log_mean_magnitude`; ``[n, 3 * bins]``.

    Parameters
    ----------
    nfft : int, default 32
        Samples of a frame.
    hop : int, optional
        Samples between frames; by default half a frame.
    floor : float, default 0.1
        Smallest mean magnitude, g.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.sklearn import LogMeanMagnitude
    >>> x = np.random.default_rng(0).normal(size=(4, 3, 250)).astype(np.float32)
    >>> LogMeanMagnitude(nfft=32).fit_transform(x).shape
    (4, 51)
    """

    def __init__(self, *, nfft: int = 32, hop: int | None = None, floor: float = 0.1) -> None:
        self.nfft = nfft
        self.hop = hop
        self.floor = floor

    def _fitted(self, X: NDArray[Any]) -> list[str]:
        bins = self._features(X[:1]).shape[-1]
        return [f"{axis}_bin{index}" for axis in AXES for index in range(bins)]

    def _features(self, X: NDArray[Any]) -> NDArray[Any]:
        return log_mean_magnitude(X, nfft=self.nfft, hop=self.hop, floor=self.floor)


class WindowStatistics(WindowTransformer):
    """The 78 statistics of each window, as `imuspec.spectral.statistics.window_features`.

    Parameters
    ----------
    rate : float, default 50.0
        Sample rate of the windows, Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from imuspec.sklearn import WindowStatistics
    >>> x = np.random.default_rng(0).normal(size=(4, 3, 250)).astype(np.float32)
    >>> WindowStatistics(rate=50).fit(x).get_feature_names_out()[:2].tolist()
    ['x_mean', 'y_mean']
    """

    def __init__(self, *, rate: float = 50.0) -> None:
        self.rate = rate

    def _fitted(self, X: NDArray[Any]) -> list[str]:
        return list(window_features(X[:1], self.rate)[1])

    def _features(self, X: NDArray[Any]) -> NDArray[Any]:
        return window_features(X, self.rate)[0]


class Embedding(WindowTransformer):
    """Frozen embeddings of an encoder or of a fitted model, ``[n, features]``.

    `fit` loads the encoder; no weight changes. A picture encoder receives `imuspec.rgb_image` with the settings below. A model
    of ``imuspec fit`` gives what its head takes (`imuspec.Model.embed`), from its own pictures and layer.

    Parameters
    ----------
    run : str or path, default "random"
        A folder of ``imuspec fit``, a run's folder, "random:" and a run's folder, "random", "imagenet" or a weights file, as in
        `imuspec.run.named.load_encoder`.
    rate : float, default 50.0
        Sample rate of the windows, Hz. A run that was pre-trained on windows requires its own length and rate, as a fitted model
        does; a model of patches takes windows of any number of patches.
    layer : str, default "last"
        Layer of the encoder, as in `imuspec.probing.embed`. A fitted model has its own layer and pictures, so this setting and
        the next three must be the defaults.
    nfft : int, default 128
        Samples of a frame of the picture.
    noverlap : int, optional
        Samples that neighbouring frames share; by default all but a sixteenth of a frame.
    norm : {"axis-window", "joint-window", "fixed", "dataset"}, default "axis-window"
        Normalisation of the picture, as in `RgbImage`.
    batch : int, default 64
        Windows of one pass.
    device : str, default "cpu"
        Device of the encoder.

    Attributes
    ----------
    encoder_ : Encoder
        The encoder of a run, a name or a file.
    model_ : Model or None
        The fitted model.

    Raises
    ------
    ValueError
        If the windows do not have the length and rate that the encoder requires, or a setting of pictures is given with a
        fitted model.

    Examples
    --------
    >>> from imuspec.sklearn import Embedding
    >>> Embedding("runs/mine").fit_transform(x)  # doctest: +SKIP
    """

    def __init__(
        self,
        run: str | Path = "random",
        *,
        rate: float = 50.0,
        layer: str = "last",
        nfft: int = 128,
        noverlap: int | None = None,
        norm: Norm = "axis-window",
        batch: int = 64,
        device: str = "cpu",
    ) -> None:
        self.run = run
        self.rate = rate
        self.layer = layer
        self.nfft = nfft
        self.noverlap = noverlap
        self.norm = norm
        self.batch = batch
        self.device = device

    def _fitted(self, X: NDArray[Any]) -> list[str]:
        require("imuspec.sklearn.Embedding", "torch")
        self.model_: Model | None = None
        if is_model(self.run):
            return self._fitted_of_model(X)
        from imuspec.encoders.fusion import AccelerationAlone
        from imuspec.run.named import checked_device, load_encoder, picture_size, window_form

        checked_device(self.device)
        name = str(self.run)
        form = window_form(name)
        if form is not None and (abs(form[1] / self.rate - 1) > 1e-6 or round(form[0] * form[1]) != X.shape[2]):
            raise ValueError(other_form(name, form, X.shape[2], self.rate))
        encoder = load_encoder(name)
        if encoder.n_axes == 6:
            warnings.warn(f"{name}: takes six axes: the gyroscope axes are zero", UserWarning, stacklevel=2)
            encoder = AccelerationAlone(encoder)
        self.encoder_ = encoder
        self.picture_ = None
        if encoder.kind == "image":
            size = picture_size(name) or (96, 128)
            self.picture_ = {
                "nfft": self.nfft,
                "noverlap": self.noverlap,
                "norm": self.norm,
                "range_db": _range_of(X, self.norm, None, self.nfft, self.noverlap),
                "size": size,
            }
        return [f"embedding{index}" for index in range(self._features(X[:1]).shape[1])]

    def _fitted_of_model(self, X: NDArray[Any]) -> list[str]:
        given = self.get_params()
        for name in ("layer", "nfft", "noverlap", "norm"):
            default = inspect.signature(type(self)).parameters[name].default
            if given[name] != default:
                raise ValueError(
                    f"{name}: expected {default!r}, as the model {self.run} has its own, got {given[name]!r}"
                )
        model = self.model_ = load_model(self.run, X.shape[2], self.rate)
        values = model.embed(X[:1])[0]
        if model.encoder is None:
            return list(window_features(X[:1], self.rate)[1])
        still = [f"stillness_{axis}" for axis in AXES] if model.front.stillness else []
        names = [*(f"embedding{index}" for index in range(values.shape[-1] - len(still))), *still]
        if values.ndim == 1 or len(values) == 1:
            return names
        return [f"patch{patch}_{name}" for patch in range(len(values)) for name in names]

    def _features(self, X: NDArray[Any]) -> NDArray[Any]:
        if self.model_ is not None:
            return self.model_.embed(X)
        from imuspec.probing import embed

        layers: Sequence[str] = (self.layer,)
        parts = embed(self.encoder_, X, picture=self.picture_, layers=layers, batch=self.batch, device=self.device)
        return parts[self.layer]
