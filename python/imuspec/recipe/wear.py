"""The sections of a pre-training on days of wear: those of the masked auto-encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.sections import EncoderSettings, Need, ObjectiveSettings, ViewsSettings
from imuspec.recipe.settings import Distinct, Settings, Values

__all__ = ["MaskedSettings", "RoFormerSettings", "UnchangedViewsSettings", "WearSourceSettings"]


class WearSourceSettings(Settings):
    """A random day of wear of each recording of a cohort, divided into windows of fifty minutes."""

    name: Literal["wear"] = "wear"
    hours: PositiveFloat = Field(24.0, description="length of the stretch of wear from each recording, h")
    recordings: PositiveInt = Field(8, description="recordings in a batch, over all processes")
    window_s: PositiveFloat = Field(3000.0, description="length of a window, s")
    overlap_s: NonNegativeFloat = Field(300.0, description="smallest overlap of neighbouring windows, s")
    patch_s: PositiveFloat = Field(10.0, description="length of a patch, s")
    strict: bool = Field(
        False,
        description="all windows overlap by exactly overlap_s, 31 a day; false: 32 windows that cover the whole day",
    )
    mask: float = Field(0.6, gt=0, lt=1, description="share of a window's patches to hide")
    shorter: Literal["skip", "whole"] = Field(
        "whole",
        description="recordings without so long a stretch; skip: leave them out; whole: use their longest stretch",
    )
    missing: Literal["drop", "mask"] = Field(
        "drop",
        description="drop: only stretches of wear; mask: any stretch, with non-wear and gaps marked as missing patches",
    )
    visits: PositiveInt = Field(1, description="number of stretches from each recording in an epoch")
    share: float = Field(
        1.0, gt=0, le=1, description="share of the people to train on; a smaller share is part of a larger one"
    )
    validation: float = Field(
        0.1, ge=0, lt=1, description="share of the people whose recordings are held out for validation"
    )
    split_seed: NonNegativeInt = Field(
        0,
        description="seed of the held-out people, of the order of a share, and of the days and hidden patches of validation; "
        "training.seed does not change them",
    )
    workers: int = Field(-1, ge=-1, description="processes that read data; -1: one less than the number of cores")


class UnchangedViewsSettings(ViewsSettings):
    """One view: the batch of the source, unchanged."""

    name: Literal["unchanged"] = "unchanged"


class RoFormerSettings(EncoderSettings):
    """A transformer on patches, with rotary position embedding."""

    name: Literal["roformer"] = "roformer"
    patch: PositiveInt = Field(300, description="samples in a patch: patch_s times the cohort's rate")
    width: PositiveInt = Field(256, description="width of the embedding of a patch, a multiple of 2 n_heads")
    depth: PositiveInt = Field(12, description="number of blocks")
    n_heads: PositiveInt = Field(8, description="number of attention heads")
    hidden: PositiveInt | None = Field(
        None, description="width of the feed-forward network's hidden layer; by default 8/3 of width, rounded"
    )
    n_patches: PositiveInt = Field(300, description="largest number of patches in a window")


class MaskedSettings(ObjectiveSettings):
    """Reconstruct hidden patches. The loss compares log mean magnitude (LMM), log magnitude variance (LMV) and samples (MSE)."""

    source: ClassVar[str] = "wear"
    views: ClassVar[tuple[str, ...]] = ("unchanged",)
    encoders: ClassVar[tuple[str, ...]] = ("roformer",)
    needs: ClassVar[tuple[Need, ...]] = ("share",)

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "floor": ("eps_per_root_n", (None,)),
    }

    name: Literal["masked"] = "masked"
    nfft: Annotated[tuple[PositiveInt, ...], Distinct, Field(min_length=1)] = Field(
        (32,), description="samples in a frame; the losses of several lengths are summed"
    )
    floor: PositiveFloat = Field(0.1, description="lower limit of mean magnitude and variance before the logarithm")
    eps_per_root_n: PositiveFloat | None = Field(
        None, description="if given, the floor is this times the square root of nfft"
    )
    literal_min: bool = Field(False, description="floor is an upper limit, as the paper's equations are printed")
    unbiased: bool = Field(False, description="divide the variance by one less than the number of frames")
    lmm: NonNegativeFloat = Field(1.0, description="weight of the log mean magnitude")
    lmv: NonNegativeFloat = Field(0.0, description="weight of the log magnitude variance")
    mse: NonNegativeFloat = Field(0.0, description="weight of the mean squared error")
    mean: NonNegativeFloat = Field(
        0.0, description="weight of the squared difference of each axis's signed mean; not in the paper"
    )
