"""IMG2IMU, Fig 9: vision transformers, pre-trained by MoCo v3 with three sets of views and by MAE, on WISDM, ten shots.

A row's encoder comes from a run (``--runs 'ROW=FOLDER'``) or is pre-trained here on the pictures of ``--set images=PATH``.
The paper prints no numbers; in its figure IMG2IMU's views are best on both sizes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from imuspec.evaluation import summary
from imuspec.experiments import _rows
from imuspec.experiments.frame import Result, Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.probing.protocol import probe
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.probing import HeadSettings
from imuspec.run.named import load_encoder

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DATA = ("wisdm",)
ROWS = {
    f"ViT-{size.upper()}, {title}": recipe.format(size)
    for size in ("s", "b")
    for title, recipe in (
        ("MoCo v3", "moco-v3-vit-{}"),
        ("MoCo v3 + All aug.", "moco-v3-vit-{}-all"),
        ("MAE", "mae-vit-{}"),
        ("IMG2IMU", "moco-v3-vit-{}-img2imu"),
    )
}
RUNS = {row: f"recipe {recipe}" for row, recipe in ROWS.items()}
_SHARED = (
    "images",
    "image_epochs",
    "image_batch",
    "image_limit",
    "nfft",
    "hop",
    "norm",
    "height",
    "width",
    "head_epochs",
    "max_judged",
    "window_s",
)
OPTIONS: dict[str, Any] = {
    **{name: _rows.OPTIONS[name] for name in _SHARED},
    "rows": "",  # names with semicolons between; all
    "shots": 10,
    "size": "",  # small, base or tiny in place of each recipe's
}
TINY = {
    **{name: value for name, value in _rows.TINY.items() if name in OPTIONS},
    "size": "tiny",
    "rows": "ViT-S, MoCo v3; ViT-S, MAE",
}


def run(setup: Setup) -> Result:
    """Judge each transformer, and draw a bar for each."""
    import pandas as pd

    asked = [name.strip() for name in setup.option("rows", str).split(";") if name.strip()] or list(ROWS)
    if unknown := [name for name in asked if name not in ROWS]:
        raise ValueError(f"rows: expected some of {'; '.join(ROWS)}, got {'; '.join(unknown)}")
    name = _rows.columns(setup, DATA)[0]
    wanted = setup.option("window_s", float)
    windows = setup.windows(name, **({"window_s": wanted} if wanted else {}))
    most, found, notes = setup.option("max_judged", int) or None, [], []
    for row in asked:
        if row in setup.runs:
            encoder = load_encoder(setup.runs[row])
        elif setup.option("images", str) or setup.tiny:
            encoder = _pretrained(setup, row)
        else:
            notes.append(f"{row}: left out, as neither --runs '{row}=FOLDER' nor --set images=PATH was given")
            continue
        settings = HeadSettings(epochs=setup.option("head_epochs", int))
        shots = (setup.option("shots", int),)
        result = probe(
            _rows.source(setup, encoder),
            windows,
            seeds=setup.seeds,
            shots=shots,
            settings=settings,
            max_validation=most,
            max_test=most,
        )
        found.append(result.table.assign(row=row, column=name))
    if not found:
        raise ValueError(f"runs: expected an encoder for one row or more, got none: {'; '.join(notes)}")
    judged = pd.concat(found, ignore_index=True)
    table = summary(judged, ["row", "column"], ["macro_f1"]).rename(columns={"macro_f1": "value", "macro_f1_sd": "sd"})
    return Result(table, figures={"fig9": _drawn(table, name)}, notes=notes, tables={"seeds": judged})


def _drawn(table: pd.DataFrame, name: str) -> Figure:
    """A group of bars for each size of network, mean and sd over the seeds."""
    from matplotlib.figure import Figure

    sizes, methods = zip(*(row.split(", ") for row in table["row"]), strict=True)
    groups, kinds = list(dict.fromkeys(sizes)), list(dict.fromkeys(methods))
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, kind in enumerate(kinds):
        mine = [at for at, method in enumerate(methods) if method == kind]
        where = [groups.index(sizes[at]) + (number - (len(kinds) - 1) / 2) * 0.8 / len(kinds) for at in mine]
        bars = table.iloc[mine]
        axes.bar(where, bars["value"], 0.72 / len(kinds), yerr=bars["sd"].fillna(0), capsize=2, label=kind)
    axes.set_xticks(range(len(groups)), groups)
    axes.set(ylabel="macro-F1", title=name, ylim=(0, 1))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure


def _pretrained(setup: Setup, row: str) -> Any:
    recipe = PretrainRecipe.load(ROWS[row])
    numbers = {
        "training.epochs": setup.option("image_epochs", int),
        "training.batch": setup.option("image_batch", int),
        "source.limit": setup.option("image_limit", int),
    }
    recipe = recipe.set(*(f"{key}={value}" for key, value in numbers.items() if value))
    if size := setup.option("size", str):
        recipe = recipe.set(f"encoder.size={size}")
    if size == "tiny":
        recipe = recipe.set("objective.hidden=64" if recipe.objective.name == "moco_v3" else "objective.n_blocks=1")
        recipe = recipe.set("encoder.n_heads=3")
    folder = setup.out / "runs" / re.sub(r"\W+", "-", row.lower()).strip("-")
    setup.say(f"{row}: pre-training by {recipe.name} in {folder}")
    data = setup.option("images", str) or _rows.made_up_pictures(setup.out)
    return pretrain(recipe, data, folder, resume=(folder / "recipe.json").exists()).load_encoder()
