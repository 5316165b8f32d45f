"""Experiments by name: find one, run it, compare its result with the paper's, store it."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import shlex
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from imuspec.datasets.reference import DatasetReference
from imuspec.errors import unknown_name
from imuspec.evaluation import text_table, write_table
from imuspec.evaluation.comparison import MEMBERS
from imuspec.experiments.comparisons import score_of
from imuspec.experiments.conclusions import conclusions
from imuspec.experiments.evidence import evidence_notes, paired_table, splits_table
from imuspec.experiments.provenance import encoder_facts, machine, versions
from imuspec.experiments.setup import Options, RowOptions, Setup
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["TINY_NOTE", "Experiment", "Result", "compare", "describe", "names", "perform", "targets"]

TINY_NOTE = "TINY: a trial of the code on little data and few steps; its numbers mean nothing"
_STAMP: dict[str, Any] = {
    "ha": "center",
    "va": "center",
    "rotation": 30,
    "fontsize": 26,
    "color": "red",
    "alpha": 0.35,
    "zorder": 99,
}


@dataclass
class Result:
    """Result of an experiment.

    Attributes
    ----------
    table : DataFrame
        Long: ``row``, ``column``, ``value``; ``sd`` and ``n`` where there are several splits. Further columns are stored too.
    figures : dict of str to Figure
        Name of a file without suffix -> figure.
    notes : list of str
        Notes for the reader: rows left out, and why.
    tables : dict of str to DataFrame
        Further tables to store, by name of a file. ``seeds`` has the scores of each row, column, split and draw of the weights;
        `perform` adds ``paired``, their paired differences, and ``splits``, who trained, validated and tested.
    """

    table: pd.DataFrame
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """An experiment, one file of this folder.

    Attributes
    ----------
    name : str
        Name on the command line.
    about : str
        First line of the file's docstring.
    data : tuple of str
        Labels of the data sets that it takes (``DATA``).
    other_data : bool
        Whether further sets become further columns (``OTHER_DATA``).
    """

    name: str
    about: str
    data: tuple[str, ...] = ()
    other_data: bool = False

    @property
    def module(self) -> ModuleType:
        """The file, imported."""
        return importlib.import_module(f"imuspec.experiments.{self.name.replace('-', '_')}")

    @property
    def runs(self) -> dict[str, str]:
        """Rows whose encoder may come from a run."""
        return dict(getattr(self.module, "RUNS", {}))

    def options(self, assignments: Sequence[str] = (), *, tiny: bool = False) -> Options:
        """Return the experiment's own numbers, as `Options.parse`."""
        kind: type[Options] = getattr(self.module, "OPTIONS", Options)
        return kind.parse(assignments, tiny=tiny)

    def setup(
        self,
        out: Path,
        *,
        data: Sequence[str] = (),
        runs: Sequence[str] = (),
        assignments: Sequence[str] = (),
        **fields: Any,
    ) -> Setup[Options]:
        """Return the input of the experiment from the texts of a command.

        Parameters
        ----------
        out : Path
            Folder of the results.
        data : sequence of str
            Data sets, ``NAME=PATH[,setting=value,...]`` each.
        runs : sequence of str
            Runs, ``ROW=FOLDER`` each; ``ROW@SET=FOLDER`` for one data set. A row may be given several, one for each seed.
        assignments : sequence of str
            Options, ``NAME=VALUE`` each.
        **fields : object
            Further fields of `Setup`: seeds, tiny, say, cache.

        Raises
        ------
        ValueError
            If a name is unknown, and the message lists the valid ones; or if an option has no effect with this input.
        """
        sets: dict[str, DatasetReference] = {}
        for text in data:
            reference = DatasetReference.parse(text)
            if reference.label not in self.data and not self.other_data:
                expected = ", ".join(self.data) or "nothing"
                raise ValueError(f"data: expected a set of {self.name}: {expected}, got {reference.label!r}")
            if reference.label in sets:
                raise ValueError(
                    f"data: expected {reference.label} once, got it twice: LABEL@{reference.loader}=PATH names two"
                )
            sets[reference.label] = reference
        folders: dict[str, tuple[str, ...]] = {}
        for text in runs:
            row, equals, folder = (part.strip() for part in text.partition("="))
            name, _, label = row.rpartition("@")
            # A cohort is pre-trained on, no row is judged on it. A tiny trial makes up the sets that are not given.
            labels = ({*sets} if sets and not fields.get("tiny") else {*self.data, *sets}) - {"cohort"}
            known = row in self.runs or (name in self.runs and label in labels)
            if not equals or not folder or not known:
                if equals and folder and name in self.runs:
                    expected = ", ".join(sorted(labels)) or "none"
                    raise ValueError(f"runs: expected a set that the rows are judged on, {expected}, got {text!r}")
                rows = "; ".join(self.runs) or "nothing, as no row takes a run"
                raise ValueError(f"runs: expected ROW=FOLDER with ROW one of {rows}, got {text!r}")
            if folder in folders.get(row, ()):
                raise ValueError(f"runs: expected each run of {row} once, got {folder} twice")
            folders[row] = (*folders.get(row, ()), folder)
        options = self.options(assignments, tiny=bool(fields.get("tiny")))
        if isinstance(options, RowOptions):
            left_out = [row for row in folders if {row, row.rpartition("@")[0]} & ({*options.ROWS} - {*options.chosen})]
            if left_out:
                raise ValueError(
                    f"runs: expected a run of a row that is made, {'; '.join(options.chosen)}, got one of {left_out[0]}"
                )
        setup: Setup[Options] = Setup(out=out, options=options, data=sets, runs=folders, **fields)
        self._refuse_without_effect(setup)
        return setup

    def _refuse_without_effect(self, setup: Setup[Any]) -> None:
        """Raise an error for an option with a value of its own that the experiment does not read with this input."""
        options, defaults = setup.options, self.options(tiny=setup.tiny)
        left_out = {*options.ROWS} - {*options.chosen} if isinstance(options, RowOptions) else set()
        labels = [label for label in setup.data or self.data if label != "cohort"]
        rows = [row for row in self.runs if row not in left_out]
        pretrained = [row for row in rows if not all(setup.runs_of(row, label) for label in labels)]
        for name, need in options.without_effect(pretrained, setup).items():
            if (value := getattr(options, name)) != getattr(defaults, name):
                raise ValueError(f"set: {name}: expected {need}, got {value!r} without")

    def command(self, setup: Setup[Any]) -> str:
        """Return the command that repeats the experiment, quoted for a shell.

        Parameters
        ----------
        setup : Setup
            Its input. Seeds are counted from 0, as the command counts them.
        """
        words = ["imuspec", "experiment", self.name, *(["--tiny"] if setup.tiny else [])]
        words += [word for reference in setup.data.values() for word in ("--data", str(reference))]
        words += [w for row, runs in setup.runs.items() for folder in runs for w in ("--runs", f"{row}={folder}")]
        defaults = self.options(tiny=setup.tiny)
        for key, value in setup.options:
            if value != getattr(defaults, key):
                words += ["--set", _assignment(type(defaults), key, value)]
        words += ["--seeds", str(len(setup.seeds)), "--device", setup.device, "--out", str(setup.out)]
        return shlex.join([*words, *(["--cache", str(setup.cache)] if setup.cache else [])])


def _assignment(kind: type[Options], key: str, value: Any) -> str:
    """Return ``NAME=VALUE`` that `Options.parse` reads as this value; several values are joined as the option splits them."""
    texts = [separator.join(map(str, value)) for separator in (";", ",")] if isinstance(value, tuple) else [str(value)]
    for text in texts:
        with contextlib.suppress(ValueError):
            if getattr(kind.parse([f"{key}={text}"]), key) == value:
                return f"{key}={text}"
    return f"{key}={texts[-1]}"


def _sketch(name: str) -> Experiment | None:
    """Read a file's docstring and data sets without importing it; None for a file without ``run(setup)``."""
    file = resources.files("imuspec") / "experiments" / f"{name.replace('-', '_')}.py"
    tree = ast.parse(file.read_text("utf-8"))
    if not any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
        return None
    values: dict[str, Any] = {"DATA": (), "OTHER_DATA": False}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in values:
            values[node.targets[0].id] = ast.literal_eval(node.value)
    about = (ast.get_docstring(tree) or "").splitlines()[0]
    return Experiment(name, about, tuple(values["DATA"]), values["OTHER_DATA"])


def names() -> list[str]:
    """Return the names of all experiments: files of this folder that define ``run``. None is imported."""
    folder = resources.files("imuspec") / "experiments"
    stems = (entry.name.removesuffix(".py") for entry in folder.iterdir() if entry.name.endswith(".py"))
    return sorted(stem.replace("_", "-") for stem in stems if _sketch(stem) is not None)


def describe(name: str) -> Experiment:
    """Return an experiment by its name, without importing it.

    Raises
    ------
    ValueError
        If no experiment has that name; the message suggests the nearest.
    """
    if name not in (known := names()):
        raise ValueError(unknown_name("experiment", name, known, listing="`imuspec experiment`"))
    experiment = _sketch(name)
    assert experiment is not None
    return experiment


def targets(name: str) -> pd.DataFrame:
    """Return the paper's numbers for an experiment: ``row``, ``column``, ``paper``, ``paper_sd``; empty where it prints none."""
    import pandas as pd

    sections = tomllib.loads((resources.files("imuspec") / "experiments" / "targets.toml").read_text("utf-8"))
    section = sections.get(name, {})
    spread = section.get("sd", {})
    rows = [
        {"row": row, "column": column, "paper": value, "paper_sd": spread.get(row, {}) and spread[row][index]}
        for row, values in section.get("mean", {}).items()
        for index, (column, value) in enumerate(zip(section["columns"], values, strict=True))
    ]
    frame = pd.DataFrame(rows, columns=["row", "column", "paper", "paper_sd"])
    frame[["paper", "paper_sd"]] = frame[["paper", "paper_sd"]].apply(pd.to_numeric, errors="coerce")
    return frame


def compare(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Compare the values of an experiment with the paper's.

    Parameters
    ----------
    table : DataFrame
        ``row``, ``column``, ``value``, as `Result.table`.
    name : str
        Experiment.

    Returns
    -------
    DataFrame
        The rows of `table` in their order, with ``paper``, ``paper_sd`` and ``difference`` (value - paper); NaN where the
        paper has no such number. Rows that only the paper has follow, with ``value`` NaN.
    """
    merged = table.merge(targets(name), on=["row", "column"], how="outer", sort=False, indicator=True)
    order = {key: index for index, key in enumerate(zip(table["row"], table["column"], strict=True))}
    last = len(order)
    merged["_order"] = [order.get(key, last) for key in zip(merged["row"], merged["column"], strict=True)]
    merged = merged.sort_values("_order", kind="stable").drop(columns=["_order", "_merge"]).reset_index(drop=True)
    merged["difference"] = merged["value"] - merged["paper"]
    return merged


def perform(experiment: Experiment, setup: Setup[Any]) -> tuple[Result, pd.DataFrame]:
    """Run an experiment, compare it with the paper, and store everything in ``setup.out``.

    Parameters
    ----------
    experiment : Experiment
        Experiment, from `describe`.
    setup : Setup
        Its input, from `Experiment.setup`.

    Returns
    -------
    Result
        Result of the experiment.
    DataFrame
        Its comparison with the paper, from `compare`.
    """
    started = time.perf_counter()
    setup.out.mkdir(parents=True, exist_ok=True)
    setup = _sized(setup)
    result: Result = experiment.module.run(setup)
    missing = {"row", "column", "value"} - set(result.table.columns)
    if missing:
        raise RuntimeError(f"{experiment.name}: expected a table with row, column and value, got none of {missing}")
    if "seeds" in result.tables and (splits := splits_table(result.tables["seeds"])) is not None:
        result.tables["splits"] = splits
    result.table = result.table.drop(columns=MEMBERS, errors="ignore")
    result.tables = {stem: frame.drop(columns=MEMBERS, errors="ignore") for stem, frame in result.tables.items()}
    if "seeds" in result.tables:
        paired = paired_table(result.tables["seeds"])
        result.notes += evidence_notes(result.tables["seeds"], paired, score_of(experiment.name))
        result.notes[:0] = _leak_notes(setup, result.tables["seeds"])
        if paired is not None:
            result.tables["paired"] = paired
            options = setup.options.model_dump()
            sentences = conclusions(experiment.name, result.tables["seeds"], paired, options, setup.shown)
            result.notes[:0] = sentences
    if setup.tiny:
        result.notes.insert(0, TINY_NOTE)
    comparison = compare(result.table, experiment.name)
    _store(experiment, setup, result, comparison, time.perf_counter() - started)
    return result, comparison


def _leak_notes(setup: Setup[Any], judged: pd.DataFrame) -> list[str]:
    """Say which encoders were pre-trained on people that they are judged on: of runs given, and of those made here."""
    import importlib.util

    from imuspec.datasets import people_of

    if "test_subjects" not in judged or importlib.util.find_spec("torch") is None:
        return []
    from imuspec.probing.unseen import subjects_seen
    from imuspec.run.named import all_people_seen

    encoders = [(row, folder) for row, folders in setup.runs.items() for folder in folders]
    notes = []
    for row, name in [*encoders, *setup.pretrained.items()]:
        if name.startswith("random:"):  # random weights have seen nobody
            continue
        for seen, (label, reference) in product(all_people_seen(name), _judged_on(row, setup.data).items()):
            if reference.loader == "cohort" or (part := _of_set(judged, label, reference.loader)).empty:
                continue
            tested = sorted({person for text in part["test_subjects"] for person in str(text).split("; ")})
            people = people_of(reference.loader, reference.path)
            alike, note = subjects_seen(row, seen, name=label, people=people, subjects=tested)
            if alike:
                shown = ", ".join(alike[:5]) + (f" and {len(alike) - 5} more" if len(alike) > 5 else "")
                note = (
                    f"{row}: pre-trained on {len(alike)} of the {len(tested)} test subjects of {label} ({shown}): scores are not "
                    "of unseen people"
                )
            notes += [note] if note else []
    return list(dict.fromkeys(notes))


def _judged_on(row: str, data: Mapping[str, DatasetReference]) -> Mapping[str, DatasetReference]:
    """Return the sets that an encoder is judged on: the one that ``ROW@SET`` or ``ROW@SET, seed N`` names, or all."""
    name = row.partition("@")[2].partition(", seed ")[0]
    return {label: each for label, each in data.items() if name in (label, each.loader)} or data


def _of_set(judged: pd.DataFrame, label: str, loader: str) -> pd.DataFrame:
    """Return the scores on a set; all of them where columns are no sets."""
    names = judged["set" if "set" in judged else "column"].astype(str)
    selected = names.isin([label, loader]) | names.str.startswith(f"{label}, ")
    return judged[selected] if selected.any() or "set" in judged else judged


def _sized(setup: Setup[Any]) -> Setup[Any]:
    """Fill in height and width of the pictures where they are 0: the size on which the runs were pre-trained."""
    options = setup.options
    if getattr(options, "height", None) != 0 or getattr(options, "width", None) != 0:
        return setup
    from imuspec.run.named import picture_size

    pairs = [(row, run) for row, runs in setup.runs.items() for run in runs]
    sizes = {row: size for row, run in pairs if (size := picture_size(run)) is not None}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{row} {rows} x {columns}" for row, (rows, columns) in sizes.items())
        raise ValueError(
            f"runs: expected encoders pre-trained on one size of pictures, or height and width, got {shown}"
        )
    height, width = next(iter(sizes.values()), (96, 128))
    return setup.model_copy(update={"options": options.model_copy(update={"height": height, "width": width})})


def _numbered(runs: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Row -> run; the runs of a row with several are numbered."""
    return {
        f"{row}, {number}" if len(folders) > 1 else row: folder
        for row, folders in runs.items()
        for number, folder in enumerate(folders)
    }


def _store(experiment: Experiment, setup: Setup[Any], result: Result, comparison: pd.DataFrame, seconds: float) -> None:
    """Write tables, figures and the recipe; each of a tiny trial is marked as such."""
    from imuspec.report.style import save

    for stem, frame in {"table": result.table, "comparison": comparison, **result.tables}.items():
        *_, text = write_table(frame.assign(tiny=TINY_NOTE) if setup.tiny else frame, setup.out / stem)
        if setup.tiny:
            write_atomically(text, f"{TINY_NOTE}\n\n{text_table(frame)}".encode())
    for stem, figure in result.figures.items():
        if setup.tiny:
            figure.text(0.5, 0.5, "TINY\nnumbers mean nothing", **_STAMP)
        for kind in ("png", "svg"):
            save(figure, setup.out / f"{stem}.{kind}", dpi=200)
    made_up = "made up" if setup.tiny else None
    labels = dict.fromkeys((*experiment.data, *setup.data))
    recipe = {
        "experiment": experiment.name,
        "about": experiment.about,
        "tiny": setup.tiny,
        "command": experiment.command(setup),
        "data": {label: str(setup.data[label]) if label in setup.data else made_up for label in labels},
        "windows": dict(setup.shown),
        "runs": dict(setup.runs),
        "pretrained": dict(setup.pretrained),
        "encoders": {row: encoder_facts(name) for row, name in {**_numbered(setup.runs), **setup.pretrained}.items()},
        "seeds": list(setup.seeds),
        "options": setup.options.model_dump(mode="json"),
        "notes": result.notes,
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "machine": machine(setup.device),
        "versions": versions(),
    }
    write_atomically(setup.out / "experiment.json", (json.dumps(recipe, indent=1, ensure_ascii=False) + "\n").encode())
