"""What every experiment shares: what it is given, what it gives back, and how that is compared and kept."""

from __future__ import annotations

import difflib
import importlib
import json
import platform
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from imuspec.evaluation import write_table
from imuspec.experiments.made_up import made_up_windows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from imuspec.datasets import Windows

__all__ = ["TINY_NOTE", "Experiment", "Result", "Setup", "compare", "describe", "names", "perform", "targets"]

TINY_NOTE = "TINY: a trial of the code on little data and few steps; its numbers mean nothing"
_INNER = {"__init__", "frame", "made_up"}
_T = TypeVar("_T", bool, int, float, str)


@dataclass(frozen=True)
class Setup:
    """What an experiment is given.

    Attributes
    ----------
    out
        Folder for what it leaves (checkpoints of its own trainings, say); exists.
    data
        Data set -> ``PATH`` or ``LOADER:PATH``.
    runs
        Row -> run folder, or whatever `imuspec.run.named.load_encoder` takes.
    seeds
        Seeds of splits, draws and heads.
    tiny
        Whether this is a trial of the code.
    options
        The experiment's own numbers, defaults filled in.
    say
        Where a line of progress goes.
    """

    out: Path
    data: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    tiny: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = print

    def windows(self, name: str, **settings: Any) -> Windows:
        """Labelled windows of a data set: the real one where ``--data`` names it, made-up motion in a tiny trial.

        Parameters
        ----------
        name : str
            As in ``--data NAME=...``; also the loader's name unless the value says ``LOADER:PATH``.
        **settings
            For the loader, `imuspec.datasets.load`.

        Returns
        -------
        Windows

        Raises
        ------
        ValueError
            When the set is not given and this is no tiny trial.
        """
        if name in self.data:
            from imuspec.datasets import load

            loader, colon, path = self.data[name].partition(":")
            return load(loader, path, **settings) if colon else load(name, self.data[name], **settings)
        if self.tiny:
            return made_up_windows(name)
        other = f"{name}=LOADER:PATH for another set in its place"
        raise ValueError(f"data: expected --data {name}=PATH ({other}), got {', '.join(self.data) or 'none'}")

    def option(self, name: str, kind: type[_T]) -> _T:
        """Return one of the experiment's own numbers."""
        return kind(self.options[name])


@dataclass
class Result:
    """What an experiment gives back.

    Attributes
    ----------
    table
        Long: ``row``, ``column``, ``value``; ``sd`` and ``n`` where there are several seeds. Further columns stay.
    figures
        Name of a file without suffix -> figure.
    notes
        What a reader must know: rows left out, what was cut short.
    tables
        Further tables to keep, by name of a file (each seed's figures, say).
    """

    table: pd.DataFrame
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """One file of the folder, as found."""

    name: str
    about: str
    module: ModuleType

    @property
    def data(self) -> tuple[str, ...]:
        """Data sets it needs."""
        return tuple(getattr(self.module, "DATA", ()))

    @property
    def runs(self) -> dict[str, str]:
        """Rows whose encoder comes from a run."""
        return dict(getattr(self.module, "RUNS", {}))

    def options(self, assignments: Sequence[str], *, tiny: bool) -> dict[str, Any]:
        """Defaults, what a tiny trial changes, and ``name=value`` on top.

        Raises
        ------
        ValueError
            For no ``=``, a name that is none, or a value that is not of the default's type.
        """
        defaults = dict(getattr(self.module, "OPTIONS", {}))
        values = {**defaults, **(getattr(self.module, "TINY", {}) if tiny else {})}
        for assignment in assignments:
            key, equals, text = (part.strip() for part in assignment.partition("="))
            if not equals or key not in defaults:
                raise ValueError(f"set: expected NAME=VALUE with NAME of {', '.join(defaults)}, got {assignment!r}")
            values[key] = _coerced(key, text, defaults[key])
        return values


def _coerced(key: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ValueError(f"set: expected {key}=true or {key}=false, got {text!r}")
        return text == "true"
    try:
        return type(default)(text)
    except ValueError as error:
        raise ValueError(f"set: expected {key} as {type(default).__name__}, got {text!r}") from error


def names() -> list[str]:
    """Names of all experiments."""
    folder = resources.files("imuspec") / "experiments"
    found = (entry.name.removesuffix(".py") for entry in folder.iterdir() if entry.name.endswith(".py"))
    return sorted(name.replace("_", "-") for name in found if name not in _INNER and not name.startswith("_"))


def describe(name: str) -> Experiment:
    """Find an experiment by its name.

    Raises
    ------
    ValueError
        For a name that is none; the message suggests the nearest.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        wanted = f"{near[0]!r} (the nearest)" if near else f"one of {', '.join(names())}"
        raise ValueError(f"experiment: expected {wanted}, got {name!r}")
    module = importlib.import_module(f"imuspec.experiments.{name.replace('-', '_')}")
    return Experiment(name, (module.__doc__ or "").strip().splitlines()[0], module)


def targets(name: str) -> pd.DataFrame:
    """The paper's numbers for an experiment, long: ``row``, ``column``, ``paper``, ``paper_sd``; empty if none is printed."""
    import pandas as pd

    sections = tomllib.loads((resources.files("imuspec") / "experiments" / "targets.toml").read_text("utf-8"))
    section = sections.get(name, {})
    spread = section.get("sd", {})
    rows = [
        {"row": row, "column": column, "paper": value, "paper_sd": spread.get(row, {}) and spread[row][at]}
        for row, values in section.get("mean", {}).items()
        for at, (column, value) in enumerate(zip(section["columns"], values, strict=True))
    ]
    frame = pd.DataFrame(rows, columns=["row", "column", "paper", "paper_sd"])
    frame[["paper", "paper_sd"]] = frame[["paper", "paper_sd"]].apply(pd.to_numeric, errors="coerce")
    return frame


def compare(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Put the paper's numbers beside ours.

    Parameters
    ----------
    table : DataFrame
        ``row``, ``column``, ``value``, as `Result.table`.
    name : str
        Experiment.

    Returns
    -------
    DataFrame
        Ours first, in their order, with ``paper``, ``paper_sd`` and ``difference`` (ours - paper); NaN where the paper
        has no such number. Rows of the paper that we lack follow, ``value`` NaN.
    """
    merged = table.merge(targets(name), on=["row", "column"], how="outer", sort=False, indicator=True)
    order = {key: at for at, key in enumerate(zip(table["row"], table["column"], strict=True))}
    last = len(order)
    merged["_at"] = [order.get(key, last) for key in zip(merged["row"], merged["column"], strict=True)]
    merged = merged.sort_values("_at", kind="stable").drop(columns=["_at", "_merge"]).reset_index(drop=True)
    merged["difference"] = merged["value"] - merged["paper"]
    return merged


def perform(experiment: Experiment, setup: Setup) -> tuple[Result, pd.DataFrame]:
    """Run an experiment, compare it with the paper, and keep all in ``setup.out``.

    Parameters
    ----------
    experiment : Experiment
        Of `describe`.
    setup : Setup
        What it is given.

    Returns
    -------
    (Result, DataFrame)
        What it gave, and `compare` of it.
    """
    began = time.perf_counter()
    setup.out.mkdir(parents=True, exist_ok=True)
    setup = _sized(setup)
    result: Result = experiment.module.run(setup)
    missing = {"row", "column", "value"} - set(result.table.columns)
    if missing:
        raise RuntimeError(f"{experiment.name}: expected a table with row, column and value, got none of {missing}")
    for row, about in experiment.runs.items():
        if row not in setup.runs and row not in set(result.table["row"]):
            result.notes.append(f"{row}: left out, as no --runs '{row}=FOLDER' was given ({about})")
    if setup.tiny:
        result.notes.insert(0, TINY_NOTE)
    comparison = compare(result.table, experiment.name)
    _keep(experiment, setup, result, comparison, time.perf_counter() - began)
    return result, comparison


def _sized(setup: Setup) -> Setup:
    """Fill in the pictures' rows and columns where they are left at 0: those on which the runs were pre-trained."""
    given = setup.options.get("height"), setup.options.get("width")
    if given != (0, 0):
        return setup
    from imuspec.run.named import picture_size

    sizes = {row: size for row, run in setup.runs.items() if (size := picture_size(run)) is not None}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{row} {rows} x {columns}" for row, (rows, columns) in sizes.items())
        raise ValueError(
            f"runs: expected encoders pre-trained on one size of pictures, or height and width, got {told}"
        )
    height, width = next(iter(sizes.values()), (96, 128))
    return replace(setup, options={**setup.options, "height": height, "width": width})


def _keep(experiment: Experiment, setup: Setup, result: Result, comparison: pd.DataFrame, seconds: float) -> None:
    from imuspec.report.style import save

    for stem, frame in {"table": result.table, "comparison": comparison, **result.tables}.items():
        *_, text = write_table(frame, setup.out / stem)
        if setup.tiny:
            text.write_text(f"{TINY_NOTE}\n\n{text.read_text('utf-8')}", "utf-8")
    for stem, figure in result.figures.items():
        for kind in ("png", "svg"):
            save(figure, setup.out / f"{stem}.{kind}", dpi=200)
    recipe = {
        "experiment": experiment.name,
        "about": experiment.about,
        "tiny": setup.tiny,
        "data": {name: setup.data.get(name, "made up" if setup.tiny else None) for name in experiment.data},
        "runs": dict(setup.runs),
        "seeds": list(setup.seeds),
        "options": dict(setup.options),
        "notes": result.notes,
        "seconds": round(seconds, 1),
        "versions": _versions(),
    }
    (setup.out / "experiment.json").write_text(json.dumps(recipe, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine(), "numpy": np.__version__}
    for package in ("imuspec", "torch", "torchvision", "timm", "scikit-learn"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
