"""The recipe of a pre-training: source of the data, views, encoder, objective and training.

The field ``name`` of each of the first four sections is a choice, which determines the other fields of the section. To add
a choice, add its class here and to the union of its section, and add the object that it builds to the section's registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from imuspec.recipe import signals
from imuspec.recipe.sections import EncoderSettings, Need, ObjectiveSettings, ViewsSettings
from imuspec.recipe.settings import Distinct, NamedRecipe, Settings, Values
from imuspec.recipe.training import TrainingSettings
from imuspec.recipe.wear import MaskedSettings, RoFormerSettings, UnchangedViewsSettings, WearSourceSettings

__all__ = [
    "AllViewsSettings",
    "EfficientNetSettings",
    "ImageSourceSettings",
    "MoCoSettings",
    "PhotoViewsSettings",
    "PretrainRecipe",
    "ResNetSettings",
    "SensorViewsSettings",
    "SimSiamSettings",
    "SupervisedSettings",
    "WholeViewsSettings",
]

Probability = Annotated[float, Field(ge=0, le=1)]


class ImageSourceSettings(Settings):
    """Pictures of a folder, an ImageFolder or an npz of encoded pictures, resized without a crop."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "memory_gb": ("memory", ("auto",)),
    }

    name: Literal["images"] = "images"
    height: PositiveInt = Field(96, description="rows of a picture")
    width: PositiveInt = Field(128, description="columns of a picture")
    memory: Literal["auto", "cpu", "gpu", "stream"] = Field(
        "auto",
        description="place of the decoded pictures; stream: none, they are decoded again in each epoch, or read from the file "
        "of packed pictures; auto: gpu if they need at most half of its free memory, else cpu within memory_gb if they are "
        "not packed, else stream",
    )
    memory_gb: PositiveFloat = Field(4.0, description="memory = auto: memory for decoded pictures, GB")
    workers: int = Field(-1, ge=-1, description="processes that decode; -1: one less than the number of cores")
    limit: NonNegativeInt = Field(0, description="number of pictures to draw at random; 0: all pictures")


class SensorViewsSettings(ViewsSettings):
    """IMG2IMU's operations, which change a picture as another placement or timing of the sensor would."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "cascade_probability": ("cascade", (True,)),
        "translate_max": ("operations", ("translate_x",)),
        "translate_fill": ("operations", ("translate_x",)),
        "permute_chunks": ("operations", ("permute_x",)),
        "permute_min_columns": ("operations", ("permute_x",)),
        "permute_cuts": ("operations", ("permute_x",)),
        "hue": ("operations", ("hue",)),
        "hue_max": ("hue", ("hsv",)),
        "jitter_max": ("operations", ("jitter",)),
        "jitter_noise": ("operations", ("jitter",)),
        "jitter_shared": ("operations", ("jitter",)),
    }

    name: Literal["img2imu"] = "img2imu"
    operations: Annotated[tuple[Literal["translate_x", "permute_x", "hue", "jitter"], ...], Distinct] = Field(
        ("translate_x", "permute_x", "hue", "jitter"), min_length=1, description="operations to draw from"
    )
    cascade: bool = Field(
        False, description="apply each operation with cascade_probability, in turn; false: one operation for each view"
    )
    cascade_probability: Probability = Field(0.5, description="cascade: probability of each operation")
    translate_max: float = Field(0.45, gt=0, lt=1, description="largest shift, as a fraction of the width")
    translate_fill: Literal["zero", "edge", "wrap", "mean"] = Field(
        "zero",
        description="columns that the shift left empty become black, repeat the edge, come from the other side, or become "
        "the picture's mean",
    )
    permute_chunks: int = Field(4, ge=2, le=8, description="number of chunks to permute")
    permute_min_columns: PositiveInt = Field(10, description="width of the narrowest chunk, columns")
    permute_cuts: Literal["random", "equal", "poisson"] = Field(
        "random",
        description="random cuts, chunks of equal width, or random cuts whose number is Poisson with mean "
        "permute_chunks - 1",
    )
    hue: Literal["mix", "perm", "hsv"] = Field(
        "perm",
        description="perm: permutation of the channels, which keeps brightness and contrast as the paper states; mix: squared "
        "random rotation of the channels, which keeps 46 % of the colours' energy; hsv: rotation of the hue",
    )
    hue_max: float = Field(0.5, gt=0, le=0.5, description="hue = hsv: largest rotation, as a fraction of the circle")
    jitter_max: PositiveFloat = Field(0.1, le=1, description="largest noise, as a fraction of the full scale")
    jitter_noise: Literal["uniform", "gaussian"] = Field(
        "uniform", description="distribution of the noise; both have the same standard deviation"
    )
    jitter_shared: bool = Field(False, description="the three channels of a pixel have the same noise")


class PhotoViewsSettings(ViewsSettings):
    """Crop, colour jitter, grey, blur and flip, as in MoCo v2 and SimSiam, or as in MoCo v1."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "jitter_hue": ("version", (2,)),
        "blur_probability": ("version", (2,)),
        "blur_sigma_max": ("version", (2,)),
    }

    name: Literal["moco"] = "moco"
    version: Literal[1, 2] = Field(2, description="order and probabilities of MoCo v1, or of v2 and SimSiam")
    crop_min: float = Field(0.2, gt=0, le=1, description="smallest area of a crop, as a fraction of the picture")
    jitter: float = Field(0.4, ge=0, le=1, description="largest change of brightness, contrast and saturation")
    jitter_hue: float = Field(0.1, ge=0, le=0.5, description="version 2: largest change of hue; version 1 uses jitter")
    grey_probability: Probability = Field(0.2, description="probability of a grey picture")
    blur_probability: Probability = Field(0.5, description="version 2: probability of a blur")
    blur_sigma_max: float = Field(
        2.0, gt=0.1, le=5, description="version 2: largest standard deviation of the blur, pixels; the smallest is 0.1"
    )
    flip_probability: Probability = Field(0.5, description="probability of a mirrored picture")


AllOperation = Literal[
    "rotate",
    "sharpness",
    "shear",
    "contrast",
    "brightness",
    "colour",
    "invert",
    "solarize",
    "posterize",
    "equalize",
    "autocontrast",
]


class AllViewsSettings(ViewsSettings):
    """One of the eleven operations of AutoAugment for each view, with a uniform random magnitude."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "rotate_max": ("operations", ("rotate",)),
        "shear_max": ("operations", ("shear",)),
        "enhance_max": ("operations", ("sharpness", "contrast", "brightness", "colour")),
        "posterize_min_bits": ("operations", ("posterize",)),
    }

    name: Literal["all"] = "all"
    operations: Annotated[tuple[AllOperation, ...], Distinct] = Field(
        get_args(AllOperation), min_length=1, description="operations to draw from"
    )
    rotate_max: PositiveFloat = Field(30.0, le=180, description="largest rotation, degrees")
    shear_max: PositiveFloat = Field(0.3, description="largest shear along each axis")
    enhance_max: float = Field(
        0.9, gt=0, le=1, description="sharpness, contrast, brightness, colour: largest difference of the factor from 1"
    )
    posterize_min_bits: int = Field(4, ge=0, le=8, description="smallest number of bits after posterize")
    after_moco: bool = Field(False, description="apply the operation after MoCo v2's; false: instead of them")


class WholeViewsSettings(ViewsSettings):
    """One view: the unchanged picture, for training with labels."""

    name: Literal["whole"] = "whole"


class ResNetSettings(EncoderSettings):
    """torchvision's ResNet-18 without its last layer."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "zero_init_residual": ("weights", ("random",)),
    }

    name: Literal["resnet18"] = "resnet18"
    weights: str = Field(
        "random",
        description="random, imagenet (torchvision's supervised weights), or the path or URL of a weights file",
    )
    zero_init_residual: bool = Field(False, description="random weights: the last norm of each block starts at zero")


class EfficientNetSettings(EncoderSettings):
    """timm's EfficientNet-Lite0 without its last layer."""

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    weights: str = Field(
        "random",
        description="random, imagenet (supervised weights of the extra imagenet), or the path of a weights file",
    )


class MoCoSettings(ObjectiveSettings):
    """MoCo (momentum contrast): each query must be closer to its own key than to the keys of a queue."""

    name: Literal["moco"] = "moco"
    head: Literal["mlp", "linear"] = Field("mlp", description="mlp: 512-512-features (v2); linear: 512-features (v1)")
    features: PositiveInt = Field(64, description="width of queries and keys")
    queue: PositiveInt = Field(4096, description="number of keys in the queue, a multiple of the batch")
    momentum: float = Field(0.999, ge=0, lt=1, description="share of the key encoder's weights that each step keeps")
    temperature: PositiveFloat = Field(0.2, description="temperature of the softmax; v1: 0.07")
    norm_group: NonNegativeInt = Field(
        32, description="pictures that share batch norm statistics, as on one GPU; 0: all pictures of the process"
    )
    shuffle: bool = Field(
        True, description="encode the keys in random order, so that a query and its key do not share statistics"
    )


class SimSiamSettings(ObjectiveSettings):
    """SimSiam: predict the projection of one view from the other, without negatives."""

    name: Literal["simsiam"] = "simsiam"
    features: PositiveInt = Field(2048, description="width of the projector and of the compared vectors")
    hidden: PositiveInt = Field(512, description="width of the predictor's hidden layer")
    fixed_predictor_lr: bool = Field(True, description="the predictor's learning rate stays at base_lr")


class SupervisedSettings(ObjectiveSettings):
    """Cross-entropy on labels. All parameters are trained."""

    needs: ClassVar[tuple[Need, ...]] = ("n_classes",)
    views: ClassVar[tuple[str, ...]] = ("whole",)

    name: Literal["supervised"] = "supervised"
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of the target distribution that is uniform over all classes"
    )


class PretrainRecipe(NamedRecipe):
    """Every number of a pre-training.

    Examples
    --------
    >>> from imuspec.recipe import PretrainRecipe
    >>> recipe = PretrainRecipe.load("img2imu").set("training.epochs=10", "objective.queue=1024")
    >>> recipe.views.name, recipe.training.base_lr
    ('img2imu', 1e-05)
    """

    named = "recipes/pretrain"

    source: Annotated[
        ImageSourceSettings | signals.WindowSourceSettings | WearSourceSettings, Field(discriminator="name")
    ] = ImageSourceSettings()
    views: Annotated[
        SensorViewsSettings
        | PhotoViewsSettings
        | AllViewsSettings
        | WholeViewsSettings
        | signals.MocoV3ViewsSettings
        | signals.SignalPairSettings
        | signals.TransformCopiesSettings
        | signals.TransformLabelsSettings
        | signals.SpanMaskSettings
        | UnchangedViewsSettings,
        Field(discriminator="name"),
    ] = SensorViewsSettings()
    encoder: Annotated[
        ResNetSettings
        | EfficientNetSettings
        | signals.VitSettings
        | signals.Cnn1dSettings
        | signals.TpnSettings
        | signals.LimuBertEncoderSettings
        | signals.CpcEncoderSettings
        | signals.CpcOriginalEncoderSettings
        | signals.HarnetSettings
        | RoFormerSettings,
        Field(discriminator="name"),
    ] = ResNetSettings()
    objective: Annotated[
        MoCoSettings
        | SimSiamSettings
        | SupervisedSettings
        | signals.MocoV3Settings
        | signals.MaeSettings
        | signals.LimuBertSettings
        | signals.SimClrSettings
        | signals.MultitaskSettings
        | signals.HarnetTasksSettings
        | signals.CpcSettings
        | signals.CpcOriginalSettings
        | MaskedSettings,
        Field(discriminator="name"),
    ] = MoCoSettings()
    training: TrainingSettings = TrainingSettings()

    def tiny(self) -> Self:
        """Return the recipe with small numbers, for a test of a few minutes on one core.

        It has two epochs, batches of 32 and 256 pictures of 48 x 64 or windows. On days of wear it has 12 minutes of each
        recording and a network of two blocks.
        """
        settings: tuple[str, ...] = _TINY_WEAR if isinstance(self.source, WearSourceSettings) else _TINY
        if isinstance(self.source, ImageSourceSettings):
            settings += ("source.height=48", "source.width=64", "source.workers=0")
        if isinstance(self.views, SensorViewsSettings) and "permute_x" in self.views.operations:
            settings += ("views.permute_min_columns=5",)
        if isinstance(self.encoder, signals.VitSettings):
            settings += ('encoder.size="tiny"', "encoder.n_heads=3", "encoder.image=[48, 64]")
        if isinstance(self.objective, MoCoSettings):
            settings += ("objective.queue=128", "objective.norm_group=8")
        return self.model_copy(update={"about": f"{self.about}; tiny, to see that all works"}).set(*settings)

    @model_validator(mode="before")
    @classmethod
    def _choices_by_default(cls, values: Any) -> Any:
        """Add the name of the default choice to a section without a name."""
        if isinstance(values, dict):
            for section in ("source", "views", "encoder", "objective"):
                given = values.get(section)
                if isinstance(given, dict) and "name" not in given:
                    default = cls.model_fields[section].get_default()
                    values = {**values, section: {"name": default.name, **given}}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        objective = self.objective
        for section, name, fitting in (
            ("views", self.views.name, objective.views),
            ("encoder", self.encoder.name, objective.encoders),
            ("source", self.source.name, (objective.source,)),
        ):
            if name not in fitting:
                raise ValueError(
                    f"{section}: expected {' or '.join(fitting)} for objective {objective.name}, got {name}"
                )
        if isinstance(self.objective, MoCoSettings) and self.objective.queue % self.training.batch:
            raise ValueError(
                f"objective.queue: expected a multiple of the batch, {self.training.batch}, got {self.objective.queue}"
            )
        if isinstance(self.objective, MoCoSettings) and self.objective.norm_group:
            group, batch = self.objective.norm_group, self.training.batch
            if batch % group or batch == group:
                divisor = next((n for n in range(min(group, batch - 1), 1, -1) if batch % n == 0), 0)
                raise ValueError(
                    f"objective.norm_group: expected a part of the batch, {batch}, such as {divisor}, or 0, got {group}: "
                    f"in one group query and key share their statistics"
                )
        return self


_TINY = (
    "source.limit=256",
    "training.epochs=2",
    "training.batch=32",
    "training.warmup_epochs=0",
    "training.log_steps=4",
)
_TINY_WEAR = (
    "source.hours=0.2",
    "source.recordings=1",
    "source.window_s=120",
    "source.overlap_s=0",
    "source.workers=0",
    "encoder.width=32",
    "encoder.depth=2",
    "encoder.n_heads=4",
    "encoder.n_patches=12",
    "training.epochs=2",
    "training.batch=6",
    "training.log_steps=1",
)
