"""Command: recipe, which lists the recipes, and the settings of one."""

from __future__ import annotations

import json as encoder
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import SEVERAL, command
from imuspec.errors import unknown_name

if TYPE_CHECKING:
    from imuspec.recipe import NamedRecipe

__all__ = ["recipe", "settings", "unit"]

# ending of a setting's name -> its unit
_UNITS = {
    "_db": "dB",
    "_g": "g",
    "_gb": "GB",
    "_h": "h",
    "_hz": "Hz",
    "_mg": "mg",
    "_minutes": "min",
    "_hours": "h",
    "_s": "s",
}


@command
def recipe(
    name: str | None = None,
    /,
    *,
    changes: Annotated[list[str] | None, SEVERAL, Parameter(name="--set")] = None,
    json: bool = False,
) -> int:
    """List the recipes, or every setting of one with its value, unit and meaning.

    Parameters
    ----------
    name : str, optional
        Optional: a recipe, as ukb, img2imu or linear, or a TOML file with a preparation recipe.
    changes : list of str, optional
        Change a setting first, as segments.min_wear_h=1. Can be given more than once.
    json : bool, default False
        Print JSON, for programs.
    """
    from rich.table import Table
    from rich.text import Text

    if name is None:
        if changes:
            raise ValueError("set: expected the name of a recipe to change, got none")
        rows = [
            {"name": each, "kind": kind, "about": family.load(each).about}
            for kind, family in _families().items()
            for each in family.names()
        ]
    else:
        rows = settings(_load(name).set(*(changes or ())))
    if json:
        output.emit(rows)
        return 0
    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(value if isinstance(value, str) else encoder.dumps(value)) for value in row.values()))
    output.show(table)
    return 0


def settings(chosen: NamedRecipe) -> list[dict[str, Any]]:
    """Return one row per setting of a recipe: its key for ``--set``, value, default, unit and meaning."""
    from pydantic import BaseModel
    from pydantic_core import PydanticUndefined

    from imuspec.recipe.settings import LABELS

    rows = []
    for section, value in chosen:
        if section in LABELS:
            continue
        holder, names = (value, type(value).model_fields) if isinstance(value, BaseModel) else (chosen, [section])
        for field in names:
            described = type(holder).model_fields[field]
            default = described.get_default(call_default_factory=True, validated_data={})
            plain = holder.model_dump(mode="json")[field]
            rows.append(
                {
                    "setting": section if holder is chosen else f"{section}.{field}",
                    "value": plain,
                    "default": plain if default is PydanticUndefined else encoder.loads(encoder.dumps(default)),
                    "unit": unit(field),
                    "meaning": described.description or f"kind of {section}, which determines the settings below",
                }
            )
    return rows


def unit(field: str) -> str:
    """Return the unit of a setting by its name; "" if it has none."""
    return next((symbol for ending, symbol in _UNITS.items() if field == ending[1:] or field.endswith(ending)), "")


def _families() -> dict[str, type[NamedRecipe]]:
    from imuspec.recipe import FitRecipe, PretrainRecipe, ProbeRecipe, Recipe

    return {"preparation": Recipe, "pre-training": PretrainRecipe, "probe": ProbeRecipe, "fit": FitRecipe}


def _load(name: str) -> NamedRecipe:
    families = _families()
    for family in families.values():
        if name in family.names():
            return family.load(name)
    if name.endswith((".toml", ".json")):
        return families["preparation"].load(name)
    known = [each for family in families.values() for each in family.names()]
    raise ValueError(unknown_name("recipe", name, known, listing="`imuspec recipe`", other="the path of a TOML file"))
