"""The recipe of a classifier that is fitted to labelled people: folds, pictures, head, and fine-tuning of the encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.probing import HeadSettings, PictureSettings
from imuspec.recipe.settings import NamedRecipe, Settings

__all__ = ["FitHeadSettings", "FitRecipe", "FoldSettings", "PatchSettings", "TuningSettings"]


class FoldSettings(Settings):
    """Groups of people that are left out in turn, and the labels of the others."""

    folds: int = Field(5, ge=3, description="groups of people; one is scored, one validates, the others train, in turn")
    shots: PositiveInt | None = Field(None, description="training windows of each class; by default all")
    seed: NonNegativeInt = Field(0, description="seed of groups, draws, initial weights and orders")


class FitHeadSettings(HeadSettings):
    """The head on the features. The validation people select its settings."""

    kind: Literal["logistic", "linear", "mlp", "lstm"] = Field(
        "logistic",
        description="logistic: on standardised features, to convergence; linear: by Adam; mlp and lstm: patches only",
    )


class PatchSettings(Settings):
    """Settings of encoders of ten-second patches."""

    epochs: PositiveInt = Field(
        70, description="passes over the windows; a linear or mlp head takes least_steps or more"
    )
    batch: PositiveInt = Field(32, description="windows in a step")
    learning_rate: PositiveFloat = Field(1e-3, description="rate of Adam")
    least_steps: NonNegativeInt = Field(2000, description="least number of steps of a linear or mlp head")
    stillness: bool = Field(
        True, description="whether the head takes the log standard deviation of each axis of a patch too"
    )


class TuningSettings(Settings):
    """Fine-tuning of the encoder, from the head that was fitted on its frozen features."""

    train: Literal["head", "last", "all"] = Field(
        "head", description="trained weights: the head, also the last block of the encoder, or all"
    )
    epochs: PositiveInt = Field(30, description="most passes over the training windows")
    patience: PositiveInt = Field(
        15, description="epochs without a better macro-F1 of the validation people before the stop"
    )
    batch: PositiveInt = Field(32, description="windows in a step")
    learning_rate: PositiveFloat | None = Field(
        None,
        description="highest rate of the head, by AdamW: a rise over a tenth of the steps, then a cosine to zero; "
        "by default 1e-4 for encoders of pictures and 1e-3 for others",
    )
    block_decay: PositiveFloat = Field(
        0.75, le=1, description="rate of a block of the encoder, divided by that of the block above it"
    )
    weight_decay: NonNegativeFloat = Field(0.01, description="weight decay of AdamW")
    class_weights: bool = Field(True, description="whether each class has the same weight in the loss")
    augmentations: tuple[str, ...] = Field(
        ("noise", "scale", "time_warp"),
        description="operations of imuspec.views.signal on half of the training windows, in order, before a picture is drawn",
    )


class FitRecipe(NamedRecipe):
    """Every number of one fitted classifier.

    Examples
    --------
    >>> from imuspec.recipe import FitRecipe
    >>> FitRecipe().set("tuning.train=all").tuning.train
    'all'
    """

    named = "recipes/fit"

    split: FoldSettings = FoldSettings()
    pictures: PictureSettings = PictureSettings()
    head: FitHeadSettings = FitHeadSettings()
    patches: PatchSettings = PatchSettings()
    tuning: TuningSettings = TuningSettings()
