"""References to data sets on the command line: ``NAME=PATH[,setting=value,...]``.

``NAME`` is a name of the catalogue, as ``hapt``. ``LABEL@NAME`` gives the set another label in tables and messages:
``study-a@folder=recordings/`` and ``study-b@folder=others/`` are two sets. Settings follow the path, each after a comma:

- of the reader: ``sensors``, ``classes``, ``subjects``, ``unit``, ... (``imuspec datasets NAME`` lists them);
- of the windows: ``window_s``, ``rate``, ``overlap``, ``resampling``, ``lowpass_hz``, ``min_agreement``;
- of the splits: ``split_by``, ``missing``, and ``of_classes``, the classes whose windows are used.

A part without ``=`` is another value of the setting before it: ``daphnet=dataset/,sensors=ankle,trunk,window_s=4``.
A setting that is a mapping takes pairs: ``goat=G/,merge=walking:moving,running:moving``.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Union

from pydantic import TypeAdapter, ValidationError

from imuspec.datasets.catalogue import CATALOGUE, find_set, labelled_recordings, load, people_of
from imuspec.datasets.leaks import Unit
from imuspec.datasets.windows import Windows
from imuspec.errors import unknown_name

if typing.TYPE_CHECKING:
    from imuspec.datasets.sequences import PatchSequences

__all__ = ["FORM", "DatasetReference"]

FORM = "NAME=PATH[,setting=value,...]"
_SETTING = re.compile(r"[a-z]\w*=")
_WINDOWS = ("window_s", "rate", "overlap", "resampling", "lowpass_hz", "min_agreement")
_SPLITS: dict[str, Any] = {"split_by": Unit, "missing": Literal["redraw", "keep"], "of_classes": Sequence[str]}


@dataclass(frozen=True)
class DatasetReference:
    """A reference to a data set.

    Attributes
    ----------
    label : str
        Name in tables and messages.
    loader : str
        Name in the catalogue, or ``cohort``.
    path : str
        File, folder or archive.
    settings : mapping of str to str
        Settings as text.
    """

    label: str
    loader: str
    path: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, *, option: str = "data") -> DatasetReference:
        """Parse ``NAME=PATH[,setting=value,...]``.

        Parameters
        ----------
        text : str
            The reference.
        option : str, default "data"
            Name of the option, for messages.

        Raises
        ------
        ValueError
            If the text has another form, or no set has that name.

        Examples
        --------
        >>> reference = DatasetReference.parse("ankles@daphnet=dataset/,sensors=ankle,trunk,window_s=4")
        >>> reference.label, reference.loader, reference.path
        ('ankles', 'daphnet', 'dataset/')
        >>> reference.settings
        {'sensors': 'ankle,trunk', 'window_s': '4'}
        """
        name, equals, rest = text.partition("=")
        name, rest = name.strip(), rest.strip()
        if not equals or not name or not rest:
            old, colon, path = text.partition(":")
            right = f"{old}={path}" if colon and old in CATALOGUE and path else FORM
            raise ValueError(f"{option}: expected {right}, got {text!r}")
        label, separator, loader = (part.strip() for part in name.rpartition("@"))
        old, colon, path = rest.partition(":")
        if colon and old in CATALOGUE:
            raise ValueError(f"{option}: expected {label or name}@{old}={path}, got {text!r}")
        if separator and not label:
            raise ValueError(f"{option}: expected LABEL@NAME=PATH, got {text!r}")
        if loader != "cohort":
            find_set(loader, option=option)
        path, settings = _divided(rest, option)
        return cls(label or loader, loader, path, settings)

    def __str__(self) -> str:
        name = self.loader if self.label == self.loader else f"{self.label}@{self.loader}"
        return ",".join([f"{name}={self.path}", *(f"{key}={value}" for key, value in self.settings.items())])

    def windows(self, **defaults: Any) -> Windows:
        """Load the labelled windows.

        Parameters
        ----------
        **defaults : object
            Defaults for settings of `imuspec.datasets.load` that the reference does not set.

        Raises
        ------
        ValueError
            If a setting is unknown or its value has the wrong type; and as in `imuspec.datasets.load`.
        """
        settings = self._typed({**_types_of(load, _WINDOWS), **_SPLITS})
        split = {key: settings.pop(key) for key in _SPLITS if key in settings}
        windows = load(self.loader, self.path, **{**defaults, **settings})
        if "of_classes" in split:
            windows = windows.of_classes(split["of_classes"])
        return replace(
            windows,
            name=self.label,
            split_by=split.get("split_by", windows.split_by),
            split_missing=split.get("missing", windows.split_missing),
            settings={**windows.settings, **split},
        )

    def sequences(self) -> PatchSequences:
        """Load the labelled stretches of ten-second patches; of Capture-24, its prepared wear."""
        from imuspec.datasets.sequences import capture24_sequences, cut_sequences

        if self.loader == "capture24":
            own = _types_of(capture24_sequences)
            sequences = capture24_sequences(self.path, **self._typed(own, reader=False))
            return replace(sequences, name=self.label, people=people_of(self.loader, self.path))
        cutting = ("rate", "patch_s")
        settings = self._typed(_types_of(cut_sequences, cutting))
        cut = {key: settings.pop(key) for key in cutting if key in settings}
        sequences = cut_sequences(labelled_recordings(self.loader, self.path, **settings), name=self.label, **cut)
        return replace(sequences, people=people_of(self.loader, self.path))

    def _typed(self, known: Mapping[str, Any], *, reader: bool = True) -> dict[str, Any]:
        """Return the settings in the types of the functions that take them."""
        if self.loader == "cohort":
            raise ValueError(f"{self.label}: expected a labelled set, got the cohort {self.path}")
        types_of = {**(_types_of(find_set(self.loader).read) if reader else {}), **known}
        unknown = [key for key in self.settings if key not in types_of]
        if unknown:
            listing = f"`imuspec datasets {self.loader}`"
            raise ValueError(unknown_name(f"settings of {self.loader}", unknown[0], types_of, listing=listing))
        return {key: _value(key, text, types_of[key]) for key, text in self.settings.items()}


def _divided(text: str, option: str) -> tuple[str, dict[str, str]]:
    """Return the path, which may have commas, and the text of each setting."""
    parts = text.split(",")
    first = next((number for number, part in enumerate(parts) if number and _SETTING.match(part.strip())), len(parts))
    settings: dict[str, str] = {}
    key = ""
    for part in parts[first:]:
        if _SETTING.match(part.strip()):
            key, _, value = (piece.strip() for piece in part.partition("="))
            if key in settings:
                raise ValueError(f"{option}: expected {key} once, got it twice in {text!r}")
            settings[key] = value
        else:
            settings[key] += f",{part.strip()}"
    return ",".join(parts[:first]).strip(), settings


def _types_of(function: Callable[..., Any], names: Collection[str] | None = None) -> dict[str, Any]:
    """Return the types of a function's keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    chosen = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and (names is None or p.name in names)]
    hints = typing.get_type_hints(function)
    return {name: hints[name] for name in chosen}


def _value(key: str, text: str, kind: Any) -> Any:
    """Return the value of a setting from its text; a sequence is split at commas."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)
    origins = [typing.get_origin(member) or member for member in members]
    if Mapping in origins:
        pairs = [word.partition(":") for word in text.split(",")]
        if not all(name and colon and value for name, colon, value in pairs):
            raise ValueError(f"{key}: expected name:value[,name:value,...], got {text!r}")
        return {name.strip(): value.strip() for name, _, value in pairs}
    several = next((m for m, o in zip(members, origins, strict=True) if isinstance(o, type) and _is_sequence(o)), None)
    if several is not None:
        numbered = int in typing.get_args(typing.get_args(several)[0])
        return tuple(int(word) if numbered and word.isdigit() else word for word in text.split(","))
    if {str, float} <= set(members):  # a number of counts, or the name of a unit
        with contextlib.suppress(ValueError):
            return float(text)
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        expected = typing.get_args(kind) if typing.get_origin(kind) is Literal else None
        description = (
            ", ".join(map(str, expected)) if expected else error.errors()[0]["msg"].removeprefix("Input should be ")
        )
        raise ValueError(f"{key}: expected {description}, got {text!r}") from error


def _is_sequence(kind: type) -> bool:
    return issubclass(kind, Collection) and kind not in (str, bytes)
