"""Commands for the activities of wearers: activities fits a model, predict applies it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imuspec.cli import output
from imuspec.cli.app import Many, command, existing, finished, is_cohort
from imuspec.cli.probing import LEAST_STEPS, patch_encoder
from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

__all__ = ["activities", "predict"]


@command
def activities(
    run: str,
    /,
    *,
    data: str,
    out: Path,
    head: Literal["logistic", "linear", "mlp", "lstm"] = "logistic",
    epochs: int = 70,
    folds: int = 5,
) -> int:
    """Fit an activity model: a head on a frozen encoder, its errors on unseen people, and smoothing.

    Parameters
    ----------
    run : str
        The folder of a run of imuspec pretrain mae-..., or random.
    data : str
        NAME=PATH[,setting=value,...]: capture24 and the folder of its official files, or another labelled data set of
        continuous recordings.
    out : Path
        Folder for the model; imuspec predict --model takes it.
    head : {"logistic", "linear", "mlp", "lstm"}, default "logistic"
        Head on the encoder: logistic (one layer on standardised features, fitted to convergence), linear (the layer of the
        paper), mlp or lstm.
    epochs : int, default 70
        Passes over the labelled windows. A linear or mlp head takes at least 2,000 steps, so it may take more passes.
    folds : int, default 5
        Number of groups of people. Each group is left out once, and the errors are measured on it.
    """
    require("imuspec activities", "torch")
    from imuspec.datasets import DatasetReference
    from imuspec.prediction import fit_activity_model
    from imuspec.probing import PatchHeadSettings

    sequences = DatasetReference.parse(data).sequences()
    output.say(sequences)
    settings = PatchHeadSettings(head=head, epochs=epochs, standardise=True, least_steps=LEAST_STEPS)
    model = fit_activity_model(
        patch_encoder(run), sequences, settings, folds=folds, cache=out / "features", say=output.say
    )
    model.save(out)
    output.say(f"{out}: imuspec predict RECORDING --model {out}")
    return 0


@command
def predict(
    recording: str,
    /,
    *,
    model: Path,
    out: str | None = None,
    plot: Path | None = None,
    smooth: bool = False,
    recipe: str | None = None,
    json: bool = False,
    many: Many | None = None,
) -> int:
    """Predict activities: a class for every ten seconds, the minutes of each class and day, and a figure of the days.

    A cohort is predicted in parallel, on processes or a cluster. The folder --out then gets a table for each recording, and
    summary.parquet with the minutes of all of them. imuspec cohort status and verify work on this folder.

    Parameters
    ----------
    recording : str
        A device file, or the folder (or s3:// URL) of a cohort.
    model : Path
        A folder that imuspec activities wrote.
    out : str, optional
        The file for the table over time, .parquet or .csv; the minutes are written beside it. For a cohort: a folder.
    plot : Path, optional
        The file for a figure of the days: .png, .svg or .pdf.
    smooth : bool, default False
        Smooth the classes over time with a hidden Markov model.
    recipe : str, optional
        Recipe that prepares the file, as capture24 or ukb. The default is capture24 with wear of any length, calibrated
        where possible.
    json : bool, default False
        Print JSON, for programs.
    many : Many, optional
        Options of a run over many recordings.
    """
    output.begin(json=json)
    require("imuspec predict", "torch")
    existing(recording)
    existing(model)
    if is_cohort(recording):
        return _predict_cohort(recording, model, out, plot, recipe, smooth=smooth, many=many or Many(), json=json)
    if many not in (None, Many()):
        raise ValueError(f"recording: expected a cohort with options of workers and engines, got the file {recording}")
    from imuspec.prediction import predict as predict_recording

    activities = predict_recording(recording, model, recipe=recipe, smooth=smooth)
    for note in activities.notes:
        output.say(f"note: {note}")
    minutes = activities.minutes()
    if json:
        rows = minutes.assign(day=minutes["day"].dt.strftime("%Y-%m-%d")).to_dict("records")
        output.emit({"path": recording, "notes": list(activities.notes), "minutes": rows})
    output.show(_minutes_table(minutes, Path(recording).name))
    if out is not None:
        for path in activities.save(out):
            output.say(path)
    if plot is not None:
        require("imuspec predict --plot", "matplotlib")
        from imuspec.report.drawing import plot as draw

        draw(activities, plot)
        output.say(plot)
    return 0


def _predict_cohort(
    cohort: str,
    model: Path,
    out: str | None,
    plot: Path | None,
    recipe: str | None,
    *,
    smooth: bool,
    many: Many,
    json: bool,
) -> int:
    given = [name for name, value in (("plot", plot), ("recipe", recipe)) if value is not None]
    if given:
        raise ValueError(f"{given[0]}: expected no --{given[0]} with a cohort, got one")
    if out is None:
        raise ValueError("out: expected a folder for the tables of a cohort, got none")
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import compute
    from imuspec.prediction import ActivityModel
    from imuspec.prediction.cohort import CohortActivities
    from imuspec.run.named import weights_digest

    ActivityModel.load(model)  # an error in it is raised once, not for each recording
    work = CohortActivities(str(model.absolute()), weights_digest(str(model)), smooth)
    with RunDisplay(doing="predicting") as display:
        summary = compute(cohort, out, work, progress=display.update, **many.options())
    return finished(summary, json=json)


def _minutes_table(minutes: pd.DataFrame, title: str) -> Table:
    """Return minutes as a table: one row per day, one column per activity, with the interval where it is known."""
    import pandas as pd
    from rich.table import Table

    names = list(dict.fromkeys(minutes["activity"]))
    table = Table(
        title=f"{title}: minutes per day (95 % interval, including the errors of the model)", title_justify="left"
    )
    table.add_column("day")
    for name in names:
        table.add_column(name, justify="right")
    for day, part in minutes.groupby("day", sort=True):
        cells = []
        for _, row in part.iterrows():
            interval = "" if pd.isna(row["low"]) else f" ({row['low']:.0f}-{row['high']:.0f})"
            cells.append(f"{row['minutes']:.0f}{interval}")
        table.add_row(f"{day:%a %d %b %Y}", *cells)
    return table
