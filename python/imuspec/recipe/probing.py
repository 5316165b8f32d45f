"""The recipe of a probe of a frozen encoder: splits, labelled windows, picture settings, and grid of the linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.settings import Distinct, NamedRecipe, Settings, Values

__all__ = ["HeadSettings", "PictureSettings", "ProbeRecipe", "SplitSettings"]


class SplitSettings(Settings):
    """Subjects and windows for training, validation and test."""

    seeds: Annotated[tuple[NonNegativeInt, ...], Distinct] = Field(
        (0, 1, 2, 3, 4), min_length=1, description="seeds; each gives a split and a draw of training windows"
    )
    shots: Annotated[tuple[PositiveInt, ...], Distinct] = Field(
        (10,), min_length=1, description="training windows of each class; a smaller set is part of the larger ones"
    )
    max_validation: PositiveInt | None = Field(None, description="largest number of validation windows of each class")
    max_test: PositiveInt | None = Field(None, description="largest number of test windows of each class")


class PictureSettings(Settings):
    """The spectrogram pictures for an image encoder. Every combination of nfft and hop is tried."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "range_db": ("norm", ("fixed", "dataset")),
    }

    nfft: Annotated[tuple[PositiveInt, ...], Distinct] = Field(
        (32, 64, 128, 256), min_length=1, description="samples of a frame"
    )
    hop: Annotated[tuple[PositiveInt, ...], Distinct] = Field(
        (2, 4, 8, 16), min_length=1, description="samples between frames"
    )
    norm: Literal["axis-window", "joint-window", "fixed", "dataset"] = Field(
        "axis-window", description="values whose minimum and maximum are black and white; the first is the paper's"
    )
    range_db: tuple[float, float] | None = Field(
        None,
        description="decibels of black and white with fixed (by default -60 and 40) and dataset (by default percentiles 1 "
        "and 99 of each split's training windows)",
    )
    size: tuple[PositiveInt, PositiveInt] = Field(
        (96, 128), description="rows and columns, as in the encoder's pre-training"
    )
    batch_norm: Literal["kept", "training"] = Field(
        "kept",
        description="statistics of the encoder's batch norms: kept from its pre-training (paper), or those of the pictures of "
        "each split's training windows, without labels",
    )


class HeadSettings(Settings):
    """The linear layer on frozen embeddings. The validation split selects learning rate and weight decay."""

    epochs: PositiveInt = Field(50, description="passes over the training windows")
    batch: PositiveInt = Field(4, description="windows in a step")
    learning_rates: Annotated[tuple[PositiveFloat, ...], Distinct] = Field(
        (1e-1, 1e-2, 1e-3, 1e-4, 1e-5), min_length=1, description="learning rates of Adam to try"
    )
    weight_decays: Annotated[tuple[NonNegativeFloat, ...], Distinct] = Field(
        (0.0, 1e-3, 1e-4), min_length=1, description="weight decays to try"
    )
    choose: Literal["best", "last"] = Field(
        "best", description="selected epoch: the best on the validation split, or the last"
    )


class ProbeRecipe(NamedRecipe):
    """Every number of one probe.

    Examples
    --------
    >>> from imuspec.recipe import ProbeRecipe
    >>> ProbeRecipe().set("split.shots=[1, 10]").split.shots
    (1, 10)
    """

    named = "recipes/probe"

    split: SplitSettings = SplitSettings()
    pictures: PictureSettings = PictureSettings()
    head: HeadSettings = HeadSettings()
