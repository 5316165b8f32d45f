"""The form in which a command names a data set: ``NAME=PATH[,setting=value,...]``.

``NAME`` is a name of the catalogue, as ``hapt``. ``LABEL@NAME`` gives the set another label, which tables and messages
show: ``study-a@folder=recordings/`` and ``study-b@folder=others/`` are two sets. Settings follow the path, each after a comma:

- those of the set's reader (``sensors``, ``classes``, ``subjects``, ``unit``; ``imuspec datasets NAME`` lists them);
- those of the windows: ``window_s``, ``rate``, ``overlap``, ``resampling``, ``lowpass_hz``, ``min_agreement``;
- those of the splits: ``by`` and ``missing``.

A part without ``=`` is one more value of the setting before it: ``daphnet=dataset/,sensors=ankle,trunk,window_s=4``.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Union

from pydantic import TypeAdapter, ValidationError

from imuspec.datasets.catalogue import CATALOGUE, find_set, labelled_recordings, load
from imuspec.datasets.leaks import Unit
from imuspec.datasets.windows import Windows
from imuspec.errors import unknown_name

if typing.TYPE_CHECKING:
    from imuspec.datasets.sequences import PatchSequences

__all__ = ["FORM", "DatasetReference"]

FORM = "NAME=PATH[,setting=value,...]"
_SETTING = re.compile(r"[a-z]\w*=")
_WINDOWS = ("window_s", "rate", "overlap", "resampling", "lowpass_hz", "min_agreement")
_SPLITS: dict[str, Any] = {"by": Unit, "missing": Literal["redraw", "keep"]}


@dataclass(frozen=True)
class DatasetReference:
    """A data set as a command names it.

    Attributes
    ----------
    label : str
        Name in tables and messages.
    loader : str
        Name in the catalogue, or ``cohort``.
    path : str
        File, folder or archive.
    settings : mapping of str to str
        Settings as they were written.
    """

    label: str
    loader: str
    path: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, *, option: str = "data") -> DatasetReference:
        """Read ``NAME=PATH[,setting=value,...]``.

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
        label, at, loader = (part.strip() for part in name.rpartition("@"))
        old, colon, path = rest.partition(":")
        if colon and old in CATALOGUE:
            raise ValueError(f"{option}: expected {label or name}@{old}={path}, got {text!r}")
        if at and not label:
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
            Settings of `imuspec.datasets.load` where the reference has none.

        Raises
        ------
        ValueError
            If a setting is unknown or its value has the wrong type, and as `imuspec.datasets.load`.
        """
        given = self._typed({**_types_of(load, _WINDOWS), **_SPLITS})
        split = {key: given.pop(key) for key in _SPLITS if key in given}
        windows = load(self.loader, self.path, **{**defaults, **given})
        return replace(
            windows,
            name=self.label,
            split_by=split.get("by", windows.split_by),
            split_missing=split.get("missing", windows.split_missing),
            settings={**windows.settings, **split},
        )

    def sequences(self) -> PatchSequences:
        """Load the labelled stretches of ten-second patches; Capture-24 from its official files."""
        from imuspec.datasets.sequences import capture24_sequences, cut_sequences

        if self.loader == "capture24":
            own = _types_of(capture24_sequences)
            return replace(capture24_sequences(self.path, **self._typed(own, reader=False)), name=self.label)
        cutting = ("rate", "patch_s")
        given = self._typed(_types_of(cut_sequences, cutting))
        cut = {key: given.pop(key) for key in cutting if key in given}
        return cut_sequences(labelled_recordings(self.loader, self.path, **given), name=self.label, **cut)

    def _typed(self, known: Mapping[str, Any], *, reader: bool = True) -> dict[str, Any]:
        """Settings in the types of the functions that take them."""
        if self.loader == "cohort":
            raise ValueError(f"{self.label}: expected a labelled set, got the cohort {self.path}")
        types_of = {**(_types_of(find_set(self.loader).read) if reader else {}), **known}
        unknown = [key for key in self.settings if key not in types_of]
        if unknown:
            listing = f"`imuspec datasets {self.loader}`"
            raise ValueError(unknown_name(f"settings of {self.loader}", unknown[0], types_of, listing=listing))
        return {key: _value(key, text, types_of[key]) for key, text in self.settings.items()}


def _divided(text: str, option: str) -> tuple[str, dict[str, str]]:
    """The path, and each setting's text; a comma within the path belongs to it."""
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
    """Types of a function's keyword-only parameters."""
    parameters = inspect.signature(function).parameters.values()
    chosen = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and (names is None or p.name in names)]
    hints = typing.get_type_hints(function)
    return {name: hints[name] for name in chosen}


def _value(key: str, text: str, kind: Any) -> Any:
    """A setting's text as a value of its type: several words where the type is a sequence."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)
    origins = [typing.get_origin(member) or member for member in members]
    if Mapping in origins:
        raise ValueError(f"{key}: expected a mapping, which Python alone can give, got {text!r}")
    several = next((m for m, o in zip(members, origins, strict=True) if isinstance(o, type) and _is_sequence(o)), None)
    if several is not None:
        numbered = int in typing.get_args(typing.get_args(several)[0])
        return tuple(int(word) if numbered and word.isdigit() else word for word in text.split(","))
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        expected = typing.get_args(kind) if typing.get_origin(kind) is Literal else None
        wanted = (
            ", ".join(map(str, expected)) if expected else error.errors()[0]["msg"].removeprefix("Input should be ")
        )
        raise ValueError(f"{key}: expected {wanted}, got {text!r}") from error


def _is_sequence(kind: type) -> bool:
    return issubclass(kind, Collection) and kind not in (str, bytes)
