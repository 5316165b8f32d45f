"""What a pre-training is: where the data come from, what is shown of them, the encoder, the objective, the training.

Each of the first four sections begins with a ``name``, the choice; the other fields are those of what was chosen. To add a
kind, add its class here and to the union of its section, and its maker to the registry of the same name.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from imuspec.recipe import signals
from imuspec.recipe.sections import EncoderSettings, Need, ObjectiveSettings, ViewsSettings
from imuspec.recipe.settings import NamedRecipe, Settings
from imuspec.recipe.training import TrainingSettings
from imuspec.recipe.wear import MaskedSettings, RoFormerSettings, UnchangedViewsSettings, WearSourceSettings

__all__ = [
    "AllViewsSettings",
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
    """Pictures of a folder, an ImageFolder or an npz of encoded images, whole, at the encoder's size."""

    name: Literal["images"] = "images"
    height: PositiveInt = Field(96, description="rows of a picture")
    width: PositiveInt = Field(128, description="columns of a picture")
    memory_gb: PositiveFloat = Field(
        4.0, description="decoded pictures are kept in memory when they need no more than this, GB; else decoded anew"
    )
    workers: int = Field(-1, ge=-1, description="processes that decode; -1: a core each, but one")
    limit: NonNegativeInt = Field(0, description="use a random draw of this many pictures; 0: all")


class SensorViewsSettings(ViewsSettings):
    """IMG2IMU's operations: what happens to a picture when a sensor is worn otherwise."""

    name: Literal["img2imu"] = "img2imu"
    operations: tuple[Literal["translate_x", "permute_x", "hue", "jitter"], ...] = Field(
        ("translate_x", "permute_x", "hue", "jitter"), min_length=1, description="operations to draw from"
    )
    cascade: bool = Field(False, description="apply each by chance, one after the other; false: one for each view")
    cascade_probability: Probability = Field(0.5, description="cascade: chance of each operation")
    translate_max: float = Field(0.45, gt=0, lt=1, description="largest shift, as a fraction of the width")
    translate_fill: Literal["zero", "edge", "wrap", "mean"] = Field(
        "zero", description="what stands in the columns left empty: black, the edge, the other side, the picture's mean"
    )
    permute_chunks: int = Field(4, ge=2, le=8, description="pieces that change places")
    permute_min_columns: PositiveInt = Field(10, description="narrowest piece, columns")
    permute_cuts: Literal["random", "equal", "poisson"] = Field(
        "random",
        description="random cuts, equal pieces, or random cuts whose number is Poisson with mean permute_chunks - 1",
    )
    hue: Literal["mix", "perm", "hsv"] = Field(
        "mix", description="mix: squared random rotation of the channels; perm: channels change places; hsv: turned hue"
    )
    hue_max: float = Field(0.5, gt=0, le=0.5, description="hue = hsv: largest turn, as a fraction of the circle")
    jitter_max: PositiveFloat = Field(0.1, le=1, description="largest deviation, as a fraction of the full scale")
    jitter_noise: Literal["uniform", "gaussian"] = Field(
        "uniform", description="distribution; gaussian has the standard deviation of the uniform one"
    )
    jitter_shared: bool = Field(False, description="one deviation for the three channels of a pixel")


class PhotoViewsSettings(ViewsSettings):
    """MoCo v2's and SimSiam's crop, colours, grey, blur and flip; with version 1 MoCo v1's."""

    name: Literal["moco"] = "moco"
    version: Literal[1, 2] = Field(2, description="order and probabilities of MoCo v1 or of v2 and SimSiam")
    crop_min: float = Field(0.2, gt=0, le=1, description="smallest area of a crop, as a fraction of the picture")
    jitter: float = Field(0.4, ge=0, le=1, description="largest change of brightness, contrast and saturation")
    jitter_hue: float = Field(0.1, ge=0, le=0.5, description="version 2: largest turn of hue; version 1 uses jitter")
    grey_probability: Probability = Field(0.2, description="chance of a grey picture")
    blur_probability: Probability = Field(0.5, description="version 2: chance of a blur")
    blur_sigma_max: float = Field(2.0, gt=0.1, le=5, description="version 2: widest blur, pixels; the narrowest is 0.1")
    flip_probability: Probability = Field(0.5, description="chance of a mirrored picture")


class AllViewsSettings(ViewsSettings):
    """One of the eleven operations of automatic augmentation for each view, magnitudes uniform."""

    name: Literal["all"] = "all"
    operations: tuple[
        Literal[
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
        ],
        ...,
    ] = Field(
        (
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
        ),
        min_length=1,
        description="operations to draw from",
    )
    rotate_max: PositiveFloat = Field(30.0, le=180, description="largest turn, degrees")
    shear_max: PositiveFloat = Field(0.3, description="largest shear along either axis")
    enhance_max: float = Field(
        0.9, gt=0, le=1, description="sharpness, contrast, brightness, colour: factor in 1 -+ this"
    )
    posterize_min_bits: int = Field(4, ge=0, le=8, description="fewest bits that posterize keeps")
    after_moco: bool = Field(False, description="in addition to MoCo v2's views instead of in their place")


class WholeViewsSettings(ViewsSettings):
    """The picture as it is, once: for training with labels."""

    name: Literal["whole"] = "whole"


class ResNetSettings(EncoderSettings):
    """ResNet-18 as torchvision has it, without its last layer."""

    name: Literal["resnet18"] = "resnet18"
    weights: str = Field(
        "random",
        description="random, imagenet (torchvision's supervised weights), or the path or URL of a weights file",
    )
    zero_init_residual: bool = Field(False, description="random weights: the last norm of each block starts at zero")


class MoCoSettings(ObjectiveSettings):
    """Momentum contrast: a queue of keys from a slowly following copy of the encoder."""

    name: Literal["moco"] = "moco"
    head: Literal["mlp", "linear"] = Field("mlp", description="mlp: 512-512-features (v2); linear: 512-features (v1)")
    features: PositiveInt = Field(64, description="width of the contrasted vector")
    queue: PositiveInt = Field(4096, description="keys in the queue, a multiple of the batch")
    momentum: float = Field(0.999, ge=0, lt=1, description="how much of the key encoder stays at each step")
    temperature: PositiveFloat = Field(0.2, description="temperature of the softmax; v1: 0.07")
    norm_group: NonNegativeInt = Field(
        32, description="pictures that batch norm takes together, as one GPU would; 0: the whole batch of the process"
    )
    shuffle: bool = Field(True, description="encode the keys in another order, so that norm groups tell nothing")


class SimSiamSettings(ObjectiveSettings):
    """Similarity of two views through a predictor, without negatives."""

    name: Literal["simsiam"] = "simsiam"
    features: PositiveInt = Field(2048, description="width of projector and compared vector")
    hidden: PositiveInt = Field(512, description="width inside the predictor")
    fixed_predictor_lr: bool = Field(True, description="keep the predictor's learning rate at base_lr")


class SupervisedSettings(ObjectiveSettings):
    """Cross-entropy on labels, all parameters."""

    needs: ClassVar[tuple[Need, ...]] = ("n_classes",)
    views: ClassVar[tuple[str, ...]] = ("whole",)

    name: Literal["supervised"] = "supervised"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all classes")


def _largest_part(batch: int, at_most: int) -> int:
    """Largest proper divisor of a batch up to a number; 0 if there is none above 1."""
    return next((group for group in range(min(at_most, batch - 1), 1, -1) if batch % group == 0), 0)


class PretrainRecipe(NamedRecipe):
    """Every number of one pre-training.

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
        """Return the same recipe for a few minutes of one core: two epochs of 32, no workers, 256 pictures or windows.

        Pictures are 48 x 64, a transformer is timm's tiny one.
        """
        if isinstance(self.source, WearSourceSettings):
            return self._tiny_wear()
        moco = isinstance(self.objective, MoCoSettings)
        queue = ("objective.queue=128", "objective.norm_group=8") if moco else ()
        pieces = ("views.permute_min_columns=5",) if isinstance(self.views, SensorViewsSettings) else ()
        return self.model_copy(update={"about": f"{self.about}; tiny, to see that all works"}).set(
            "source.limit=256",
            *(("source.height=48", "source.width=64", "source.workers=0") if self.source.name == "images" else ()),
            *(
                ('encoder.size="tiny"', "encoder.n_heads=3", "encoder.image=[48, 64]")
                if self.encoder.name == "vit"
                else ()
            ),
            "training.epochs=2",
            "training.batch=32",
            "training.warmup_epochs=0",
            "training.log_steps=4",
            *queue,
            *pieces,
        )

    def _tiny_wear(self) -> Self:
        return self.model_copy(update={"about": f"{self.about}; tiny, to see that all works"}).set(
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

    @model_validator(mode="before")
    @classmethod
    def _choices_by_default(cls, values: Any) -> Any:
        """A section without a name is of the kind that it is when it is left out."""
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
                raise ValueError(
                    f"objective.norm_group: expected a part of the batch, {batch}, such as {_largest_part(batch, group)}, "
                    f"or 0, got {group}: in one group query and key share their statistics"
                )
        return self
