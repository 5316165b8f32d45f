"""The sections of a pre-training on windows of signal, and those of vision transformers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from imuspec.recipe.sections import ANY_SIGNAL, EncoderSettings, Need, ObjectiveSettings, ViewsSettings
from imuspec.recipe.settings import Distinct, Settings

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
    """Windows of a labelled set, without their labels, or of a cohort's wear."""

    name: Literal["windows"] = "windows"
    window_s: PositiveFloat = Field(10.0, description="length of a window, s")
    rate_hz: PositiveFloat = Field(
        50.0, description="sample rate of the windows, Hz; data at another rate are resampled"
    )
    overlap: float = Field(0.5, ge=0, lt=1, description="share of a window that is also in the next one")
    standardise: bool = Field(
        True, description="subtract the mean of each axis and divide by its standard deviation, stored with the encoder"
    )
    subjects: Share | Literal[1] = Field(
        1, description="share of the subjects, drawn with subject_seed; the others remain for probing"
    )
    subject_seed: NonNegativeInt = Field(0, description="seed of the draw of subjects")
    limit: NonNegativeInt = Field(0, description="number of windows to draw at random; 0: all windows")
    unlabelled: bool = Field(
        True,
        description="cut stretches without a label too; a set with of_classes gives the windows of its classes alone",
    )


class SignalPairSettings(ViewsSettings):
    """Two views of a window, drawn independently."""

    name: Literal["signal_pair"] = "signal_pair"
    operations: tuple[Operation, ...] = Field(("rotate",), min_length=1, description="operations to apply")
    compose: Literal["all", "one"] = Field(
        "all", description="all: all operations, in this order; one: a random one of them for each window"
    )


class TransformCopiesSettings(ViewsSettings):
    """A window and a copy of it for each operation."""

    name: Literal["transform_copies"] = "transform_copies"
    operations: Annotated[tuple[Operation, ...], Distinct] = Field(
        _EIGHT, min_length=1, description="operations to recognise"
    )

    @property
    def n_tasks(self) -> int:
        """Number of operations."""
        return len(self.operations)


class TransformLabelsSettings(ViewsSettings):
    """A window to which each operation is applied at random, with a label for each operation."""

    name: Literal["transform_labels"] = "transform_labels"
    operations: Annotated[tuple[Operation, ...], Distinct] = Field(
        _FOUR, min_length=1, description="operations to recognise"
    )
    probability: Share = Field(0.5, description="probability of each operation")
    turned: bool = Field(True, description="first rotate each window at random and shuffle its axes")

    @property
    def n_tasks(self) -> int:
        """Number of operations."""
        return len(self.operations)


class SpanMaskSettings(ViewsSettings):
    """A window with masked spans of samples (steps)."""

    name: Literal["span_mask"] = "span_mask"
    share: Share = Field(0.15, description="share of the steps to reconstruct")
    longest: PositiveInt = Field(10, description="length of the longest span, steps")
    stop: Share = Field(0.2, description="probability that a span ends at each step")
    hidden: float = Field(
        0.8,
        ge=0,
        le=1,
        description="probability that the chosen steps of a window are set to zero; else they stay visible",
    )


class MocoV3ViewsSettings(ViewsSettings):
    """MoCo v3's two views of a picture, which have different operations."""

    name: Literal["moco_v3"] = "moco_v3"
    crop_min: float = Field(0.08, gt=0, le=1, description="smallest area of a crop, as a fraction of the picture")


class Cnn1dSettings(EncoderSettings):
    """Three convolutions over time."""

    name: Literal["cnn1d"] = "cnn1d"
    kernel: PositiveInt = Field(3, description="length of a convolution, an odd number of samples")
    dropout: Dropout = Field(0.2, description="share of activations set to zero in training")
    pool: Literal["max", "mean"] = Field("max", description="reduction of the frames over time")


class TpnSettings(EncoderSettings):
    """The transformation prediction network."""

    name: Literal["tpn"] = "tpn"
    dropout: Dropout = Field(0.1, description="share of activations set to zero in training")


class LimuBertEncoderSettings(EncoderSettings):
    """LIMU-BERT's transformer, with a learned position for each sample of a window."""

    needs: ClassVar[tuple[Need, ...]] = ("n_steps",)

    name: Literal["limu_bert"] = "limu_bert"
    width: PositiveInt = Field(72, description="width of a state")
    hidden: PositiveInt = Field(144, description="width of the feed-forward network's hidden layer")
    n_heads: PositiveInt = Field(4, description="number of attention heads")
    n_layers: PositiveInt = Field(4, description="number of layers, which share their weights")


class CpcEncoderSettings(EncoderSettings):
    """Strided convolutions, then causal convolutions (enhanced CPC)."""

    name: Literal["cpc"] = "cpc"
    n_layers: PositiveInt = Field(5, le=12, description="number of causal layers")
    dropout: Dropout = Field(0.2, description="share of activations set to zero in training")
    norm: Literal["window", "frame"] = Field(
        "window",
        description="mean and variance of the norms over the whole window, or over each frame (strictly causal)",
    )


class CpcOriginalEncoderSettings(EncoderSettings):
    """Three convolutions, then a GRU (original CPC)."""

    name: Literal["cpc_original"] = "cpc_original"
    dropout: Dropout = Field(0.2, description="share of activations set to zero in training")


class HarnetSettings(EncoderSettings):
    """HARNet's residual network, for windows at 30 Hz."""

    name: Literal["harnet"] = "harnet"
    window_s: Literal[5, 10, 30] = Field(10, description="length of a window, s")
    clip_g: PositiveFloat | None = Field(
        None, description="clip acceleration to plus and minus this, g; by default no limit"
    )


class VitSettings(EncoderSettings):
    """A vision transformer for pictures."""

    name: Literal["vit"] = "vit"
    size: Literal["tiny", "small", "base"] = Field("small", description="width of 192, 384 or 768")
    image: tuple[PositiveInt, PositiveInt] = Field((96, 128), description="rows and columns, multiples of 16")
    positions: Literal["learned", "sincos"] = Field("learned", description="learned, or fixed sines and cosines")
    n_heads: PositiveInt | None = Field(None, description="number of attention heads; by default timm's")
    frozen_patches: bool = Field(False, description="do not train the random patch projection")


class LimuBertSettings(ObjectiveSettings):
    """LIMU-BERT: reconstruct masked samples."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("span_mask",)
    encoders: ClassVar[tuple[str, ...]] = ("limu_bert",)

    name: Literal["limu_bert"] = "limu_bert"


class SimClrSettings(ObjectiveSettings):
    """SimCLR: two views of a window must be closer to each other than to the views of other windows."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("signal_pair",)
    encoders: ClassVar[tuple[str, ...]] = ANY_SIGNAL

    name: Literal["simclr"] = "simclr"
    widths: tuple[PositiveInt, ...] = Field((256, 128, 50), min_length=1, description="widths of the head's layers")
    temperature: PositiveFloat = Field(0.1, description="temperature of the softmax")


class MultitaskSettings(ObjectiveSettings):
    """Recognise the operations, with a two-layer head for each."""

    needs: ClassVar[tuple[Need, ...]] = ("n_tasks",)
    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("transform_copies", "transform_labels")
    encoders: ClassVar[tuple[str, ...]] = ANY_SIGNAL

    name: Literal["multitask"] = "multitask"
    hidden: PositiveInt = Field(256, description="width of the hidden layer of each head")


class HarnetTasksSettings(ObjectiveSettings):
    """Recognise the operations, with a linear layer for each."""

    needs: ClassVar[tuple[Need, ...]] = ("n_tasks",)
    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("transform_labels",)
    encoders: ClassVar[tuple[str, ...]] = ANY_SIGNAL

    name: Literal["harnet_tasks"] = "harnet_tasks"


class CpcSettings(ObjectiveSettings):
    """CPC (enhanced): distinguish the next frames from other frames of the window."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("unchanged",)
    encoders: ClassVar[tuple[str, ...]] = ("cpc",)

    name: Literal["cpc"] = "cpc"
    n_steps: PositiveInt = Field(12, description="number of frames to predict from each frame")
    n_negatives: PositiveInt = Field(10, description="number of other frames to distinguish each from")


class CpcOriginalSettings(ObjectiveSettings):
    """CPC (original): distinguish the next frames from the frames of other windows."""

    source: ClassVar[str] = "windows"
    views: ClassVar[tuple[str, ...]] = ("unchanged",)
    encoders: ClassVar[tuple[str, ...]] = ("cpc_original",)

    name: Literal["cpc_original"] = "cpc_original"
    n_steps: PositiveInt = Field(28, description="number of frames to predict from a random frame")


class MocoV3Settings(ObjectiveSettings):
    """MoCo v3: each query must be closer to its own key than to the other keys of the batch."""

    needs: ClassVar[tuple[Need, ...]] = ("total_steps",)

    name: Literal["moco_v3"] = "moco_v3"
    momentum: float = Field(
        0.99, ge=0, lt=1, description="share of the momentum encoder's weights that the first step keeps; it rises to 1"
    )
    temperature: PositiveFloat = Field(0.2, description="temperature of the softmax")
    hidden: PositiveInt = Field(4096, description="width of the hidden layers of projector and predictor")
    width: PositiveInt = Field(256, description="width of queries and keys")


class MaeSettings(ObjectiveSettings):
    """MAE: predict the pixels of hidden patches."""

    views: ClassVar[tuple[str, ...]] = ("whole",)
    encoders: ClassVar[tuple[str, ...]] = ("vit",)

    name: Literal["mae"] = "mae"
    share: Share = Field(0.75, description="share of the patches to hide")
    width: PositiveInt = Field(512, description="width of the decoder")
    n_blocks: PositiveInt = Field(8, description="number of the decoder's blocks")
    n_heads: PositiveInt = Field(16, description="number of the decoder's attention heads")
