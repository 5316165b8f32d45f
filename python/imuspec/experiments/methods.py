"""The methods of IMG2IMU's comparison: each has an encoder from a run, from a pre-training here, or with random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from imuspec import encoders
from imuspec.datasets import Windows
from imuspec.encoders.efficientnet import EfficientNetLite0
from imuspec.experiments.judging import (
    PARAMETER_FREE,
    judge_parameter_free,
    judge_row,
    score_table,
    seeded_network,
)
from imuspec.experiments.pretraining import pretrain_once, shares_people, unseen_windows
from imuspec.experiments.setup import DrawOptions, HeadsOptions, PictureOptions, RowOptions, Setup, Words
from imuspec.probing.sources import Choice, EncoderSource, FeatureSource
from imuspec.probing.supervised import supervised
from imuspec.recipe import PretrainRecipe
from imuspec.run.named import load_encoder
from imuspec.run.run import Run

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "LITE",
    "RANDOM_LITE",
    "ROWS",
    "MethodOptions",
    "PictureMethodOptions",
    "Row",
    "judge_methods",
    "long_table",
    "made_up_pictures",
    "source",
]


@dataclass(frozen=True)
class Row:
    """How a row's encoder is made.

    Attributes
    ----------
    kind : {"signal", "image"}
        Input of the encoder.
    origin : {"supervised", "random", "pretrained", "public"}
        supervised: all parameters on all labels; random: initial weights; pretrained: by `recipe`, unless a run is given;
        public: weights of an installed package.
    recipe : str
        Name of the pre-training's recipe.
    small : str
        Name of the recipe for some thousand pictures, if there is one.
    changes : tuple of str
        Changes of the recipe, for a start from weights of an installed package.
    """

    kind: Literal["signal", "image"]
    origin: Literal["supervised", "random", "pretrained", "public"]
    recipe: str = ""
    small: str = ""
    changes: tuple[str, ...] = ()


LITE = "ImageNet-supervised (EfficientNet-Lite0)"
_FROM_LITE = ("encoder.name=efficientnet_lite0", "encoder.weights=imagenet")
RANDOM_LITE = "Randomly-init. (EfficientNet-Lite0)"

ROWS = {
    "Fully-supervised (1D)": Row("signal", "supervised"),
    "Randomly-init. (1D)": Row("signal", "random"),
    "LIMU-BERT": Row("signal", "pretrained", "limu-bert"),
    "SimCLR (HAR)": Row("signal", "pretrained", "simclr-har"),
    "Multi-task (HAR)": Row("signal", "pretrained", "multi-task"),
    "CPC (HAR)": Row("signal", "pretrained", "cpc"),
    "Fully-supervised (2D)": Row("image", "supervised"),
    "Randomly-init. (2D)": Row("image", "random"),
    "ImageNet-supervised": Row("image", "pretrained", "supervised"),
    LITE: Row("image", "public"),
    RANDOM_LITE: Row("image", "random"),
    "MoCo from ImageNet (EfficientNet-Lite0)": Row("image", "pretrained", "moco", changes=_FROM_LITE),
    "IMG2IMU from ImageNet (EfficientNet-Lite0)": Row("image", "pretrained", "img2imu", changes=_FROM_LITE),
    "SimSiam": Row("image", "pretrained", "simsiam", "simsiam-small"),
    "MoCo": Row("image", "pretrained", "moco", "moco-small"),
    "MoCo + All aug.": Row("image", "pretrained", "moco-all", "moco-all-small"),
    "IMG2IMU": Row("image", "pretrained", "img2imu", "img2imu-small"),
}
"""The paper's thirteen in its order, and weights of ImageNet that a package has, beside the same network with random weights."""

_OF_IMAGES = ("images", "image_epochs", "image_batch", "image_limit")
_IMAGES_NEEDED = "images, and a row on pictures without a run"


class PictureMethodOptions(HeadsOptions, PictureOptions):
    """Pre-training on pictures, and the probe of an encoder of pictures."""

    images: str = Field("", description="a folder or npz: pre-trains the rows that no run is given for")
    pretrain_seeds: PositiveInt = Field(1, description="seeds of each pre-training that is made here")
    image_epochs: NonNegativeInt = Field(0, description="0: the recipe's; so are the next two")
    image_batch: NonNegativeInt = 0
    image_limit: NonNegativeInt = 0
    window_s: NonNegativeFloat = Field(0.0, description="length of a window, s; 0: the set's own")
    layers: Words = Field(("last",), description="layers of the encoders of pictures, as last,layer1.bands: a row each")
    lite_layers: Words = Field(("last",), description="layers of EfficientNet-Lite0, as last,stage3.bands")

    TINY: ClassVar[Mapping[str, Any]] = {
        "image_epochs": 1,
        "image_batch": 32,
        "image_limit": 64,
        "nfft": (64,),
        "hop": (16,),
        "head_epochs": 3,
        "max_judged": 4,
    }

    @property
    def window_settings(self) -> dict[str, float]:
        """Settings of `Setup.windows`."""
        return {"window_s": self.window_s} if self.window_s else {}

    def changes(self, *, queue: bool = False) -> list[str]:
        """Return the changes of a pre-training's recipe; with `queue`, those of a queue that the pictures of an epoch fill."""
        numbers = {
            "training.epochs": self.image_epochs,
            "training.batch": self.image_batch,
            "source.limit": self.image_limit,
        }
        if queue and self.image_batch:
            whole = min(1024, self.image_limit or 1024) // self.image_batch
            numbers["objective.queue"] = max(1, whole) * self.image_batch
            numbers["objective.norm_group"] = norm_group(self.image_batch)
        return [f"{key}={value}" for key, value in numbers.items() if value]

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of pre-training where no row is pre-trained here."""
        if pretrained and (self.images or setup.tiny):
            return {}
        return dict.fromkeys((*_OF_IMAGES, "pretrain_seeds"), _IMAGES_NEEDED)


class MethodOptions(PictureMethodOptions, DrawOptions, RowOptions):
    """Numbers that Table II and Fig 7 share."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(ROWS)

    signals: str = Field(
        "", description="NAME=PATH of a set, or a cohort: pre-trains the rows on signals without a run"
    )
    subjects: float = Field(
        0.5, gt=0, le=1, description="share of the subjects that pre-training sees, of a set judged on"
    )
    signal_epochs: NonNegativeInt = Field(0, description="0: the recipe's; so are the next two")
    signal_batch: NonNegativeInt = 0
    signal_limit: NonNegativeInt = 0
    small: bool = Field(False, description="recipes for some thousand pictures")
    supervised_epochs: PositiveInt = 20
    max_train: NonNegativeInt = Field(0, description="windows a class for the fully supervised rows; 0: all")

    TINY: ClassVar[Mapping[str, Any]] = {
        **PictureMethodOptions.TINY,
        "random_draws": 2,
        "signal_epochs": 1,
        "signal_batch": 32,
        "signal_limit": 64,
        "small": True,
        "supervised_epochs": 1,
        "max_train": 8,
    }

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of kinds of rows that are not made."""
        made = [ROWS[row] for row in pretrained]
        kinds = {row.kind for row in made if setup.tiny or (self.images if row.kind == "image" else self.signals)}
        origins = {ROWS[row].origin for row in self.chosen}
        unused = {} if "image" in kinds else dict.fromkeys(_OF_IMAGES, _IMAGES_NEEDED)
        if "signal" not in kinds:
            signal_options = ("signal_epochs", "signal_batch", "signal_limit")
            unused |= dict.fromkeys(signal_options, "signals, and a row on them without a run")
        unused |= {} if self.signals else {"subjects": "signals"}
        unused |= {} if kinds else {"pretrain_seeds": "a row that is pre-trained here"}
        if not ("image" in kinds and any(row.small for row in made)):
            unused["small"] = "a row with such a recipe that is pre-trained here"
        unused |= {} if "random" in origins else {"random_draws": "a row with random weights"}
        if "supervised" not in origins:
            unused |= dict.fromkeys(("supervised_epochs", "max_train"), "a fully supervised row")
        return unused


def judge_methods(
    setup: Setup[MethodOptions], data: Sequence[str], shots: Sequence[int]
) -> tuple[pd.DataFrame, list[str]]:
    """Judge every chosen row, and the rows without parameters, on every set.

    Parameters
    ----------
    setup : Setup
        Input of the experiment.
    data : sequence of str
        The paper's sets.
    shots : sequence of int
        Labelled windows of each class.

    Returns
    -------
    DataFrame
        A row for each row, set, number of shots, draw of the weights and seed: ``row``, ``set``, ``column`` (the set), ``shots``,
        ``seed``, ``macro_f1`` and the other scores.
    list of str
        Notes: rows that were left out or replaced, and why.
    """
    tables, notes = [], []
    options = setup.options
    sets = {name: unseen_windows(setup, name, options.signals, options.subjects) for name in setup.columns(data)}
    for name, (windows, used) in sets.items():
        if used:
            notes.append(f"{name}: judged on {len(windows.subjects)} subjects that no pre-training saw")
        for row in setup.options.chosen:
            judged = _judged(setup, row, name, windows, shots, notes)
            if judged is not None:
                tables.append(judged.assign(set=name, column=name))
                setup.say(f"{name}: {row}: macro-F1 {judged['macro_f1'].mean():.3f}")
    if not tables:
        raise ValueError(f"rows: expected a row that can be made, got none: {'; '.join(notes)}")
    for name, (windows, _) in sets.items():
        for row, judged in judge_parameter_free(setup, windows, pictures=setup.options.pictures(), shots=shots):
            tables.append(judged.assign(row=row, set=name, column=name))
    return pd.concat(tables, ignore_index=True), notes


def long_table(judged: pd.DataFrame, papers: Sequence[str]) -> pd.DataFrame:
    """Return the scores over splits, as `score_table`; with several sets their mean too.

    Over the paper's sets the mean is the column ``average``, which is compared with the paper's; over others its name lists them.
    Its deviation is that of the mean over the sets from split to split.
    """
    each = score_table(judged)
    sets = list(dict.fromkeys(judged["column"]))
    if len(sets) > 1:
        column = "average" if set(sets) == set(papers) else f"mean of {', '.join(sets)}"
        scores = ["value", "balanced_accuracy"]
        means = each.groupby("row", sort=False)[scores].mean()
        by_split = (
            judged.groupby(["row", "column", "seed"])["macro_f1"].mean().groupby(["row", "seed"]).mean().groupby("row")
        )
        over = means.assign(column=column, sd=by_split.std(ddof=1), n=by_split.size()).reset_index()
        each = pd.concat([each, over], ignore_index=True)
    order = {name: index for index, name in enumerate((*ROWS, *PARAMETER_FREE))}
    by_row = each.sort_values("row", key=lambda names: names.map(lambda n: order[_base(n)]), kind="stable")
    return by_row.reset_index(drop=True)


def _base(row: str) -> str:
    """A row's name without its layer."""
    return row if row in PARAMETER_FREE else row.split(", ", maxsplit=1)[0]


def _judged(
    setup: Setup[MethodOptions], row: str, name: str, windows: Windows, shots: Sequence[int], notes: list[str]
) -> pd.DataFrame | None:
    """The scores of a row, or None with a note where it has no encoder."""
    options, method = setup.options, ROWS[row]
    if method.origin == "supervised":
        return supervised(
            lambda seed, train: _random(row, train, seed),
            windows,
            seeds=setup.seeds,
            max_train=options.max_train or None,
            max_validation=options.max_judged or None,
            max_test=options.max_judged or None,
            epochs=options.supervised_epochs,
            picture={"nfft": 128, "noverlap": 120, "norm": options.norm, "size": (options.height, options.width)},
            device=setup.device,
        ).table.assign(row=row)
    if method.origin == "random":
        drawn = ((seed, _random_source(setup, row, seed)) for seed in range(setup.options.random_draws))
        return judge_row(setup, row, drawn, windows, shots=shots)
    encoders_of = _encoders(setup, row, name, windows, notes)
    if not encoders_of:
        return None
    sources = ((seed, source(setup, encoder)) for seed, encoder in enumerate(encoders_of))
    return judge_row(setup, row, sources, windows, shots=shots)


def source(setup: Setup[PictureMethodOptions], encoder: nn.Module) -> FeatureSource:
    """Return the features of an encoder, on the pictures and layers that the options name."""
    options = setup.options
    layers = options.layers if encoder.kind == "image" else ("last",)
    if isinstance(encoder, EfficientNetLite0):
        layers = options.lite_layers
    return EncoderSource(encoder, pictures=options.pictures(), layers=layers, device=setup.device)


def _encoders(
    setup: Setup[MethodOptions], row: str, name: str, windows: Windows, notes: list[str]
) -> Sequence[nn.Module]:
    """The row's encoders, one for each seed: of ``--runs``, by set or for all, pre-trained here, or none and a note."""
    if runs := setup.runs_of(row, name):
        return [load_encoder(run) for run in runs]
    method = ROWS[row]
    if method.origin == "public" or method.changes:
        try:
            public = load_encoder("efficientnet-lite0")
        except FileNotFoundError as error:
            note = f"{row}: left out: {error}"
            notes += [] if note in notes else [note]
            return []
        if method.origin == "public":
            return [public]
    data = setup.options.signals if method.kind == "signal" else setup.options.images
    if not data and not setup.tiny:
        option = "signals=NAME=PATH" if method.kind == "signal" else "images=PATH"
        notes.append(f"{row}: left out, as neither --runs '{row}=FOLDER' nor --set {option} was given")
        return []
    if row == "ImageNet-supervised":
        note = f"{row}: trained here on the labels of the pictures given, for torchvision's weights are not there"
        notes += [] if note in notes else [note]
    seeds = range(setup.options.pretrain_seeds)
    return [_pretrained(setup, row, windows, data, seed).load_encoder() for seed in seeds]


def _random(row: str, train: NDArray[np.float32], seed: int) -> nn.Module:
    """A network with random weights; that of signals standardises each axis by the training windows ``[n, 3, time]``, g."""
    if ROWS[row].kind == "image":
        return seeded_network(lambda: encoders.build("efficientnet_lite0" if row == RANDOM_LITE else "resnet18"), seed)
    mean, sd = train.mean((0, 2), dtype=np.float64), train.std((0, 2), dtype=np.float64)
    return seeded_network(
        lambda: encoders.build("standardised", encoder="cnn1d", mean=mean.tolist(), sd=sd.tolist()), seed
    )


def _random_source(setup: Setup[MethodOptions], row: str, seed: int) -> FeatureSource:
    if ROWS[row].kind == "image":
        return source(setup, _random(row, np.empty((0, 3, 0), np.float32), seed))
    return _StandardisedBySplit(setup, row, seed)


class _StandardisedBySplit:
    """Features of a random network of signals that is standardised by the training windows of each split."""

    layers = ("last",)
    of_split = True

    def __init__(self, setup: Setup[MethodOptions], row: str, seed: int) -> None:
        self._setup, self._row, self._seed = setup, row, seed

    def choices(self, n_samples: int) -> list[Choice]:
        """Return the only choice."""
        del n_samples  # as all windows have one setting
        return [{}]

    def fitted(self, train: NDArray[np.float32]) -> FeatureSource:
        """Return the source of one split, from its training windows ``[n, 3, time]``, g."""
        return source(self._setup, _random(self._row, train, self._seed))

    def features(self, x: NDArray[np.float32], choice: Choice) -> dict[str, NDArray[np.float32]]:
        """Refuse: the features depend on the split."""
        del x, choice
        raise ValueError("source: expected fitted(train) before features, got no training windows")


def _pretrained(setup: Setup[MethodOptions], row: str, windows: Windows, data: str, seed: int) -> Run:
    """Pre-train a row on the data given; a tiny trial without any takes the windows, or simulated pictures."""
    method = ROWS[row]
    ending = f", seed {seed}" if setup.options.pretrain_seeds > 1 else ""
    recipe = PretrainRecipe.load(method.small if setup.options.small and method.small else method.recipe)
    if method.kind == "signal":
        recipe = recipe.set(*_signal_changes(setup, windows), f"training.seed={seed}")
        return pretrain_once(setup, f"{row}@{windows.name}{ending}", recipe, data or windows)
    recipe = recipe.set(*setup.options.changes(queue=method.recipe in ("moco", "moco-all", "img2imu")))
    recipe = recipe.set(*method.changes, f"training.seed={seed}")
    return pretrain_once(setup, f"{row}{ending}", recipe, data or made_up_pictures(setup.runs_folder))


def _signal_changes(setup: Setup[MethodOptions], windows: Windows) -> list[str]:
    options = setup.options
    numbers = {
        "training.epochs": options.signal_epochs,
        "training.batch": options.signal_batch,
        "source.limit": options.signal_limit,
    }
    changes = [f"{key}={value}" for key, value in numbers.items() if value]
    changes += [f"source.window_s={windows.window_s}", f"source.rate_hz={windows.rate}"]
    shared = any(shares_people(setup, name, options.signals) for name in setup.data)
    return changes + ([f"source.subjects={options.subjects}"] if shared else [])


def norm_group(batch: int) -> int:
    """Return MoCo's norm group for a batch: 32 where that divides it, else a half, a quarter or an eighth."""
    groups = (32, batch // 2, batch // 4, batch // 8)
    return next((group for group in groups if 1 < group < batch and batch % group == 0), 0)


def made_up_pictures(folder: Path) -> Path:
    """Draw pictures of random waves in two classes, for a tiny trial without any; return their folder."""
    from PIL import Image

    pictures, n_each = folder / "pictures", 40
    if len(list(pictures.glob("*/*.png"))) == 2 * n_each:
        return pictures
    rng = np.random.default_rng(0)
    rows, columns_ = np.mgrid[0:96, 0:128] / 16
    for name, speed in (("slow", 1.0), ("fast", 3.0)):
        (pictures / name).mkdir(parents=True, exist_ok=True)
        for number in range(n_each):
            turn, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 3)
            wave = np.sin(speed * (np.cos(turn) * rows + np.sin(turn) * columns_)[..., None] + phase)
            noisy = 127 + 90 * wave + rng.normal(0, 10, wave.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(pictures / name / f"{number}.png")
    return pictures
