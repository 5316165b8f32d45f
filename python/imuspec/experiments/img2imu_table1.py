"""IMG2IMU, Table I and Fig 6: each operation left out of pre-training, judged on clean and on altered test windows.

The encoder of a row comes from a run (``--runs 'no Hue=FOLDER'``), or is pre-trained here on ``--set images=PATH`` by the
recipe ``img2imu`` (``--set small=true``: ``img2imu-small``) with the others of the four operations. Heads are fitted on
clean windows; the test windows are then shifted, masked, rotated or given noise, once each from a fixed seed. Fig 6 shows
what that does to a window and to its picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.datasets import altered_sets
from imuspec.evaluation import summary
from imuspec.experiments._rows import made_up_pictures
from imuspec.experiments.frame import Result, Setup

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
OPTIONS: dict[str, Any] = {
    "images": "",  # a folder or npz: pre-trains the rows that no run is given for
    "small": False,  # the recipe for some thousand pictures
    "epochs": 0,  # of pre-training; 0: the recipe's
    "batch": 0,
    "limit": 0,  # pictures; 0: all
    "height": 0,  # of the pictures; 0: as the runs were pre-trained, 96 x 128 without runs
    "width": 0,
    "shots": 10,
    "nfft": "32,64,128,256",
    "hop": "2,4,8,16",
    "norm": "axis-window",
    "head_epochs": 50,
    "max_judged": 0,  # windows of each class of the validation and test parts; 0: all
    "seed": 0,  # of the alterations
}
TINY = {
    "small": True,
    "epochs": 1,
    "batch": 16,
    "limit": 32,
    "height": 48,
    "width": 64,
    "nfft": "64",
    "hop": "16",
    "head_epochs": 5,
    "max_judged": 6,
}


def run(setup: Setup) -> Result:
    """Judge each row on the five test sets."""
    import pandas as pd

    windows = setup.windows("wisdm")
    altered = {name: other.x for name, other in altered_sets(windows, setup.option("seed", int)).items()}
    found = []
    notes: list[str] = []
    for row in ROWS:
        encoder = _encoder(setup, row, notes)
        if encoder is None:
            continue
        table = _probed(setup, encoder, windows, altered).assign(row=row)
        found.append(table)
        setup.say(f"{row}: macro-F1 {table[table['test'] == 'clean']['macro_f1'].mean():.3f} on clean windows")
    if not found:
        raise ValueError(f"runs: expected --runs ROW=FOLDER of {', '.join(ROWS)}, or --set images=PATH, got neither")
    judged = pd.concat(found, ignore_index=True)
    table = _long(judged)
    return Result(
        table,
        figures={"table1": _drawn(table), "fig6": _pictures(setup, windows, altered)},
        notes=notes,
        tables={"seeds": judged, "drops": _drops(table)},
    )


def _encoder(setup: Setup, row: str, notes: list[str]) -> nn.Module | None:
    from imuspec.pretraining.pretraining import pretrain
    from imuspec.recipe import PretrainRecipe
    from imuspec.run.named import load_encoder

    if row in setup.runs:
        return load_encoder(setup.runs[row])
    images = setup.option("images", str) or (str(made_up_pictures(setup.out)) if setup.tiny else "")
    if not images:
        notes.append(f"{row}: left out, as neither --runs '{row}=FOLDER' nor --set images=PATH was given")
        return None
    names = ", ".join(f'"{operation}"' for operation in ROWS[row])
    changes = [f"views.operations=[{names}]", f"source.height={setup.option('height', int)}"]
    changes += [f"source.width={setup.option('width', int)}"]
    given = {"training.epochs": "epochs", "training.batch": "batch", "source.limit": "limit"}
    changes += [f"{key}={setup.option(name, int)}" for key, name in given.items() if setup.option(name, int)]
    if setup.option("limit", int):  # a queue that the pictures of an epoch fill
        batch = setup.option("batch", int) or 64
        changes.append(f"objective.queue={max(1, min(1024, setup.option('limit', int)) // batch) * batch}")
    recipe = PretrainRecipe.load("img2imu-small" if setup.option("small", bool) else "img2imu").set(*changes)
    folder = setup.out / "runs" / row.replace(" ", "-").lower()
    setup.say(f"{row}: pre-training by {recipe.name} in {folder}")
    return pretrain(recipe, images, folder, resume=(folder / "recipe.json").exists()).load_encoder()


def _probed(setup: Setup, encoder: nn.Module, windows: Windows, altered: dict[str, Any]) -> pd.DataFrame:
    from imuspec.probing.protocol import probe
    from imuspec.probing.sources import EncoderSource
    from imuspec.recipe.probing import HeadSettings, PictureSettings

    nfft, hop = ([int(part) for part in setup.option(name, str).split(",")] for name in ("nfft", "hop"))
    size = (setup.option("height", int), setup.option("width", int))
    pictures = PictureSettings.model_validate(
        {"nfft": nfft, "hop": hop, "norm": setup.option("norm", str), "size": size}
    )
    most = setup.option("max_judged", int) or None
    return probe(
        EncoderSource(encoder, pictures=pictures),
        windows,
        seeds=setup.seeds,
        shots=(setup.option("shots", int),),
        settings=HeadSettings.model_validate({"epochs": setup.option("head_epochs", int)}),
        altered=altered,
        max_validation=most,
        max_test=most,
    ).table


def _long(judged: pd.DataFrame) -> pd.DataFrame:
    table = summary(judged, ["row", "test"], ["macro_f1"])
    table["column"] = table["test"].replace({"clean": "original"})
    return table.rename(columns={"macro_f1": "value", "macro_f1_sd": "sd"})[["row", "column", "value", "sd", "n"]]


def _drops(table: pd.DataFrame) -> pd.DataFrame:
    """``(altered / clean - 1) 100`` of the means, as the paper prints them: a row each, a column a set."""
    wide = table.pivot(index="row", columns="column", values="value").loc[list(dict.fromkeys(table["row"]))]
    drops = (wide[list(COLUMNS[1:])].div(wide["original"], axis=0) - 1) * 100
    return drops.reset_index()


def _drawn(table: pd.DataFrame) -> Figure:
    from imuspec.experiments.frame import compare
    from imuspec.report.scores import row_figure

    both = compare(table, "img2imu-table1")
    return row_figure(both[both["value"].notna()], title="Ten labelled windows a class, altered test windows")


def _pictures(setup: Setup, windows: Windows, altered: dict[str, Any]) -> Figure:
    """Fig 6: a window that moves more than four in five, untouched and altered, as signal and as picture."""
    from imuspec.report.scores import SERIES
    from imuspec.report.style import COLOURS, new_figure, plain_axes, style
    from imuspec.spectral.image import rgb_image

    spread = windows.x.std(axis=2).max(axis=1)
    at = int(np.argsort(spread)[int(0.8 * len(spread))])
    nfft = min(128, windows.n_samples // 2)
    drawing: Any = {"norm": setup.option("norm", str)}
    time = np.arange(windows.n_samples) / windows.rate
    with style():
        figure = new_figure(10, 3.2)
        panels = figure.subplots(2, len(COLUMNS), height_ratios=[1, 1.2])
        for column, name in enumerate(COLUMNS):
            x = windows.x[at] if name == "original" else altered[name][at]
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
