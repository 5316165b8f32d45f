"""The sections of a pre-training that start from the signal, and those of vision transformers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.sections import ANY_SIGNAL, EncoderSettings, Need, ObjectiveSettings, ViewsSettings
from imuspec.recipe.settings import Settings

__all__ = [
    "Cnn1dSettings",
    "CpcEncoderSettings",
    "CpcOriginalEncoderSettings",
    "CpcOriginalSettings",
    "CpcSettings",
    "HarnetSettings",
    "HarnetTasksSettings",
    "LimuBertEncoderSettings",
    "LimuBertSettings",
    "MaeSettings",
    "MocoV3Settings",
    "MocoV3ViewsSettings",
    "MultitaskSettings",
    "SignalPairSettings",
    "SimClrSettings",
    "SpanMaskSettings",
    "TpnSettings",
    "TransformCopiesSettings",
    "TransformLabelsSettings",
    "VitSettings",
    "WindowSourceSettings",
]

Share = Annotated[float, Field(gt=0, lt=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Operation = Literal[
    "noise",
    "scale",
    "rotate",
    "negate",
    "reverse",
    "permute",
    "time_warp",
    "shuffle_axes",
    "magnitude_warp",
    "resample_at_random",
    "scale_clearly",
]
_EIGHT: tuple[Operation, ...] = (
    "noise",
    "scale",
    "rotate",
    "negate",
    "reverse",
    "permute",
    "time_warp",
    "shuffle_axes",
)
_FOUR: tuple[Operation, ...] = ("reverse", "permute", "scale_clearly", "time_warp")


class WindowSourceSettings(Settings):
    """Windows of a labelled set, labels unused, or of a cohort's wear."""

    name: Literal["windows"] = "windows"
    window_s: PositiveFloat = Field(10.0, description="length of a window, s")
    rate_hz: PositiveFloat = Field(50.0, description="rate of the signal, Hz; a cohort's or a set's is brought to it")
    overlap: float = Field(0.5, ge=0, lt=1, description="share of a window that the next one repeats")
    standardise: bool = Field(
        True, description="subtract each axis's mean and divide by its standard deviation, both kept with the encoder"
    )
    subjects: Share | Literal[1] = Field(
        1, description="share of the subjects to use, drawn by subject_seed; the others are left for probing"
    )
    subject_seed: NonNegativeInt = Field(0, description="which subjects")
    limit: NonNegativeInt = Field(200_000, description="use a random draw of this many windows; 0: all")


class SignalPairSettings(ViewsSettings):
    """Two views of a window, drawn independently."""

    name: Literal["signal_pair"] = "signal_pair"
    operations: tuple[Operation, ...] = Field(("rotate",), min_length=1, description="operations")
    compose: Literal["all", "one"] = Field("all", description="all, in this order; one: for each window one of them")


class TransformCopiesSettings(ViewsSettings):
    """A window and one copy for each operation."""

    name: Literal["transform_copies"] = "transform_copies"
    operations: tuple[Operation, ...] = Field(_EIGHT, min_length=1, description="operations to recognise")

    @property
    def n_tasks(self) -> int:
        """Number of operations."""
        return len(self.operations)


class TransformLabelsSettings(ViewsSettings):
    """A window with each operation applied or not."""

    name: Literal["transform_labels"] = "transform_labels"
    operations: tuple[Operation, ...] = Field(_FOUR, min_length=1, description="operations to recognise")
    probability: Share = Field(0.5, description="chance of each")
    turned: bool = Field(True, description="turn each window at random and shuffle its axes before")

    @property
    def n_tasks(self) -> int:
        """Number of operations."""
        return len(self.operations)


class SpanMaskSettings(ViewsSettings):
    """Spans of a window are hidden."""

    name: Literal["span_mask"] = "span_mask"
    share: Share = Field(0.15, description="share of the steps to reconstruct")
    longest: PositiveInt = Field(10, description="longest span, steps")
    stop: Share = Field(0.2, description="chance that a span ends at each step")
    hidden: float = Field(0.8, ge=0, le=1, description="chance that a window's chosen steps are hidden at all")


class MocoV3ViewsSettings(ViewsSettings):
    """MoCo v3's two unequal views of a picture."""

    name: Literal["moco_v3"] = "moco_v3"
    crop_min: float = Field(0.08, gt=0, le=1, description="smallest area of a crop, as a fraction of the picture")


class Cnn1dSettings(EncoderSettings):
    """Three convolutions over time."""

    name: Literal["cnn1d"] = "cnn1d"
    kernel: PositiveInt = Field(3, description="length of a convolution, samples; odd")
    dropout: Dropout = Field(0.2, description="share of activations that training drops")
    pool: Literal["max", "mean"] = Field("max", description="how frames become one embedding")


class TpnSettings(EncoderSettings):
    """The transformation prediction network."""

    name: Literal["tpn"] = "tpn"
    dropout: Dropout = Field(0.1, description="share of activations that training drops")


class LimuBertEncoderSettings(EncoderSettings):
    """LIMU-BERT's transformer; it learns a position for each sample of a window."""

    needs: ClassVar[tuple[Need, ...]] = ("n_steps",)

    name: Literal["limu_bert"] = "limu_bert"
    width: PositiveInt = Field(72, description="width of a state")
    hidden: PositiveInt = Field(144, description="width inside a layer")
    n_heads: PositiveInt = Field(4, description="heads of attention")
    n_layers: PositiveInt = Field(4, description="layers, which share their weights")


class CpcEncoderSettings(EncoderSettings):
    """Strided convolutions, then causal ones (enhanced CPC)."""

    name: Literal["cpc"] = "cpc"
    n_layers: PositiveInt = Field(5, le=12, description="causal layers")
    dropout: Dropout = Field(0.2, description="share of activations that training drops")
    norm: Literal["window", "frame"] = Field("window", description="what a context's norm sees: the window, or a frame")


class CpcOriginalEncoderSettings(EncoderSettings):
    """Three convolutions, then a GRU (original CPC)."""

    name: Literal["cpc_original"] = "cpc_original"
    dropout: Dropout = Field(0.2, description="share of activations that training drops")


class HarnetSettings(EncoderSettings):
    """HARNet's residual network, at 30 Hz."""

    name: Literal["harnet"] = "harnet"
    window_s: Literal[5, 10, 30] = Field(10, description="length of a window, s")
    clip_g: PositiveFloat | None = Field(None, description="clip to plus and minus this, g")


class VitSettings(EncoderSettings):
    """A vision transformer on pictures of 96 x 128."""

    name: Literal["vit"] = "vit"
    size: Literal["tiny", "small", "base"] = Field("small", description="384 wide, 768, or 192")
    image: tuple[PositiveInt, PositiveInt] = Field((96, 128), description="rows and columns, multiples of 16")
    positions: Literal["learned", "sincos"] = Field("learned", description="learned, or fixed sines and cosines")
    n_heads: PositiveInt | None = Field(None, description="heads of attention; none: timm's")
    frozen_patches: bool = Field(False, description="keep the patch projection's random start")


class LimuBertSettings(ObjectiveSettings):
    """Masked reconstruction."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("span_mask",)
    encoders: ClassVar[tuple[str, ...]] = ("limu_bert",)

    name: Literal["limu_bert"] = "limu_bert"


class SimClrSettings(ObjectiveSettings):
    """Two views agree, no two windows do."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("signal_pair",)
    encoders: ClassVar[tuple[str, ...]] = ANY_SIGNAL

    name: Literal["simclr"] = "simclr"
    widths: tuple[PositiveInt, ...] = Field((256, 128, 50), min_length=1, description="widths of the head's layers")
    temperature: PositiveFloat = Field(0.1, description="temperature of the softmax")


class MultitaskSettings(ObjectiveSettings):
    """Recognise the operation: a binary head each."""

    needs: ClassVar[tuple[Need, ...]] = ("n_tasks",)
    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("transform_copies", "transform_labels")
    encoders: ClassVar[tuple[str, ...]] = ANY_SIGNAL

    name: Literal["multitask"] = "multitask"
    hidden: PositiveInt = Field(256, description="width of a head")


class HarnetTasksSettings(ObjectiveSettings):
    """Recognise the operations: a linear layer each."""

    needs: ClassVar[tuple[Need, ...]] = ("n_tasks",)
    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("transform_labels",)
    encoders: ClassVar[tuple[str, ...]] = ANY_SIGNAL

    name: Literal["harnet_tasks"] = "harnet_tasks"


class CpcSettings(ObjectiveSettings):
    """Tell coming frames from others of the window."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("unchanged",)
    encoders: ClassVar[tuple[str, ...]] = ("cpc",)

    name: Literal["cpc"] = "cpc"
    n_steps: PositiveInt = Field(12, description="frames to predict from each")
    n_negatives: PositiveInt = Field(10, description="other frames to tell it from")


class CpcOriginalSettings(ObjectiveSettings):
    """Tell coming frames from those of other windows."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("unchanged",)
    encoders: ClassVar[tuple[str, ...]] = ("cpc_original",)

    name: Literal["cpc_original"] = "cpc_original"
    n_steps: PositiveInt = Field(28, description="frames to predict from one")


class MocoV3Settings(ObjectiveSettings):
    """Contrast over the batch with a slow copy of the encoder."""

    needs: ClassVar[tuple[Need, ...]] = ("total_steps",)

    name: Literal["moco_v3"] = "moco_v3"
    momentum: float = Field(0.99, ge=0, lt=1, description="how much of the copy stays at each step, at the start")
    temperature: PositiveFloat = Field(0.2, description="temperature of the softmax")
    hidden: PositiveInt = Field(4096, description="width inside projector and predictor")
    width: PositiveInt = Field(256, description="width of the contrasted vector")


class MaeSettings(ObjectiveSettings):
    """Paint hidden patches."""

    views: ClassVar[tuple[str, ...]] = ("whole",)
    encoders: ClassVar[tuple[str, ...]] = ("vit",)

    name: Literal["mae"] = "mae"
    share: Share = Field(0.75, description="share of the patches that is hidden")
    width: PositiveInt = Field(512, description="width of the decoder")
    n_blocks: PositiveInt = Field(8, description="blocks of the decoder")
    n_heads: PositiveInt = Field(16, description="heads of the decoder")
