"""Commands on frozen encoders: probe, embed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from imuspec.cli.activities import of_patches, probe_of_patches
from imuspec.cli.app import SEVERAL, Many, app, finished, open_cohort, require

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from imuspec.datasets import Split, Windows
    from imuspec.probing.protocol import ProbeResult
    from imuspec.recipe import ProbeRecipe

__all__ = ["embed", "probe"]


@app.command
def probe(
    run: str,
    /,
    *,
    data: str,
    out: Path | None = None,
    recipe: str = "linear",
    shots: Annotated[list[int] | None, SEVERAL] = None,
    seeds: int | None = None,
    norm: str | None = None,
    layer: Annotated[list[str] | None, SEVERAL] = None,
    head: str | None = None,
    test_subjects: str | None = None,
    window_s: float | None = None,
    unseen_by: str | None = None,
    device: str = "cpu",
    set: Annotated[list[str] | None, SEVERAL] = None,
) -> int:
    """Judge a frozen encoder with few labels: features once, heads fitted on them, scores with intervals.

    Parameters
    ----------
    run
        A run's folder; random:FOLDER, an encoder of a run's form as it was born; random, a ResNet-18; imagenet; a weights
        file of torchvision's form; statistics, hand-crafted ones of the window with logistic regression; or supervised, a
        ResNet-18 trained on all labels. A run on windows of the same set is judged on the subjects that it did not see.
    data
        NAME=PATH: the data set, a name of imuspec.datasets, and where it lies.
    out
        Folder for tables, figures and the recipe; by default probe/NAME-RUN.
    recipe
        Probe recipe by name, or the path of a TOML file.
    shots
        Labelled windows of each class. May be given several times.
    seeds
        How many seeds, counted from 0: a split, a draw and a head each.
    norm
        Of the pictures: axis-window (the paper's), joint-window, fixed or dataset.
    layer
        last, or a layer on the way as layer1; layer1.bands keeps six bands of frequency. May be given several times.
    head
        linear, or logistic (standardised features); logistic for statistics, linear otherwise. For an encoder of patches
        (a run of mae-...): linear, logistic, mlp or lstm on every ten seconds of the labelled recordings, in windows of fifty
        minutes, subjects dealt 80:20; --data capture24=FOLDER takes the official files.
    test_subjects
        Subjects that test in every draw, with commas between; or official, HAPT's and UCI HAR's nine.
    window_s
        Length of a window, s; by default that of the run's windows, or the data set's.
    unseen_by
        A run whose subjects are left out, as for that run itself: so statistics are judged on the same ones.
    device
        Where the encoder runs.
    set
        SECTION.FIELD=VALUE: any other number of the recipe. May be given several times.
    """
    for package in ("torch", "sklearn", "pandas"):
        require(package, "train", "probe")
    require("matplotlib", "report", "probe")
    from imuspec.cli.console import screen

    if of_patches(run, head):
        return probe_of_patches(run, data, out, head or "linear", seeds or 5, device)
    chosen = _recipe(run, recipe, shots, seeds, norm, set)
    windows, name = _windows(data, window_s, run, unseen_by)
    console = screen()
    windows = _unseen(windows, unseen_by or run, console.print)
    console.print(repr(windows), style="dim", highlight=False)
    target = out or Path("probe") / f"{name}-{'random-' if run.startswith('random:') else ''}{Path(run).name}"
    split = _split(windows, test_subjects)
    result = _result(run, windows, chosen, layer or ["last"], head, split, device, console.print)
    told = {"run": run, "data": data, "layers": layer or ["last"], "head": head, "test_subjects": test_subjects}
    _keep(target, result, chosen, told, windows)
    console.print(_summary(result.summary(), f"{name}: {run}"))
    console.print(f"tables, figures and recipe: {target}", highlight=False)
    return 0


def _recipe(
    run: str, recipe: str, shots: list[int] | None, seeds: int | None, norm: str | None, assignments: list[str] | None
) -> ProbeRecipe:
    from imuspec.recipe import ProbeRecipe
    from imuspec.run.named import picture_size

    size = picture_size(run)  # as it was pre-trained, unless told otherwise
    given = [f"pictures.size={list(size)}"] if size else []
    given += [f"split.shots={sorted(shots)}"] if shots else []
    given += [f"split.seeds={list(range(seeds))}"] if seeds else []
    given += [f"pictures.norm={norm}"] if norm else []
    return ProbeRecipe.load(recipe).set(*given, *(assignments or []))


def _windows(data: str, window_s: float | None, run: str, unseen_by: str | None = None) -> tuple[Windows, str]:
    """The set's windows, of the length and rate of those that the run was pre-trained on, if it was on windows."""
    from imuspec.datasets import load
    from imuspec.run.named import window_form

    name, equals, path = data.partition("=")
    if not equals or not path:
        raise ValueError(f"data: expected NAME=PATH, got {data!r}")
    if unseen_by is not None and not (Path(unseen_by) / "source.json").is_file():
        raise FileNotFoundError(f"unseen_by: expected the folder of a pre-training, got {unseen_by!r}")
    form = window_form(run) or (window_form(unseen_by) if unseen_by else None)
    if form is None:
        return load(name, path, window_s=window_s), name
    return load(name, path, window_s=window_s or form[0], rate=form[1]), name


def _unseen(windows: Windows, run: str, say: Any) -> Windows:
    """The windows of subjects that the run's pre-training did not see; all, with a word on it, if it saw every one."""
    import numpy as np

    from imuspec.run.named import subjects_seen

    name, subjects = subjects_seen(run)
    seen = np.isin(windows.subject, subjects) if name == windows.name else np.zeros(len(windows), bool)
    if not seen.any():
        return windows
    if seen.all():
        say(f"{run}: pre-training saw the signals of all subjects: source.subjects=0.5 would leave half for probing")
        return windows
    left = windows.select(~seen)
    say(f"{name}: judged on {len(left.subjects)} subjects; pre-training saw the other {len(subjects)}")
    return left


def _split(windows: Windows, test_subjects: str | None) -> Any:
    from imuspec.datasets import explicit_split, subject_split
    from imuspec.datasets.hapt import OFFICIAL_TEST_SUBJECTS

    if test_subjects is None:
        return subject_split
    kind = type(windows.subject[0].item())
    named = OFFICIAL_TEST_SUBJECTS if test_subjects == "official" else [kind(s) for s in test_subjects.split(",")]

    def told(windows: Windows, seed: int) -> Split:
        return explicit_split(windows, test=named, seed=seed)

    return told


def _result(
    run: str,
    windows: Windows,
    recipe: ProbeRecipe,
    layers: list[str],
    head: str | None,
    split: Any,
    device: str,
    say: Any,
) -> ProbeResult:
    from imuspec import probing
    from imuspec.run.named import load_encoder

    parts, pictures = recipe.split, recipe.pictures
    limits = {"max_validation": parts.max_validation, "max_test": parts.max_test, "split": split, "seeds": parts.seeds}
    if run == "supervised":
        picture = {"nfft": 128, "noverlap": 120, **pictures.model_dump(include={"norm", "range_db", "size"})}

        def fresh(seed: int) -> Any:
            return load_encoder("random", seed=seed)

        return probing.supervised(fresh, windows, picture=picture, device=device, say=say, **limits)
    source: probing.Source
    if run == "statistics":
        source = probing.StatisticsSource(windows.rate)
    else:
        encoder = _encoder(run, windows, say)
        source = probing.EncoderSource(encoder, pictures=pictures, layers=layers, device=device)
    fitted = head or ("logistic" if run == "statistics" else "linear")
    return probing.probe(source, windows, shots=parts.shots, head=fitted, settings=recipe.head, say=say, **limits)


def _encoder(run: str, windows: Windows, say: Any) -> Any:
    """The frozen encoder; of one that takes a gyroscope too, on acceleration alone, with a word on it."""
    from imuspec.encoders.fusion import AccelerationAlone
    from imuspec.run.named import load_encoder

    encoder = load_encoder(run)
    if getattr(encoder, "n_axes", 3) != 6 or windows.x.shape[1] != 3:
        return encoder
    say(f"{run}: takes six axes, {windows.name} has acceleration alone: the gyroscope's are zero")
    return AccelerationAlone(encoder)


def _keep(target: Path, result: ProbeResult, recipe: ProbeRecipe, told: dict[str, Any], windows: Windows) -> None:
    from imuspec.evaluation import write_table
    from imuspec.report.scores import confusion_figure, curve_figure
    from imuspec.report.style import save

    target.mkdir(parents=True, exist_ok=True)
    write_table(result.table, target / "seeds")
    write_table(result.summary(), target / "summary")
    write_table(result.per_class(), target / "per_class")
    for layer, shots in dict.fromkeys(zip(result.table["layer"], result.table["shots"], strict=True)):
        confusion = result.confusion(layer, int(shots))
        title = f"{windows.name}, {layer}, {shots or 'all'} labels a class, {len(set(result.table['seed']))} draws"
        for kind in ("png", "svg"):
            save(confusion_figure(confusion, result.class_names, title), target / f"confusion-{layer}-{shots}.{kind}")
    if result.table["shots"].nunique() > 1:
        curves = result.summary().rename(columns={"layer": "row", "macro_f1": "value", "macro_f1_sd": "sd"})
        for kind in ("png", "svg"):
            save(
                curve_figure(curves.assign(column=windows.name), x="shots", xlabel="labelled windows a class"),
                target / f"shots.{kind}",
            )
    facts = {**told, "windows": repr(windows), "window_settings": dict(windows.settings)}
    (target / "recipe.json").write_text(recipe.to_json(), "utf-8")
    (target / "probe.json").write_text(json.dumps(facts, indent=1, default=str) + "\n", "utf-8")


def _summary(summary: pd.DataFrame, title: str) -> Table:
    from rich.table import Table

    names = ("macro_f1", "balanced_accuracy", "kappa", "accuracy")
    table = Table("layer", "labels a class", "seeds", *(n.replace("_", " ") for n in names), title=title)
    for row in summary.to_dict("records"):
        figures = [f"{row[n]:.3f} ± {row[f'{n}_sd']:.3f}" if row["n"] > 1 else f"{row[n]:.3f}" for n in names]
        table.add_row(str(row["layer"]), str(row["shots"] or "all"), str(row["n"]), *figures)
    return table


@app.command
def embed(
    run: str,
    /,
    *,
    data: str,
    out: str,
    nfft: int = 128,
    hop: int = 8,
    norm: str | None = None,
    layer: str = "last",
    window_s: float | None = None,
    device: str = "cpu",
    set: Annotated[list[str] | None, SEVERAL] = None,
    many: Many | None = None,
) -> int:
    """Write the embedding of every window of a data set, with label, subject and origin; or of a cohort's wear.

    Over a cohort, on processes or a cluster: a table for each recording in the folder --out, a row for each ten seconds of
    kept wear (or each --window-s); imuspec cohort status and verify look after it.

    Parameters
    ----------
    run
        As for probe: a run's folder, random:FOLDER, random, imagenet, a weights file, or statistics. Of a cohort, a run of
        mae-... too.
    data
        NAME=PATH: the data set and where it lies; cohort=PATH, a folder (or s3:// URL) of imuspec prepare.
    out
        File to write: .npz, or .parquet with a column for each feature. Of a cohort: a folder.
    nfft, hop
        Of the pictures.
    norm
        Of the pictures: axis-window (the paper's), joint-window, fixed or dataset.
    layer
        last, or a layer on the way.
    window_s
        Length of a window, s; by default that of the run's windows, or the data set's.
    device
        Where the encoder runs.
    set
        pictures.FIELD=VALUE: any other number of the pictures. May be given several times.
    many
        How to go over a cohort.
    """
    require("torch", "train", "embed")
    from imuspec import probing

    if data.startswith("cohort="):
        if device != "cpu":
            raise ValueError(f"device: expected cpu with a cohort, whose recordings go to processes, got {device}")
        pictures = _recipe(run, "linear", None, None, norm, set).pictures
        told = {"nfft": nfft, "hop": hop, "layer": layer, "pictures": pictures.model_dump_json()}
        return _embed_cohort(run, data.removeprefix("cohort="), out, window_s, told, many or Many())
    if many not in (None, Many()):
        raise ValueError(f"data: expected cohort=PATH with options of workers and engines, got {data}")
    if Path(out).suffix not in (".npz", ".parquet"):
        raise ValueError(f"out: expected a name that ends in .npz or .parquet, got {out}")
    pictures = _recipe(run, "linear", None, None, norm, set).pictures
    windows, name = _windows(data, window_s, run)
    if run == "statistics":
        features = probing.StatisticsSource(windows.rate).features(windows.x, {})["statistics"]
    else:
        encoder = _encoder(run, windows, print)
        source = probing.EncoderSource(encoder, pictures=pictures, layers=[layer], device=device)
        features = source.features(windows.x, {"nfft": nfft, "hop": hop})[layer]
    _write_features(Path(out), features, windows)
    print(f"{out}: {features.shape[0]} windows of {name}, {features.shape[1]} features")
    return 0


def _embed_cohort(run: str, cohort: str, out: str, window_s: float | None, told: dict[str, Any], many: Many) -> int:
    from imuspec.cli.console import RunDisplay
    from imuspec.cluster import compute
    from imuspec.prediction.cohort import CohortEmbedding
    from imuspec.run.named import load_encoder, weights_digest, window_form

    if run != "statistics":
        load_encoder(run)  # what is wrong with it is said once, not of each recording
    stored = open_cohort(cohort).recipe.resample.rate_hz
    long, rate = window_form(run) or (10.0, stored)
    if rate != stored:
        raise ValueError(f"run: expected one pre-trained at the cohort's {stored:g} Hz, got {rate:g} Hz")
    kind, colon, folder = run.rpartition("random:")
    place = f"{colon}{Path(folder).absolute()}" if Path(folder).exists() and not kind else run
    work = CohortEmbedding(place, weights_digest(run), window_s=window_s or long, **told)
    with RunDisplay(doing="embedding") as display:
        summary = compute(cohort, out, work, progress=display.update, **many.options())
    return finished(summary)


def _write_features(out: Path, features: Any, windows: Windows) -> None:
    import numpy as np

    columns: dict[str, Any] = {
        "label": windows.label,
        "class": np.asarray(windows.class_names)[windows.label],
        "subject": windows.subject,
        "recording": windows.recording,
        "start_s": windows.start_s,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        np.savez_compressed(out, features=features, class_names=np.asarray(windows.class_names), **columns)
        return
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({**columns, **{f"feature_{i}": features[:, i] for i in range(features.shape[1])}})
    parquet.write_table(table, out)
