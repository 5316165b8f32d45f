"""Base classes of recipes: validated data, loaded by name or from a file, changed by key, and saved as JSON."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from imuspec.errors import expect_once, unknown_name

__all__ = ["ABOVE_0", "LABELS", "Distinct", "NamedRecipe", "Settings", "Values"]

LABELS = ("name", "about")  # fields that describe a recipe and have no effect on results


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    expect_once("", values)
    return values


Distinct = AfterValidator(_distinct)
"""Refuses a sequence with a value twice."""


ABOVE_0: Literal["above 0"] = "above 0"

Values = tuple[Any, ...] | Literal["above 0"]
"""Values of a field, or all above 0. Of a field with several values, one of them must be among these."""


class Settings(BaseModel):
    """Validated, immutable data. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {}
    """Field -> another field of the section, and those of its values with which the field has an effect."""

    def expect_used(self, section: str, field: str) -> None:
        """Raise an error if a field has no effect.

        Parameters
        ----------
        section : str
            Name of this section, for the message.
        field : str
            Name of the field.

        Raises
        ------
        ValueError
            If another field of the section has a value with which this one has no effect.
        """
        if field not in self.USED_WITH:
            return
        other, values = self.USED_WITH[field]
        value = getattr(self, other)
        if isinstance(values, str):
            used, expected = value > 0, str(values)
        else:
            used = bool({*value} & {*values}) if isinstance(value, tuple) else value in values
            expected = f"to {'have' if isinstance(value, tuple) else 'be'} {' or '.join(map(_written, values))}"
        if not used:
            raise ValueError(
                f"set: expected {section}.{other} {expected} for {section}.{field} to have an effect, got {_written(value)}"
            )
        self.expect_used(section, other)


class NamedRecipe(Settings):
    """Every number of a run, in sections.

    The settings of some sections depend on a choice, such as the objective of a pre-training. Their field ``name`` is the
    choice. If `set` changes it, all other fields of the section get the defaults of the new choice.
    """

    named: ClassVar[str]  # folder of the named recipes, relative to the package

    name: str = Field("custom", description="name of the recipe in tables")
    about: str = Field("", description="paper or tool that the recipe follows, in a line")

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the recipes that come with the package."""
        folder = resources.files("imuspec") / cls.named
        return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

    @classmethod
    def load(cls, recipe: str | Path | Self) -> Self:
        """Return a recipe by name or from a file.

        Parameters
        ----------
        recipe : str, Path or recipe
            A name of `names`, the path of a TOML file or of the JSON of `to_json`, or a recipe, which is returned.

        Raises
        ------
        ValueError
            If `recipe` is not a known recipe (the message lists the closest names), or the file is not TOML.
        pydantic.ValidationError
            If fields are wrong or misspelt. The error, a ValueError, lists all of them.
        FileNotFoundError
            If there is no file at the path.
        TypeError
            If `recipe` is of another type.
        """
        if isinstance(recipe, cls):
            return recipe
        if not isinstance(recipe, str | Path):
            raise TypeError(f"recipe: expected a name, a path or a {cls.__name__}, got {type(recipe).__name__}")
        text = str(recipe)
        if isinstance(recipe, str) and text in cls.names():
            return cls._parse((resources.files("imuspec") / cls.named / f"{text}.toml").read_text("utf-8"), text, text)
        path = Path(recipe)
        if path.suffix.lower() == ".json":
            return cls.model_validate_json(path.read_text("utf-8"))
        if path.suffix.lower() == ".toml" or path.is_file():
            return cls._parse(path.read_text("utf-8"), path.stem, text)
        raise ValueError(
            unknown_name("recipe", text, cls.names(), listing="`imuspec recipe`", other="the path of a TOML file")
        )

    @classmethod
    def _parse(cls, text: str, name: str, origin: str) -> Self:
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"recipe {origin}: expected TOML, got text with an error: {error}") from error
        return cls.model_validate({"name": name, **values})

    def set(self, *assignments: str) -> Self:
        """Return a copy with other values.

        Parameters
        ----------
        *assignments : str
            ``section.field=value``, with values as in TOML. Quotes of text and brackets of lists may be left out.

        Raises
        ------
        ValueError
            If there is no ``=``, a key is not known (the message lists the closest) or occurs twice, a value is not valid, or a
            field has no effect beside the others.

        Examples
        --------
        >>> import imuspec
        >>> imuspec.Recipe.load("ukb").set("calibration.min_windows=10").calibration.min_windows
        10
        >>> from imuspec.recipe import ProbeRecipe
        >>> ProbeRecipe().set("pictures.nfft=64,128").pictures.nfft
        (64, 128)
        """
        pending = [_assignment(text) for text in assignments]
        expect_once("set", [key for key, _ in pending])
        values = self.model_dump()
        chosen = {key.removesuffix(".name"): value for key, value in pending if key.endswith(".name")}
        replaced = {
            section: {"name": value}
            for section, value in chosen.items()
            if isinstance(values.get(section), dict) and values[section].get("name", value) != value
        }
        if replaced:
            values = self._valid({**values, **replaced}).model_dump()
        known = [name for name in _keys(values) if name not in LABELS]
        for key, value in pending:
            if key not in known:
                raise ValueError(unknown_name("set", key, known, listing="`imuspec recipe NAME`"))
            section, _, field = key.rpartition(".")
            fields = values[section] if section else values
            fields[field] = _as_list(value) if isinstance(fields[field], tuple) else value
        changed = self._valid(values)
        for key, _ in pending:
            section, _, field = key.rpartition(".")
            if section:
                getattr(changed, section).expect_used(section, field)
        return changed

    def _valid(self, values: dict[str, Any]) -> Self:
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            raise ValueError(f"set: {'; '.join(_problem(dict(item), values) for item in error.errors())}") from error

    def to_json(self) -> str:
        """Return the recipe as JSON, with all defaults."""
        return self.model_dump_json(indent=2) + "\n"


def _assignment(text: str) -> tuple[str, object]:
    """Return the key and the value of ``section.field=value``."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError(f"set: expected section.field=value, got {text!r}")
    return key, _value(value)


def _problem(item: dict[str, Any], values: dict[str, Any]) -> str:
    """Return the message of an error of pydantic, with the key that a user writes.

    pydantic's location of a field in a section with a choice is (section, choice, field). The choice is left out.
    """
    location: tuple[int | str, ...] = item["loc"]
    if len(location) > 2:
        section = values.get(str(location[0]))
        if isinstance(section, dict) and location[1] not in section:
            location = (location[0], *location[2:])
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, location))}: {message}" if location else message


def _written(value: object) -> str:
    """Return a value as in TOML, without quotes and brackets."""
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _keys(values: dict[str, Any]) -> list[str]:
    """Return ``section.field`` of every field."""
    keys: list[str] = []
    for key, value in values.items():
        keys += [f"{key}.{field}" for field in value] if isinstance(value, dict) else [key]
    return keys


def _value(text: str) -> object:
    """Return a TOML value; text that is not TOML is returned unchanged, as if it were in quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _as_list(value: object) -> object:
    """Return the values of a list that a user wrote with brackets, with commas only, or as a single value."""
    if isinstance(value, str):
        return [_value(part.strip()) for part in value.split(",")]
    return value if isinstance(value, list) else [value]
