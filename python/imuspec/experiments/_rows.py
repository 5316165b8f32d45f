"""The rows of IMG2IMU's comparison: an encoder each, from a run, from a pre-training of its own, or as it was born."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch

from imuspec import encoders
from imuspec.datasets import Windows
from imuspec.evaluation import summary
from imuspec.experiments.frame import Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.pretraining.window_source import pretraining_subjects
from imuspec.probing.protocol import probe
from imuspec.probing.results import ProbeResult
from imuspec.probing.sources import EncoderSource, Source, StatisticsSource
from imuspec.probing.supervised import supervised
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.probing import HeadSettings, PictureSettings
from imuspec.run.named import load_encoder
from imuspec.run.run import Run

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "OPTIONS",
    "ROWS",
    "STATISTICS",
    "TINY",
    "Row",
    "columns",
    "judge",
    "long_table",
    "made_up_pictures",
    "source",
    "wanted_rows",
]

STATISTICS = "statistics of the window"


@dataclass(frozen=True)
class Row:
    """What makes a row.

    Attributes
    ----------
    kind
        signal or image: what the encoder sees.
    how
        supervised: all parameters on all labels; random: as it was born; pretrained: by `recipe`, unless a run is given.
    recipe
        Name of the pre-training's recipe.
    small
        Name of the recipe for some thousand pictures, if there is one.
    """

    kind: Literal["signal", "image"]
    how: Literal["supervised", "random", "pretrained"]
    recipe: str = ""
    small: str = ""


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
    "SimSiam": Row("image", "pretrained", "simsiam", "simsiam-small"),
    "MoCo": Row("image", "pretrained", "moco", "moco-small"),
    "MoCo + All aug.": Row("image", "pretrained", "moco-all", "moco-all-small"),
    "IMG2IMU": Row("image", "pretrained", "img2imu", "img2imu-small"),
}
"""The paper's thirteen, in its order."""

OPTIONS: dict[str, Any] = {
    "rows": "",  # names with semicolons between; all
    "signals": "",  # NAME=PATH of a set, or a cohort: pre-trains the rows on signals that no run is given for
    "images": "",  # a folder or npz: pre-trains the rows on pictures
    "subjects": 0.5,  # share of the subjects that pre-training sees, where the same set is judged on
    "signal_epochs": 0,  # 0: the recipe's
    "signal_batch": 0,
    "signal_limit": 0,
    "image_epochs": 0,
    "image_batch": 0,
    "image_limit": 0,
    "small": False,  # recipes for some thousand pictures
    "window_s": 0.0,  # 0: the set's own
    "nfft": "32,64,128,256",
    "hop": "2,4,8,16",
    "norm": "axis-window",  # of the pictures; fixed keeps intensity
    "height": 0,  # of the pictures; 0: as the runs were pre-trained, 96 x 128 without runs
    "width": 0,
    "layers": "last",  # further layers of the encoders of pictures, as last,layer1.bands: a row each
    "head_epochs": 50,
    "supervised_epochs": 20,
    "max_train": 0,  # windows a class for the fully supervised rows; 0: all
    "max_judged": 0,  # windows a class of the validation and test parts; 0: all
}
"""Numbers that Table II and Fig 7 share."""

_WHOLE = ("last", "all", "statistics")  # layers that are the row itself

TINY: dict[str, Any] = {
    "signal_epochs": 1,
    "signal_batch": 32,
    "signal_limit": 64,
    "image_epochs": 1,
    "image_batch": 32,
    "image_limit": 64,
    "small": True,
    "nfft": "64",
    "hop": "16",
    "head_epochs": 3,
    "supervised_epochs": 1,
    "max_train": 8,
    "max_judged": 4,
}


def wanted_rows(setup: Setup) -> list[str]:
    """Rows asked for by the option ``rows``, all by default, the statistics last.

    Raises
    ------
    ValueError
        A name that is none.
    """
    known = [*ROWS, STATISTICS]
    asked = [name.strip() for name in setup.option("rows", str).split(";") if name.strip()] or known
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ValueError(f"rows: expected some of {'; '.join(known)}, got {'; '.join(unknown)}")
    return asked


def columns(setup: Setup, data: Sequence[str]) -> list[str]:
    """Sets to judge on: those given, the paper's four in a tiny trial without any."""
    if setup.data:
        return list(setup.data)
    if setup.tiny:
        return list(data)
    raise ValueError(f"data: expected --data NAME=PATH for one or more of {', '.join(data)}, got none")


def judge(setup: Setup, data: Sequence[str], shots: Sequence[int]) -> tuple[pd.DataFrame, list[str]]:
    """Judge every wanted row on every set.

    Returns
    -------
    table
        A row for each row, set, number of shots and seed: ``row, set, shots, seed, macro_f1`` and the other scores.
    notes
        Rows that were left out or stand in for another, and why.
    """
    found, notes = [], []
    for name in columns(setup, data):
        windows, used = _windows(setup, name)
        if used:
            notes.append(f"{name}: judged on {len(windows.subjects)} subjects that no pre-training saw")
        for row in wanted_rows(setup):
            result = _judged(setup, row, name, windows, shots, notes)
            if result is not None:
                rows = [row if layer in _WHOLE else f"{row}, {layer}" for layer in result.table["layer"]]
                table = result.table.assign(row=rows, set=name)
                found.append(table)
                setup.say(f"{name}: {row}: macro-F1 {table['macro_f1'].mean():.3f}")
    if not found:
        raise ValueError(f"rows: expected one that can be made, got none: {'; '.join(notes)}")
    return pd.concat(found, ignore_index=True), notes


def long_table(judged: pd.DataFrame, papers: Sequence[str]) -> pd.DataFrame:
    """Mean and sd over seeds, long: ``row, column, value, sd, n``; with several sets their mean too.

    Over the paper's sets it is the column ``average``, which stands beside the paper's; over others it says of what.
    """
    each = summary(judged, ["row", "set"], ["macro_f1"])
    each = each.rename(columns={"set": "column", "macro_f1": "value", "macro_f1_sd": "sd"})
    sets = list(dict.fromkeys(judged["set"]))
    if len(sets) > 1:
        column = "average" if set(sets) == set(papers) else f"mean of {', '.join(sets)}"
        whole = judged.groupby("row", sort=False)["macro_f1"]
        means = each.groupby("row", sort=False)["value"].mean()
        over = pd.DataFrame({"row": means.index, "column": column, "value": means.to_numpy()})
        over["sd"] = whole.std(ddof=1).reindex(means.index).to_numpy()
        over["n"] = whole.size().reindex(means.index).to_numpy()
        each = pd.concat([each, over], ignore_index=True)
    order = {name: at for at, name in enumerate((*ROWS, STATISTICS))}
    by_row = each.sort_values("row", key=lambda names: names.map(lambda n: order[n.split(", ")[0]]), kind="stable")
    return by_row.reset_index(drop=True)


def _windows(setup: Setup, name: str) -> tuple[Windows, bool]:
    """A set's windows, without the subjects that the pre-training on signals sees; whether any were left out."""
    wanted = setup.option("window_s", float)
    windows = setup.windows(name, **({"window_s": wanted} if wanted else {}))
    if _signals_are(setup, name):
        seen = pretraining_subjects(windows.subject, setup.option("subjects", float), 0)
        return windows.select(~np.isin(windows.subject, seen)), True
    return windows, False


def _signals_are(setup: Setup, name: str) -> bool:
    given, signals = setup.data.get(name, ""), setup.option("signals", str)
    return bool(signals) and signals == f"{name}={given}"


def _judged(
    setup: Setup, row: str, name: str, windows: Windows, shots: Sequence[int], notes: list[str]
) -> ProbeResult | None:
    most = setup.option("max_judged", int) or None
    if row == STATISTICS:
        return probe(
            StatisticsSource(windows.rate),
            windows,
            seeds=setup.seeds,
            shots=shots,
            head="logistic",
            max_validation=most,
            max_test=most,
        )
    if ROWS[row].how == "supervised":
        return supervised(
            lambda seed: _random(ROWS[row].kind, windows, seed),
            windows,
            seeds=setup.seeds,
            max_train=setup.option("max_train", int) or None,
            max_validation=most,
            max_test=most,
            epochs=setup.option("supervised_epochs", int),
            picture={"nfft": 128, "noverlap": 120, **_drawing(setup)},
        )
    encoder = _encoder(setup, row, name, windows, notes)
    if encoder is None:
        return None
    return probe(
        source(setup, encoder),
        windows,
        seeds=setup.seeds,
        shots=shots,
        settings=HeadSettings(epochs=setup.option("head_epochs", int)),
        max_validation=most,
        max_test=most,
    )


def source(setup: Setup, encoder: nn.Module) -> Source:
    """Features of an encoder on the pictures that the options ``nfft`` and ``hop`` name."""
    nfft, hop = (tuple(int(part) for part in setup.option(name, str).split(",")) for name in ("nfft", "hop"))
    pictures = PictureSettings.model_validate({"nfft": nfft, "hop": hop, **_drawing(setup)})
    on_pictures = encoder.kind == "image"
    layers = str(setup.options.get("layers", "last")).split(",") if on_pictures else ["last"]
    return EncoderSource(encoder, pictures=pictures, layers=layers)


def _drawing(setup: Setup) -> dict[str, Any]:
    return {"norm": setup.option("norm", str), "size": (setup.option("height", int), setup.option("width", int))}


def _encoder(setup: Setup, row: str, name: str, windows: Windows, notes: list[str]) -> nn.Module | None:
    """The row's encoder: ``--runs ROW@SET=FOLDER``, ``--runs ROW=FOLDER``, pre-trained here, or None with a note."""
    what = setup.runs.get(f"{row}@{name}", setup.runs.get(row, ""))
    if what:
        return load_encoder(what)
    made = ROWS[row]
    if made.how == "random":
        return _random(made.kind, windows, 0)
    data = setup.option("signals" if made.kind == "signal" else "images", str)
    if not data and not setup.tiny:
        option = "signals=NAME=PATH" if made.kind == "signal" else "images=PATH"
        notes.append(f"{row}: left out, as neither --runs '{row}=FOLDER' nor --set {option} was given")
        return None
    if row == "ImageNet-supervised":
        note = f"{row}: trained here on the labels of the pictures given, for torchvision's weights are not there"
        notes += [] if note in notes else [note]
    return _pretrained(setup, row, windows, data).load_encoder()


def _random(kind: str, windows: Windows, seed: int) -> nn.Module:
    """A network with random weights; that of signals standardises by the windows' own mean and deviation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "image":
            return encoders.build("resnet18")
        mean, sd = windows.x.mean((0, 2), dtype=np.float64), windows.x.std((0, 2), dtype=np.float64)
        return encoders.build("standardised", encoder="cnn1d", mean=mean.tolist(), sd=sd.tolist())


def _pretrained(setup: Setup, row: str, windows: Windows, data: str) -> Run:
    """Pre-train a row within the experiment's folder; a run that is there already is gone on with."""
    made = ROWS[row]
    small = setup.option("small", bool) and made.small
    recipe = PretrainRecipe.load(small or made.recipe).set(*_budget(setup, made, windows))
    slug = re.sub(r"\W+", "-", row.lower()).strip("-")
    if made.kind == "signal":
        slug += f"-{windows.n_samples}" if data else f"-{windows.n_samples}-{windows.name}"
    folder = setup.out / "runs" / slug
    setup.say(f"{row}: pre-training by {recipe.name} in {folder}")
    given: Any = data
    if not data:  # a tiny trial
        given = windows if made.kind == "signal" else made_up_pictures(setup.out)
    return pretrain(recipe, given, folder, resume=(folder / "recipe.json").exists())


def _budget(setup: Setup, made: Row, windows: Windows) -> list[str]:
    kind = made.kind
    changes = [f"training.{field}={setup.option(f'{kind}_{field}', int)}" for field in ("epochs", "batch")]
    changes = [change for change in changes if not change.endswith("=0")]
    if kind == "signal":
        share = setup.option("subjects", float)
        changes += [f"source.window_s={windows.window_s}", f"source.rate_hz={windows.rate}"]
        changes += [f"source.subjects={share}"] if any(_signals_are(setup, name) for name in setup.data) else []
    if limit := setup.option(f"{kind}_limit", int):
        changes.append(f"source.limit={limit}")
    batch, limit = setup.option("image_batch", int), setup.option("image_limit", int)
    if batch and made.recipe in ("moco", "moco-all", "img2imu"):  # a queue that the pictures of an epoch fill
        changes.append(f"objective.queue={max(1, min(1024, limit or 1024) // batch) * batch}")
    return changes


def made_up_pictures(folder: Path) -> Path:
    """Pictures of random waves in two classes, for a tiny trial without any."""
    from PIL import Image

    at, n_each = folder / "pictures", 40
    if len(list(at.glob("*/*.png"))) == 2 * n_each:
        return at
    rng = np.random.default_rng(0)
    rows, columns_ = np.mgrid[0:96, 0:128] / 16
    for name, speed in (("slow", 1.0), ("fast", 3.0)):
        (at / name).mkdir(parents=True, exist_ok=True)
        for number in range(n_each):
            turn, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 3)
            wave = np.sin(speed * (np.cos(turn) * rows + np.sin(turn) * columns_)[..., None] + phase)
            noisy = 127 + 90 * wave + rng.normal(0, 10, wave.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(at / name / f"{number}.png")
    return at
