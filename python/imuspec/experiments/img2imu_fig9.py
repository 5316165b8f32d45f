"""IMG2IMU, Fig 9: vision transformers, pre-trained by MoCo v3 with three sets of views and by MAE, on WISDM, ten shots.

A row's encoder comes from a run (``--runs 'ROW=FOLDER'``) or is pre-trained here on the pictures of ``--set images=PATH``.
The paper prints no numbers; in its figure IMG2IMU's views are best on both sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table
from imuspec.experiments.methods import PictureMethodOptions, made_up_pictures, source
from imuspec.experiments.pretraining import pretrain_once
from imuspec.experiments.setup import RowOptions, Setup
from imuspec.recipe import PretrainRecipe
from imuspec.run.named import load_encoder

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import nn

DATA = ("wisdm",)
OTHER_DATA = True
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


class Fig9Options(PictureMethodOptions, RowOptions):
    """Numbers of this figure."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(ROWS)

    size: Literal["", "tiny", "small", "base"] = Field("", description="size of the networks in place of each recipe's")

    TINY: ClassVar[Mapping[str, Any]] = {
        **PictureMethodOptions.TINY,
        "size": "tiny",
        "rows": ("ViT-S, MoCo v3", "ViT-S, MAE"),
    }

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of pre-training, the size among them, where no row is pre-trained here."""
        unused = super().without_effect(pretrained, setup)
        return {**unused, "size": unused["images"]} if unused else {}


OPTIONS = Fig9Options


def run(setup: Setup[Fig9Options]) -> Result:
    """Judge each transformer, and draw a bar for each; the rows without parameters are in the table."""
    import pandas as pd

    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    pretrained: dict[str, list[nn.Module]] = {}
    sets = {name: setup.windows(name, **setup.options.window_settings) for name in setup.columns(DATA)}
    for name, windows in sets.items():
        for row in setup.options.chosen:
            if runs := setup.runs_of(row, name):
                encoders: list[nn.Module] = [load_encoder(run) for run in runs]
            elif setup.options.images or setup.tiny:
                encoders = pretrained.get(row) or pretrained.setdefault(row, _pretrained(setup, row))
            else:
                notes.append(f"{row}: left out, as neither --runs '{row}=FOLDER' nor --set images=PATH was given")
                continue
            sources = ((seed, source(setup, encoder)) for seed, encoder in enumerate(encoders))
            tables.append(judge_row(setup, row, sources, windows).assign(column=name))
    if not tables:
        raise ValueError(f"runs: expected an encoder for one row or more, got none: {'; '.join(notes)}")
    for name, windows in sets.items():
        for row, table in judge_parameter_free(setup, windows, pictures=setup.options.pictures()):
            tables.append(table.assign(row=row, column=name))
    judged = pd.concat(tables, ignore_index=True)
    table = score_table(judged)
    bars = table[table["row"].isin(ROWS)]
    figures = {f"fig9-{name}" if len(sets) > 1 else "fig9": _drawn(bars[bars["column"] == name], name) for name in sets}
    return Result(table, figures=figures, notes=list(dict.fromkeys(notes)), tables={"seeds": judged})


def _drawn(table: pd.DataFrame, name: str) -> Figure:
    """A group of bars for each size of network, mean and sd over the seeds."""
    from matplotlib.figure import Figure

    sizes, methods = zip(*(row.split(", ") for row in table["row"]), strict=True)
    groups, kinds = list(dict.fromkeys(sizes)), list(dict.fromkeys(methods))
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, kind in enumerate(kinds):
        selected = [index for index, method in enumerate(methods) if method == kind]
        positions = [
            groups.index(sizes[index]) + (number - (len(kinds) - 1) / 2) * 0.8 / len(kinds) for index in selected
        ]
        bars = table.iloc[selected]
        axes.bar(positions, bars["value"], 0.72 / len(kinds), yerr=bars["sd"].fillna(0), capsize=2, label=kind)
    axes.set_xticks(range(len(groups)), groups)
    axes.set(ylabel="macro-F1", title=name, ylim=(0, 1))
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return figure


def _pretrained(setup: Setup[Fig9Options], row: str) -> list[nn.Module]:
    recipe = PretrainRecipe.load(ROWS[row]).set(*setup.options.changes())
    if size := setup.options.size:
        recipe = recipe.set(f"encoder.size={size}")
    if size == "tiny":
        recipe = recipe.set("objective.hidden=64" if recipe.objective.name == "moco_v3" else "objective.n_blocks=1")
        recipe = recipe.set("encoder.n_heads=3")
    data = setup.options.images or made_up_pictures(setup.runs_folder)
    seeds, several = range(setup.options.pretrain_seeds), setup.options.pretrain_seeds > 1
    return [
        pretrain_once(
            setup, f"{row}, seed {seed}" if several else row, recipe.set(f"training.seed={seed}"), data
        ).load_encoder()
        for seed in seeds
    ]
