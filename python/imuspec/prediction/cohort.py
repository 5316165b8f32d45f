"""Computations on a cohort's recordings: features of an encoder, and activities of the wearers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.cohort.results import Computed
from imuspec.preparation import Prepared
from imuspec.run.named import expect_digest, load_encoder

if TYPE_CHECKING:
    import pyarrow as pa

    from imuspec.probing.sources import EncoderSource

__all__ = ["CohortActivities", "CohortEmbedding"]


@dataclass(frozen=True)
class CohortEmbedding:
    """Features of the selected wear of a recording: of each patch, or of each window for encoders without patches.

    The table has ``time`` (local device clock), ``start_s``, and ``feature_0``, ``feature_1``, ... A model of ``imuspec fit`` gives
    what its head takes: windows, layer and pictures are the model's own.

    Parameters
    ----------
    run : str
        A run's folder, random:FOLDER, a weights file, random, imagenet, statistics, or a folder of ``imuspec fit``.
    digest : str
        `weights_digest` of the run.
    layer : str, default "last"
        last, or an inner layer; an encoder of patches has last alone.
    nfft, hop : int
        Samples of a frame and between frames, for encoders of pictures.
    pictures : str
        `PictureSettings` as JSON.
    window_s : float, default 10.0
        Length of a window, s; encoders of patches take their own.
    fitted : bool, default False
        Whether the run is a model of ``imuspec fit``. Layer, pictures and length are then not used.
    """

    run: str
    digest: str
    layer: str = "last"
    nfft: int = 128
    hop: int = 8
    pictures: str = "{}"
    window_s: float = 10.0
    fitted: bool = False
    kind: str = "embeddings"

    @property
    def uses_torch(self) -> bool:
        """Whether there is an encoder."""
        return self.run != "statistics"

    def description(self) -> Mapping[str, Any]:
        """Return the settings that determine the features, beside the recording."""
        if self.fitted:
            return {"weights": self.digest}
        facts = {"weights": self.digest or self.run, "layer": self.layer, "window_s": self.window_s}
        return {**facts, "nfft": self.nfft, "hop": self.hop, "pictures": json.loads(self.pictures)}

    def __call__(self, prepared: Prepared) -> Computed:
        """Return the features of a recording."""
        model = _model(self.run, self.digest) if self.fitted else None
        if model is not None and model.front.kind != "patches":
            first, x = _windows(prepared, model.front.n_samples)
            return Computed(_features_table(prepared, first, model.embed(x)))
        encoder = None if self.run == "statistics" else _encoder(self.run, self.digest)
        if encoder is not None and hasattr(encoder, "patch"):
            first, features = _patch_features(encoder, prepared, stillness=model is not None and model.front.stillness)
        else:
            first, x = _windows(prepared, round(self.window_s * prepared.rate))
            features = self._window_features(encoder, x, prepared.rate)
        return Computed(_features_table(prepared, first, features))

    def _window_features(self, encoder: Any, x: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
        from imuspec.probing.parameter_free import StatisticsSource

        if encoder is None:
            return StatisticsSource(rate).features(x, {})["statistics"]
        choice = {} if encoder.kind == "signal" else {"nfft": self.nfft, "hop": self.hop}
        return self._source(encoder).features(x, choice)[self.layer]

    def _source(self, encoder: Any) -> EncoderSource:
        from imuspec.probing.sources import EncoderSource
        from imuspec.recipe.probing import PictureSettings

        pictures = PictureSettings.model_validate_json(self.pictures)
        return EncoderSource(encoder, pictures=pictures, layers=[self.layer])


@dataclass(frozen=True)
class CohortActivities:
    """Activities of the wearer: a class for each window; the summary has minutes of each day and class.

    Parameters
    ----------
    model : str
        A folder of ``imuspec fit``.
    digest : str
        `weights_digest` of the model.
    smooth : bool, default False
        Whether neighbouring windows correct each other.
    coverage : float, optional
        Coverage of prediction sets.
    """

    model: str
    digest: str
    smooth: bool = False
    coverage: float | None = None
    kind: str = "activities"
    uses_torch: bool = True

    def description(self) -> Mapping[str, Any]:
        """Return the settings that determine the classes, beside the recording."""
        return {"weights": self.digest, "smooth": self.smooth, "coverage": self.coverage}

    def __call__(self, prepared: Prepared) -> Computed:
        """Return the activities of a recording."""
        import pyarrow as pa

        from imuspec.prediction.predicting import activities_of

        model = _model(self.model, self.digest)
        result = activities_of(model, prepared, smooth=self.smooth, coverage=self.coverage)
        minutes = result.minutes()
        minutes["day"] = minutes["day"].dt.strftime("%Y-%m-%d")
        rows: list[Any] = minutes.astype(object).where(minutes.notna(), None).to_dict("records")
        return Computed(
            pa.Table.from_pandas(result.table(), preserve_index=False, nthreads=1).replace_schema_metadata(),
            tuple(rows),
        )


def _windows(prepared: Prepared, length: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the first sample of each whole window of selected wear, and the windows [N, 3, length], g."""
    assert prepared.acceleration is not None
    stretches = prepared.whole_stretches(length)
    first = np.concatenate([np.empty(0, np.int64), *(np.arange(a, b) * length for a, b in stretches)])
    if not len(first):
        raise ValueError(f"expected wear of a window of {length / prepared.rate:g} s, got none")
    x = np.lib.stride_tricks.sliding_window_view(prepared.acceleration, length, axis=1)[:, first].transpose(1, 0, 2)
    return first, np.ascontiguousarray(x)


def _features_table(prepared: Prepared, first: NDArray[np.int64], features: NDArray[np.float32]) -> pa.Table:
    import pyarrow as pa

    columns: dict[str, Any] = {
        "time": np.array([prepared.clock(i) for i in first.tolist()], np.int64).astype("M8[ns]"),
        "start_s": first / prepared.rate,
    }
    return pa.table({**columns, **{f"feature_{i}": features[:, i] for i in range(features.shape[1])}})


def _patch_features(
    encoder: Any, prepared: Prepared, *, stillness: bool
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the first sample and the features of each patch of selected wear, from the windows of an evaluation."""
    from imuspec.datasets.patches import scored_windows
    from imuspec.datasets.sequences import PatchSequence, PatchSequences
    from imuspec.prediction.front_end import with_stillness
    from imuspec.probing.patch_features import embed_patches

    assert prepared.acceleration is not None
    patch, window = int(encoder.patch), min(300, int(encoder.n_patches))
    stretches = prepared.whole_stretches(patch)
    if not stretches:
        raise ValueError(f"expected wear of a patch of {patch / prepared.rate:g} s, got none")
    items = tuple(
        PatchSequence(prepared.acceleration[:, a * patch : b * patch], np.full(b - a, -1), "", "") for a, b in stretches
    )
    sequences = PatchSequences(items, (), prepared.rate)
    result = embed_patches(encoder, sequences, window=window)
    if stillness:
        result = with_stillness(result, sequences, window)
    windows = [window_of_place for item in items for window_of_place in scored_windows(len(item.label), window=window)]
    parts = [x[first - start : end - start] for x, (start, first, end) in zip(result.x, windows, strict=True)]
    first = np.concatenate([np.arange(a, b) * patch for a, b in stretches])
    return first, np.concatenate(parts).astype(np.float32)


@lru_cache(maxsize=1)
def _encoder(run: str, digest: str) -> Any:
    """Load the encoder, once in a process."""
    expect_digest(run, digest)
    return load_encoder(run)


@lru_cache(maxsize=1)
def _model(path: str, digest: str) -> Any:
    from imuspec.prediction.model import load

    expect_digest(path, digest)
    return load(path)
