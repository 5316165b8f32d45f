"""How a frozen encoder is probed: splits, shots, picture settings, and the grid of the linear layer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.settings import NamedRecipe, Settings

__all__ = ["HeadSettings", "PictureSettings", "ProbeRecipe", "SplitSettings"]


class SplitSettings(Settings):
    """Who trains, who validates, who tests."""

    seeds: tuple[NonNegativeInt, ...] = Field((0, 1, 2, 3, 4), min_length=1, description="one split and one draw each")
    shots: tuple[PositiveInt, ...] = Field((10,), min_length=1, description="labelled windows of each class, nested")
    max_validation: PositiveInt | None = Field(None, description="validate on at most so many windows of each class")
    max_test: PositiveInt | None = Field(None, description="test on at most so many windows of each class")


class PictureSettings(Settings):
    """The spectrogram pictures that an image encoder sees; the grid is nfft times hop."""

    nfft: tuple[PositiveInt, ...] = Field((32, 64, 128, 256), min_length=1, description="samples of a frame")
    hop: tuple[PositiveInt, ...] = Field((2, 4, 8, 16), min_length=1, description="samples between frames")
    norm: Literal["axis-window", "joint-window", "fixed", "dataset"] = Field(
        "axis-window", description="over what a picture is scaled from least to largest; the first is the paper's"
    )
    range_db: tuple[float, float] | None = Field(
        None,
        description="decibels of black and white under fixed (by default -60 and 40) and dataset (by default percentiles 1 "
        "and 99 of each split's training windows)",
    )
    size: tuple[PositiveInt, PositiveInt] = Field(
        (96, 128), description="rows and columns; those that the encoder was pre-trained on"
    )
    batch_norm: Literal["kept", "training"] = Field(
        "kept",
        description="statistics in the encoder's batch norms: those of its pre-training (the paper's), or of the pictures of "
        "each split's training windows, labels unused",
    )


class HeadSettings(Settings):
    """The layer fitted on frozen features; learning rate and weight decay by the validation split."""

    epochs: PositiveInt = Field(50, description="passes over the labelled windows")
    batch: PositiveInt = Field(4, description="windows of one step")
    learning_rates: tuple[PositiveFloat, ...] = Field(
        (1e-1, 1e-2, 1e-3, 1e-4, 1e-5), min_length=1, description="Adam's learning rates to choose from"
    )
    weight_decays: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 1e-3, 1e-4), min_length=1, description="weight decays to choose from"
    )
    choose: Literal["best", "last"] = Field("best", description="epoch: the best on the validation split, or the last")


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
