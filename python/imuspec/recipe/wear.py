"""What a pre-training on days of wear is: the masked auto-encoder's sections."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from imuspec.recipe.sections import EncoderSettings, ObjectiveSettings, ViewsSettings
from imuspec.recipe.settings import Settings

__all__ = ["MaskedSettings", "RoFormerSettings", "UnchangedViewsSettings", "WearSourceSettings"]


class WearSourceSettings(Settings):
    """A random day of wear from each recording of a cohort, cut into windows of fifty minutes."""

    name: Literal["wear"] = "wear"
    hours: PositiveFloat = Field(24.0, description="stretch of wear of each recording in an epoch, h")
    recordings: PositiveInt = Field(8, description="recordings of a batch, all processes together")
    window_s: PositiveFloat = Field(3000.0, description="length of a window, s")
    overlap_s: NonNegativeFloat = Field(300.0, description="what two windows share at least, s")
    patch_s: PositiveFloat = Field(10.0, description="length of a patch, s")
    strict: bool = Field(False, description="windows that overlap exactly: 31 a day; false: 32 spread over it")
    mask: float = Field(0.6, gt=0, lt=1, description="part of a window's patches that is hidden")
    shorter: Literal["skip", "whole"] = Field(
        "whole", description="a recording without so long a stretch: leave it out, or take its longest whole"
    )
    missing: Literal["drop", "mask"] = Field(
        "drop",
        description="drop: stretches of kept wear; mask: any stretch, non-wear and gaps marked as missing patches",
    )
    visits: PositiveInt = Field(1, description="stretches of each recording in an epoch")
    share: float = Field(1.0, gt=0, le=1, description="part of the recordings that is trained on, nested")
    validation: float = Field(0.1, ge=0, lt=1, description="part of the recordings that is held out to validate")
    workers: int = Field(-1, ge=-1, description="processes that read ahead; -1: a core each, but one")


class UnchangedViewsSettings(ViewsSettings):
    """The batch as the source gives it."""

    name: Literal["unchanged"] = "unchanged"


class RoFormerSettings(EncoderSettings):
    """A transformer over patches with rotary positions."""

    name: Literal["roformer"] = "roformer"
    patch: PositiveInt = Field(300, description="samples of a patch: patch_s at the cohort's rate")
    width: PositiveInt = Field(256, description="size of a patch's embedding, a multiple of 2 n_heads")
    depth: PositiveInt = Field(12, description="blocks")
    n_heads: PositiveInt = Field(8, description="attention heads")
    hidden: PositiveInt | None = Field(None, description="width inside the feed-forward; none: 8/3 of width, rounded")
    n_patches: PositiveInt = Field(300, description="most patches of a window")


class MaskedSettings(ObjectiveSettings):
    """Reconstruction of hidden patches: log mean magnitude (LMM), its variance (LMV), squared error (MSE)."""

    source: ClassVar[str] = "wear"
    views: ClassVar[tuple[str, ...]] = ("unchanged",)
    encoders: ClassVar[tuple[str, ...]] = ("roformer",)

    name: Literal["masked"] = "masked"
    nfft: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = Field(
        (32,), description="samples of a frame; several are summed"
    )
    floor: PositiveFloat = Field(0.1, description="least mean magnitude or variance that the logarithm tells apart")
    eps_per_root_n: PositiveFloat | None = Field(None, description="floor of this times the root of nfft instead")
    literal_min: bool = Field(False, description="a cap where the floor is, as the paper's equations are printed")
    unbiased: bool = Field(False, description="variance divided by one less than the number of frames")
    lmm: NonNegativeFloat = Field(1.0, description="weight of the log mean magnitude")
    lmv: NonNegativeFloat = Field(0.0, description="weight of the log magnitude variance")
    mse: NonNegativeFloat = Field(0.0, description="weight of the mean squared error")
