"""Input of an experiment: its data sets, runs and seeds, and its own numbers as typed options."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
)

from imuspec.datasets.reference import DatasetReference
from imuspec.errors import expect_once
from imuspec.experiments.made_up import made_up_windows
from imuspec.experiments.provenance import window_facts
from imuspec.recipe.probing import PictureSettings
from imuspec.recipe.settings import Distinct, Settings

if typing.TYPE_CHECKING:
    from imuspec.datasets import Windows

__all__ = [
    "DrawOptions",
    "HeadOptions",
    "Heads",
    "HeadsOptions",
    "Names",
    "Numbers",
    "Options",
    "PictureOptions",
    "RowOptions",
    "Setup",
    "Words",
]

Norm = Literal["axis-window", "joint-window", "fixed", "dataset"]


def _split_at(separator: str) -> BeforeValidator:
    def split(value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(separator) if part.strip()) if isinstance(value, str) else value
        )

    return BeforeValidator(split)


Numbers = Annotated[tuple[PositiveInt, ...], _split_at(","), Distinct, Field(min_length=1)]
"""Distinct whole numbers, on the command line with commas between."""
Words = Annotated[tuple[str, ...], _split_at(","), Distinct, Field(min_length=1)]
"""Distinct words, on the command line with commas between."""
Heads = Annotated[tuple[Literal["linear", "logistic"], ...], _split_at(","), Distinct, Field(min_length=1)]
"""Heads on frozen features."""
Names = Annotated[tuple[str, ...], _split_at(";"), Distinct]
"""Names of rows, which may hold commas; on the command line with semicolons between."""


class Options(Settings):
    """An experiment's own numbers, each with its type and default."""

    TINY: ClassVar[Mapping[str, Any]] = {}
    """Numbers of a tiny trial, where they differ from the defaults."""

    @classmethod
    def parse(cls, assignments: Sequence[str] = (), *, tiny: bool = False) -> Self:
        """Return the defaults, or the numbers of a tiny trial, changed by ``NAME=VALUE`` texts.

        Parameters
        ----------
        assignments : sequence of str
            ``NAME=VALUE`` each.
        tiny : bool, default False
            Whether to begin with the numbers of a tiny trial.

        Raises
        ------
        ValueError
            If a text has another form, a name is unknown or occurs twice, or a value is empty or has the wrong type.
        """
        values: dict[str, Any] = dict(cls.TINY) if tiny else {}
        keys: list[str] = []
        for assignment in assignments:
            key, equals, text = (part.strip() for part in assignment.partition("="))
            if not equals or key not in cls.model_fields:
                expected = ", ".join(cls.model_fields) or "nothing, as the experiment has no options"
                raise ValueError(f"set: expected NAME=VALUE with NAME one of {expected}, got {assignment!r}")
            keys.append(key)
            values[key] = text
        expect_once("set", keys)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = str(first["loc"][0])
            plain = (
                first["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("expected ")
            )
            plain = plain.partition(", got ")[0]
            reason = {"too_short": "one value or more", "too_long": "one value"}.get(first["type"], plain)
            raise ValueError(f"set: {key}: expected {reason}, got {values[key]!r}") from error

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return the options that an experiment with this input does not read, each with what it needs to have an effect.

        Parameters
        ----------
        pretrained : sequence of str
            Rows that can have a run and have none for one set or more: pre-trained here, if they can be.
        setup : Setup
            Input of the experiment.
        """
        del pretrained, setup  # as each option is read whatever they are
        return {}


class HeadOptions(Options):
    """Numbers of a head on few labels."""

    shots: PositiveInt = Field(10, description="labelled windows of each class")
    head_epochs: PositiveInt = Field(50, description="passes over the labelled windows")
    max_judged: NonNegativeInt = Field(0, description="windows of each class in validation and test parts; 0: all")


class HeadsOptions(HeadOptions):
    """Heads that every row with an encoder is judged with."""

    heads: Heads = Field(
        ("linear", "logistic"), description="linear: the papers'; logistic: to convergence, a row of its own"
    )


class DrawOptions(Options):
    """Rows with random weights."""

    random_draws: PositiveInt = Field(5, description="draws of the weights for rows with random weights")


class PictureOptions(Options):
    """Pictures that an encoder is probed on."""

    nfft: Numbers = Field((32, 64, 128, 256), description="samples of a frame")
    hop: Numbers = Field((2, 4, 8, 16), description="samples between frames")
    norm: Norm = Field("axis-window", description="range of a picture; fixed keeps intensity")
    height: NonNegativeInt = Field(0, description="rows; 0: as the runs were pre-trained, 96 without runs")
    width: NonNegativeInt = Field(0, description="columns; 0: as the runs were pre-trained, 128 without runs")

    def pictures(self, nfft: Sequence[int] | None = None) -> PictureSettings:
        """Return the settings of the pictures, of all frame lengths or of those given."""
        size = (self.height, self.width)
        return PictureSettings.model_validate(
            {"nfft": tuple(nfft or self.nfft), "hop": self.hop, "norm": self.norm, "size": size}
        )


class RowOptions(Options):
    """A choice of rows."""

    ROWS: ClassVar[tuple[str, ...]] = ()
    """All rows, in the order of the table."""

    rows: Names = Field((), description="rows, with semicolons between; all if none is given")

    @field_validator("rows")
    @classmethod
    def _known(cls, rows: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [row for row in rows if row not in cls.ROWS]:
            raise ValueError(f"some of {'; '.join(cls.ROWS)}, without {'; '.join(unknown)}")
        return rows

    @property
    def chosen(self) -> tuple[str, ...]:
        """The rows given, or all."""
        return self.rows or self.ROWS


OptionsT_co = TypeVar("OptionsT_co", bound=Options, covariant=True)


class Setup(BaseModel, Generic[OptionsT_co]):
    """Input of an experiment.

    Attributes
    ----------
    out : Path
        Folder of the results; exists while the experiment runs.
    options : Options
        The experiment's own numbers.
    data : dict of str to DatasetReference
        Data sets by label.
    runs : dict of str to tuple of str
        Row -> run folders, or anything that `imuspec.run.named.load_encoder` takes; several are pre-trainings by several seeds.
    seeds : tuple of int
        Seeds of splits, draws and heads.
    tiny : bool
        Whether this is a trial of the code.
    device : str
        Device of the networks: cpu, cuda or mps.
    say : callable
        Called with each line of progress.
    cache : Path, optional
        Folder of pre-trainings, shared by all experiments that need the same one; ``out/runs`` by default.
    pretrained : dict of str to str
        Row -> folder of each pre-training that the experiment made or took from the cache.
    shown : dict of str to dict
        Data set -> counts and SHA-256 of its windows, of those that the experiment loaded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: Path
    options: OptionsT_co
    data: dict[str, DatasetReference] = Field(default_factory=dict)
    runs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    seeds: Annotated[tuple[int, ...], Distinct] = Field((0, 1, 2, 3, 4), min_length=1)
    tiny: bool = False
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    say: Callable[[str], None] = print
    cache: Path | None = None
    pretrained: dict[str, str] = Field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def runs_folder(self) -> Path:
        """Folder of the pre-trainings."""
        return self.cache or self.out / "runs"

    def runs_of(self, row: str, label: str = "") -> tuple[str, ...]:
        """Return the runs given for a row: those for this data set, or those for all; empty without any."""
        return self.runs.get(f"{row}@{label}", self.runs.get(row, ()))

    def run_of(self, row: str, label: str = "") -> str:
        """Return the only run given for a row, as `runs_of`; an empty text without any.

        Raises
        ------
        ValueError
            If there are several.
        """
        runs = self.runs_of(row, label)
        if len(runs) > 1:
            raise ValueError(f"runs: expected one run for {row} in this experiment, got {', '.join(runs)}")
        return "".join(runs)

    def windows(self, name: str, **settings: Any) -> Windows:
        """Load the labelled windows of a data set; a tiny trial simulates motion where the set is not given.

        Parameters
        ----------
        name : str
            Label of the set, as in ``--data NAME=PATH``.
        **settings : object
            Settings of `imuspec.datasets.load`, where the reference has none.

        Raises
        ------
        ValueError
            If the set is not given and this is no tiny trial.
        """
        if name not in self.data and not self.tiny:
            other = f"{name}@LOADER=PATH for another set in its place"
            raise ValueError(f"data: expected --data {name}=PATH ({other}), got {', '.join(self.data) or 'none'}")
        windows = self.data[name].windows(**settings) if name in self.data else made_up_windows(name)
        self.show(name, window_facts(windows))
        return windows

    def show(self, name: str, facts: dict[str, Any]) -> None:
        """Note a data set in the form in which it is judged on; other forms of a set are noted beside it.

        One set in the place of another is noted as ``LABEL@NAME``.

        Parameters
        ----------
        name : str
            Label of the set.
        facts : dict
            From `imuspec.experiments.provenance.window_facts` or `sequence_facts`.
        """
        if name in self.data and self.data[name].loader != name:
            name = f"{name}@{self.data[name].loader}"
        if self.shown.get(name, facts) != facts:
            name = f"{name}, {facts['window_s']:g} s at {facts['rate_hz']:g} Hz"
        self.shown[name] = facts

    def columns(self, names: Sequence[str]) -> list[str]:
        """Return the labels of the sets given; all of `names` in a tiny trial without any.

        Raises
        ------
        ValueError
            If no set is given and this is no tiny trial.
        """
        if self.data or self.tiny:
            return list(self.data or names)
        raise ValueError(f"data: expected --data NAME=PATH for one or more of {', '.join(names)}, got none")
