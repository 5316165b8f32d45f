"""What all recipes share: validated data that loads by name or from a file, changes by key, and is saved as JSON."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imuspec.errors import unknown_name

__all__ = ["LABELS", "NamedRecipe", "Settings"]

LABELS = ("name", "about")  # fields that describe a recipe and change no number


class Settings(BaseModel):
    """Validated numbers that do not change; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class NamedRecipe(Settings):
    """Every number of one run, in sections.

    A section whose settings depend on a choice (the objective of a pre-training) has the choice as its field ``name``;
    setting that name starts the section again from the defaults of what was chosen.
    """

    named: ClassVar[str]  # folder under the package where the named recipes of this kind stand

    name: str = Field("custom", description="what the recipe is called in tables")
    about: str = Field("", description="whose run it is, in a line")

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the recipes that come with the package."""
        folder = resources.files("imuspec") / cls.named
        return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))

    @classmethod
    def load(cls, recipe: str | Path | Self) -> Self:
        """Return a named recipe, one from a TOML or resolved JSON file, or the recipe given.

        Raises
        ------
        ValueError
            If no recipe has that name (the message lists the closest), or a file is not TOML.
        pydantic.ValidationError
            If fields are wrong or misspelt: a ValueError that lists all of them.
        FileNotFoundError
            If there is no file at the path.
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
    def _parse(cls, text: str, name: str, where: str) -> Self:
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"recipe {where}: expected TOML, got text with an error: {error}") from error
        return cls.model_validate({"name": name, **values})

    def set(self, *assignments: str) -> Self:
        """Return a copy with numbers changed, each as ``section.field=value``; of lists the brackets may be left out.

        Raises
        ------
        ValueError
            If there is no ``=``, a key is not known (the message lists the closest), or a value does not fit.

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
        values = self.model_dump()
        chosen = {key.removesuffix(".name"): value for key, value in pending if key.endswith(".name")}
        anew = {
            section: {"name": value}
            for section, value in chosen.items()
            if isinstance(values.get(section), dict) and values[section].get("name", value) != value
        }
        if anew:
            values = self._valid({**values, **anew}).model_dump()
        known = [name for name in _keys(values) if name not in LABELS]
        for key, value in pending:
            if key not in known:
                raise ValueError(unknown_name("set", key, known, listing="`imuspec recipe NAME`"))
            section, _, field = key.rpartition(".")
            fields = values[section] if section else values
            fields[field] = _listed(value) if isinstance(fields[field], tuple) else value
        return self._valid(values)

    def _valid(self, values: dict[str, Any]) -> Self:
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            raise ValueError(f"set: {'; '.join(_problem(dict(item), values) for item in error.errors())}") from error

    def to_json(self) -> str:
        """Return the resolved recipe as JSON: every number, defaults included."""
        return self.model_dump_json(indent=2) + "\n"


def _assignment(text: str) -> tuple[str, object]:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError(f"set: expected section.field=value, got {text!r}")
    return key, _value(value)


def _problem(item: dict[str, Any], values: dict[str, Any]) -> str:
    """Name a field as a user writes it: without the choice that pydantic puts between section and field."""
    where: tuple[int | str, ...] = item["loc"]
    if len(where) > 2 and isinstance(values.get(str(where[0])), dict) and where[1] not in values[str(where[0])]:
        where = (where[0], *where[2:])
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, where))}: {message}" if where else message


def _keys(values: dict[str, Any]) -> list[str]:
    keys: list[str] = []
    for key, value in values.items():
        keys += [f"{key}.{field}" for field in value] if isinstance(value, dict) else [key]
    return keys


def _value(text: str) -> object:
    """Read a value as TOML would; what is no TOML is a bare word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _listed(value: object) -> object:
    """Several values as a user writes them: in brackets, with commas between, or one alone."""
    if isinstance(value, str):
        return [_value(part.strip()) for part in value.split(",")]
    return value if isinstance(value, list) else [value]
