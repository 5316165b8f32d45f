"""A recipe many times: every combination of some numbers, as a list of recipes."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from imuspec.errors import unknown_name
from imuspec.recipe.pretraining import PretrainRecipe

__all__ = ["expand", "grid_names"]


def grid_names() -> list[str]:
    """Return the names of the grids that come with the package."""
    folder = resources.files("imuspec") / "recipes" / "grid"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def expand(recipe: str | Path | PretrainRecipe, grid: str | Path | Mapping[str, Sequence[Any]]) -> list[PretrainRecipe]:
    """Return a recipe for every combination of a grid's numbers, the last key changing fastest.

    Parameters
    ----------
    recipe : str, Path or PretrainRecipe
        A pre-training, as `PretrainRecipe.load` takes it.
    grid : str, Path or mapping
        ``section.field`` -> values; or the name (``baselines``: the paper's rate x batch x decay) or path of a TOML file
        of them.

    Returns
    -------
    list of PretrainRecipe
        Their names end in the numbers chosen, so that each has a folder of its own.

    Raises
    ------
    ValueError
        If the grid or a field is not known, or numbers do not fit together.

    Examples
    --------
    >>> from imuspec.recipe.grid import expand
    >>> len(expand("simclr-har", "baselines"))
    90
    """
    first = PretrainRecipe.load(recipe)
    values = dict(grid) if isinstance(grid, Mapping) else _read(grid)
    made = []
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        changed = first.set(*(f"{key}={json.dumps(value)}" for key, value in chosen.items()))
        tail = "-".join(f"{key.rpartition('.')[2]}-{value:g}" for key, value in chosen.items())
        made.append(changed.model_copy(update={"name": f"{first.name}-{tail}"}))
    return made


def _read(grid: str | Path) -> dict[str, list[Any]]:
    path = Path(grid)
    if isinstance(grid, str) and grid in grid_names():
        text = (resources.files("imuspec") / "recipes" / "grid" / f"{grid}.toml").read_text("utf-8")
    elif path.is_file():
        text = path.read_text("utf-8")
    else:
        raise ValueError(unknown_name("grid", str(grid), grid_names(), other="the path of a TOML file"))
    return tomllib.loads(text)
