"""Commands on what a wearer does: activities fits a model, predict applies it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imuspec.cli import output
from imuspec.cli.app import Many, app, existing, finished, is_cohort
from imuspec.cli.probing import LEAST_STEPS, patch_encoder
from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

__all__ = ["activities", "predict"]


@app.command
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
    """Fit a model of activities: a head on a frozen encoder, its errors on unseen people, smoothing.

    Parameters
    ----------
    run
        A run's folder of imuspec pretrain mae-..., or random.
    data
        NAME=PATH[,setting=value,...]: capture24 and the folder of its official files, or another labelled set of
        continuous recordings.
    out
        Folder of the model, for imuspec predict.
    head
        Head on the encoder: logistic, a layer on standardised features, fitted to convergence; linear, the paper's layer;
        mlp; lstm.
    epochs
        Passes over the labelled windows; more where these make fewer than 2,000 steps of a linear or mlp head.
    folds
        Groups of people left out in turn, on whom errors are measured.
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


@app.command
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
    """Say what a wearer did when: a class for each ten seconds, minutes of each class and day, a picture of the week.

    Over a cohort, on processes or a cluster: a table for each recording in the folder --out, and the minutes of all in its
    summary.parquet; imuspec cohort status and verify look after it.

    Parameters
    ----------
    recording
        A device file, or the folder (or s3:// URL) of a cohort.
    model
        A folder of imuspec activities.
    out
        The table over time, in .parquet or .csv; the minutes go beside it. Of a cohort: a folder.
    plot
        A picture of the days, in .png, .svg or .pdf.
    smooth
        Let neighbouring patches correct one another (hidden Markov model).
    recipe
        From file to wear, as capture24 or ukb; by default capture24 with wear of any length, calibrated where possible.
    many
        How to go over a cohort.
    json
        Print JSON, for programs.
    """
    output.begin(json=json)
    require("imuspec predict", "torch")
    existing(recording)
    existing(model)
    if is_cohort(recording):
        return _predict_cohort(recording, model, out, plot, recipe, smooth=smooth, many=many or Many(), json=json)
    if many not in (None, Many()):
        raise ValueError(f"recording: expected a cohort with options of workers and engines, got the file {recording}")
    from imuspec.prediction import predict as predicted

    found = predicted(recording, model, recipe=recipe, smooth=smooth)
    for note in found.notes:
        output.say(f"note: {note}")
    minutes = found.minutes()
    if json:
        rows = minutes.assign(day=minutes["day"].dt.strftime("%Y-%m-%d")).to_dict("records")
        output.emit({"path": recording, "notes": list(found.notes), "minutes": rows})
    output.show(_minutes_table(minutes, Path(recording).name))
    if out is not None:
        for path in found.save(out):
            output.say(path)
    if plot is not None:
        require("imuspec predict --plot", "matplotlib")
        from imuspec.report.drawing import plot as draw

        draw(found, plot)
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
        raise ValueError(f"{given[0]}: expected none with a cohort, which is prepared already, got one")
    if out is None:
        raise ValueError("out: expected a folder for the tables of a cohort, got none")
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import compute
    from imuspec.prediction import ActivityModel
    from imuspec.prediction.cohort import CohortActivities
    from imuspec.run.named import weights_digest

    ActivityModel.load(model)  # what is wrong with it is said once, not of each recording
    work = CohortActivities(str(model.absolute()), weights_digest(str(model)), smooth)
    with RunDisplay(doing="predicting") as display:
        summary = compute(cohort, out, work, progress=display.update, **many.options())
    return finished(summary, json=json)


def _minutes_table(minutes: pd.DataFrame, title: str) -> Table:
    """A row a day, a column an activity: minutes, with the interval where it is known."""
    import pandas as pd
    from rich.table import Table

    names = list(dict.fromkeys(minutes["activity"]))
    table = Table(title=f"{title}: minutes a day (95 % interval allowing for the model's errors)", title_justify="left")
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
