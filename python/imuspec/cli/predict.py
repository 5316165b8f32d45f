"""Command: predict, which applies a fitted model to a device file, a cohort or a labelled set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imuspec.cli import output
from imuspec.cli.app import Many, command, existing, finished, is_cohort, open_cohort
from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from imuspec.prediction import LabelledPrediction

__all__ = ["predict"]


@command
def predict(
    recording: str,
    /,
    *,
    model: Path,
    out: str | None = None,
    plot: Path | None = None,
    smooth: bool = False,
    coverage: float | None = None,
    recipe: str | None = None,
    json: bool = False,
    many: Many | None = None,
) -> int:
    """Predict activities: a class for every window, the minutes of each class and day, and a figure of the days.

    A cohort is predicted in parallel, on processes or a cluster. The folder --out then gets a table for each recording, and
    summary.parquet with the minutes of all of them. imuspec cohort status and verify work on this folder.

    A labelled set is predicted and scored, on people that the model was not fitted to.

    Parameters
    ----------
    recording : str
        A device file, the folder (or s3:// URL) of a cohort, or NAME=PATH[,setting=value,...], a labelled set.
    model : Path
        A folder that imuspec fit wrote.
    out : str, optional
        The file for the table over time, .parquet or .csv; the minutes, or the scores of a labelled set, are written beside it.
        For a cohort: a folder.
    plot : Path, optional
        The file for a figure of the days, or of the confusion matrix of a labelled set: .png, .svg or .pdf.
    smooth : bool, default False
        Smooth the classes over time with a hidden Markov model.
    coverage : float, optional
        Also write the set of classes that has the true one with this probability for a new person, as 0.9.
    recipe : str, optional
        Recipe that prepares the file, as capture24 or ukb. The default is capture24 at the model's rate with wear of any
        length, calibrated where possible.
    json : bool, default False
        Print JSON, for programs.
    many : Many, optional
        Options of a run over many recordings.
    """
    output.begin(json=json)
    for package in ("torch", "safetensors", "pandas"):
        require("imuspec predict", package)
    labelled = "=" in recording and not Path(recording).exists()
    if not labelled:
        existing(recording)
    existing(model)
    if not labelled and is_cohort(recording):
        options = {"plot": plot, "recipe": recipe}
        return _predict_cohort(
            recording, model, out, options, smooth=smooth, coverage=coverage, many=many or Many(), json=json
        )
    if not labelled and _of_recordings(recording):
        raise ValueError(
            f"recording: expected a device file, a cohort or NAME=PATH, got the folder {recording}: `imuspec prepare` makes a "
            f"cohort of its recordings, folder={recording} is a labelled set"
        )
    if many not in (None, Many()):
        raise ValueError(f"recording: expected a cohort with options of workers and engines, got {recording}")
    if out is not None and Path(out).suffix.lower() not in (".parquet", ".csv"):
        raise ValueError(f"out: expected a name in .parquet or .csv, got {Path(out).name!r}")
    if labelled:
        if recipe is not None:
            raise ValueError("recipe: expected no --recipe with a labelled set, got one")
        return _predict_labelled(recording, model, out, plot, smooth=smooth, coverage=coverage, json=json)
    if coverage is not None and out is None:
        raise ValueError("coverage: expected --out for the sets of classes of a recording, got none")
    from imuspec.prediction import predict as predict_recording

    activities = predict_recording(recording, model, recipe=recipe, smooth=smooth, coverage=coverage)
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


def _of_recordings(path: str) -> bool:
    """Whether a path is a folder that is not one recording, as that of the hourly files of NHANES is."""
    from imuspec.recording.inputs import find_inputs

    folder = Path(path)
    return folder.is_dir() and [source.path for source in find_inputs([folder]).sources] != [str(folder.absolute())]


def _predict_labelled(
    data: str, path: Path, out: str | None, plot: Path | None, *, smooth: bool, coverage: float | None, json: bool
) -> int:
    from imuspec.datasets import DatasetReference
    from imuspec.evaluation import METRICS
    from imuspec.prediction import load, predict_labelled

    reference, model = DatasetReference.parse(data, option="recording"), load(path)
    if model.front.kind == "patches":
        result = predict_labelled(model, reference.sequences(), smooth=smooth, coverage=coverage)
    else:
        windows = reference.windows(window_s=model.front.window_s, rate=model.front.rate_hz)
        result = predict_labelled(model, windows, smooth=smooth, coverage=coverage)
    for note in result.notes:
        output.say(f"note: {note}")
    if json:
        values = None if result.scores is None else {**result.scores.values, "interval": result.scores.interval}
        output.emit({"data": data, "notes": list(result.notes), "n_windows": len(result.table), "scores": values})
    if result.scores is not None:
        from rich.table import Table

        from imuspec.prediction.card import interval_text

        table = Table("score", "value", "95 % interval over people", title=f"{reference.label}: {path}")
        for name in METRICS:
            low, high = result.scores.interval[name]
            table.add_row(name.replace("_", " "), f"{result.scores.values[name]:.3f}", interval_text(low, high))
        output.show(table)
    if out is not None:
        _write_labelled(result, Path(out))
    if plot is not None:
        _plot_confusion(result, plot, f"{reference.label}: {path.name}")
    return 0


def _write_labelled(result: LabelledPrediction, out: Path) -> None:
    """Write the table, and the scores and the confusion matrix beside it."""
    import pandas as pd

    from imuspec.prediction.activities import write_table

    write_table(result.table, out)
    output.say(out)
    if result.scores is None:
        return
    scores = result.scores
    rows = [
        {"score": name, "value": value, "low": scores.interval[name][0], "high": scores.interval[name][1]}
        for name, value in scores.values.items()
    ]
    rows += [{"score": f"F1 of {name}", "value": value} for name, value in scores.f1.items()]
    names = list(scores.class_names)
    confusion = pd.DataFrame(scores.confusion, names, names).reset_index(names="truth")
    for kind, table in (("scores", pd.DataFrame(rows)), ("confusion", confusion)):
        beside = out.with_name(f"{out.stem}.{kind}.csv")
        write_table(table, beside)
        output.say(beside)


def _plot_confusion(result: LabelledPrediction, plot: Path, title: str) -> None:
    require("imuspec predict --plot", "matplotlib")
    from imuspec.report.scores import confusion_figure
    from imuspec.report.style import save

    if result.scores is None:
        raise ValueError("plot: expected a window with a class of the model, got none")
    save(confusion_figure(result.scores.confusion, result.scores.class_names, title), plot)
    output.say(plot)


def _predict_cohort(
    cohort: str,
    path: Path,
    out: str | None,
    refused: dict[str, Path | str | None],
    *,
    smooth: bool,
    coverage: float | None,
    many: Many,
    json: bool,
) -> int:
    present = [name for name, value in refused.items() if value is not None]
    if present:
        raise ValueError(f"{present[0]}: expected no --{present[0]} with a cohort, got one")
    if out is None:
        raise ValueError("out: expected a folder for the tables of a cohort, got none")
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import compute
    from imuspec.prediction import load
    from imuspec.prediction.cohort import CohortActivities
    from imuspec.run.named import weights_digest

    model = load(path)  # an error in it is raised once, not for each recording
    stored, rate = open_cohort(cohort).recipe.resample.rate_hz, model.front.rate_hz
    if abs(stored / rate - 1) > 1e-6:
        raise ValueError(
            f"recording: expected a cohort at {rate:g} Hz as the model (imuspec prepare --set resample.rate_hz={rate:g}), "
            f"got one at {stored:g} Hz"
        )
    if coverage is not None:
        model.held_out.threshold(coverage, model.temperature)
    work = CohortActivities(str(path.absolute()), weights_digest(str(path)), smooth, coverage)
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
