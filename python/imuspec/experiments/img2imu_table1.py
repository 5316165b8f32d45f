"""IMG2IMU, Table I and Fig 6: each operation left out of pre-training, judged on clean and on altered test windows.

The encoder of a row comes from a run (``--runs 'no Hue=FOLDER'``), or is pre-trained here on ``--set images=PATH`` by the
recipe ``img2imu`` (``--set small=true``: ``img2imu-small``) with the others of the four operations. Heads are fitted on
clean windows; the test windows are then shifted, masked, rotated or given noise, once each from a fixed seed. Fig 6 shows
what that does to a window and to its picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from imuspec.datasets import altered_sets
from imuspec.experiments.experiment import Result
from imuspec.experiments.methods import made_up_pictures, norm_group
from imuspec.experiments.pretraining import pretrain_once
from imuspec.experiments.setup import HeadsOptions, PictureOptions, Setup

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import nn

    from imuspec.datasets import Windows

OPERATIONS = {"TranslateX": "translate_x", "PermuteX": "permute_x", "Hue": "hue", "Jitter": "jitter"}
ROWS = {"all four": tuple(OPERATIONS.values())} | {
    f"no {name}": tuple(other for other in OPERATIONS.values() if other != operation)
    for name, operation in OPERATIONS.items()
}
COLUMNS = ("original", "time-shifted", "masked", "rotated", "noised")
DATA = ("wisdm",)
RUNS = {row: f"recipe img2imu with {', '.join(operations)}" for row, operations in ROWS.items()}


class Table1Options(HeadsOptions, PictureOptions):
    """Numbers of this table."""

    images: str = Field("", description="a folder or npz: pre-trains the rows that no run is given for")
    small: bool = Field(False, description="the recipe for some thousand pictures")
    epochs: NonNegativeInt = Field(0, description="of pre-training; 0: the recipe's")
    batch: NonNegativeInt = Field(0, description="of pre-training; 0: the recipe's")
    limit: NonNegativeInt = Field(0, description="pictures to pre-train on; 0: all")
    pretrain_seeds: PositiveInt = Field(1, description="seeds of each pre-training that is made here")
    seed: NonNegativeInt = Field(0, description="of the alterations")

    TINY: ClassVar[Mapping[str, Any]] = {
        "small": True,
        "epochs": 1,
        "batch": 16,
        "limit": 32,
        "height": 48,
        "width": 64,
        "nfft": (64,),
        "hop": (16,),
        "head_epochs": 5,
        "max_judged": 6,
    }

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options of pre-training where no row is pre-trained here."""
        if pretrained and (self.images or setup.tiny):
            return {}
        return dict.fromkeys(
            ("images", "small", "epochs", "batch", "limit", "pretrain_seeds"), "images, and a row without a run"
        )


OPTIONS = Table1Options


def run(setup: Setup[Table1Options]) -> Result:
    """Judge each row on the five test sets."""
    import pandas as pd

    from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table
    from imuspec.probing.sources import EncoderSource

    windows = setup.windows("wisdm")
    altered = {name: other.x for name, other in altered_sets(windows, setup.options.seed).items()}
    tables = []
    notes: list[str] = []
    for row in ROWS:
        encoders = _encoders(setup, row, notes)
        if not encoders:
            continue
        pictures = setup.options.pictures()
        sources = [(i, EncoderSource(each, pictures=pictures, device=setup.device)) for i, each in enumerate(encoders)]
        table = judge_row(setup, row, sources, windows, altered=altered)
        tables.append(table)
        setup.say(f"{row}: macro-F1 {table[table['test'] == 'clean']['macro_f1'].mean():.3f} on clean windows")
    if not tables:
        raise ValueError(f"runs: expected --runs ROW=FOLDER of {', '.join(ROWS)}, or --set images=PATH, got neither")
    for row, table in judge_parameter_free(setup, windows, pictures=setup.options.pictures(), altered=altered):
        tables.append(table.assign(row=row))
    judged = pd.concat(tables, ignore_index=True)
    judged["column"] = judged["test"].replace({"clean": "original"})
    table = score_table(judged)
    return Result(
        pd.concat([table, _losses(table)], ignore_index=True),
        figures={"table1": _drawn(table), "fig6": _pictures(setup, windows, altered)},
        notes=notes,
        tables={"seeds": judged},
    )


def _encoders(setup: Setup[Table1Options], row: str, notes: list[str]) -> list[nn.Module]:
    from imuspec.recipe import PretrainRecipe
    from imuspec.run.named import load_encoder

    if runs := setup.runs_of(row, "wisdm"):
        return [load_encoder(run) for run in runs]
    images = setup.options.images or (str(made_up_pictures(setup.runs_folder)) if setup.tiny else "")
    if not images:
        notes.append(f"{row}: left out, as neither --runs '{row}=FOLDER' nor --set images=PATH was given")
        return []
    names = ", ".join(f'"{operation}"' for operation in ROWS[row])
    changes = [f"views.operations=[{names}]", f"source.height={setup.options.height}"]
    changes += [f"source.width={setup.options.width}"]
    options = setup.options
    numbers = {"training.epochs": options.epochs, "training.batch": options.batch, "source.limit": options.limit}
    if options.limit:  # a queue that the pictures of an epoch fill
        batch = options.batch or 64
        numbers["objective.queue"] = max(1, min(1024, options.limit) // batch) * batch
    if options.batch:
        numbers["objective.norm_group"] = norm_group(options.batch)
    changes += [f"{key}={value}" for key, value in numbers.items() if value]
    recipe = PretrainRecipe.load("img2imu-small" if setup.options.small else "img2imu").set(*changes)
    seeds, several = range(options.pretrain_seeds), options.pretrain_seeds > 1
    return [
        pretrain_once(
            setup, f"{row}, seed {seed}" if several else row, recipe.set(f"training.seed={seed}"), images
        ).load_encoder()
        for seed in seeds
    ]


def _losses(table: pd.DataFrame) -> pd.DataFrame:
    """Return what each row loses on each altered set, ``(altered / original - 1) 100`` of the means, as the paper prints it."""
    wide = table.pivot(index="row", columns="column", values="value").loc[list(dict.fromkeys(table["row"]))]
    losses = (wide[list(COLUMNS[1:])].div(wide["original"], axis=0) - 1) * 100
    return losses.add_suffix(", %").reset_index().melt("row", var_name="column", value_name="value")


def _drawn(table: pd.DataFrame) -> Figure:
    from imuspec.experiments.experiment import compare
    from imuspec.report.scores import row_figure

    both = compare(table, "img2imu-table1")
    both = both[both["column"].isin(COLUMNS)]
    return row_figure(both[both["value"].notna()], title="Ten labelled windows per class, altered test windows")


def _pictures(setup: Setup[Table1Options], windows: Windows, altered: dict[str, Any]) -> Figure:
    """Fig 6: a window that moves more than four in five, untouched and altered, as signal and as picture."""
    from imuspec.report.scores import SERIES
    from imuspec.report.style import COLOURS, new_figure, plain_axes, style
    from imuspec.spectral.image import rgb_image

    spread = windows.x.std(axis=2).max(axis=1)
    index = int(np.argsort(spread)[int(0.8 * len(spread))])
    nfft = min(128, windows.n_samples // 2)
    drawing: Any = {"norm": setup.options.norm}
    time = np.arange(windows.n_samples) / windows.rate
    with style():
        figure = new_figure(10, 3.2)
        panels = figure.subplots(2, len(COLUMNS), height_ratios=[1, 1.2])
        for column, name in enumerate(COLUMNS):
            x = windows.x[index] if name == "original" else altered[name][index]
            for axis, (colour, _) in zip(x, SERIES, strict=False):
                panels[0, column].plot(time, axis, color=colour, lw=0.7)
            picture = rgb_image(x, nfft=nfft, noverlap=nfft - 8, **drawing)
            panels[1, column].imshow(
                picture.transpose(1, 2, 0), extent=(0, windows.window_s, 0, windows.rate / 2), aspect="auto"
            )
            panels[0, column].set_xlim(0, windows.window_s)
            panels[0, column].set_title(name)
            panels[1, column].set_xlabel("time (s)")
            panels[0, column].sharey(panels[0, 0])
            panels[0, column].tick_params(labelbottom=False)
            for row in (0, 1):
                panels[row, column].tick_params(labelleft=column == 0)
                plain_axes(panels[row, column])
            panels[0, column].axhline(0, color=COLOURS["faint"], lw=0.5, zorder=0)
        panels[0, 0].set_ylabel("acceleration (g)")
        panels[1, 0].set_ylabel("frequency (Hz)")
        for label, (colour, _) in zip("xyz", SERIES, strict=False):
            panels[0, -1].plot([], [], color=colour, label=label)
        panels[0, -1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=1)
        figure.tight_layout(pad=0.6, w_pad=0.8)
        return figure
