"""Grids: one recipe for every combination of the values of some fields."""

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
    """Return a recipe for every combination of a grid's values. The last key changes fastest.

    Parameters
    ----------
    recipe : str, Path or PretrainRecipe
        A pre-training, as in `PretrainRecipe.load`.
    grid : str, Path or mapping
        ``section.field`` -> values, the path of a TOML file with them, or a name. The grid ``baselines`` has the IMG2IMU
        paper's learning rates, batch sizes and weight decays; ``baselines-simclr`` also has the larger batches of its SimCLR.

    Returns
    -------
    list of PretrainRecipe
        Each name ends with the chosen values, so that no two recipes have the same name.

    Raises
    ------
    ValueError
        If `grid` or a field of it is not known, or values do not fit together.

    Examples
    --------
    >>> from imuspec.recipe.grid import expand
    >>> len(expand("cpc", "baselines")), len(expand("simclr-har", "baselines-simclr"))
    (45, 90)
    """
    original = PretrainRecipe.load(recipe)
    values = dict(grid) if isinstance(grid, Mapping) else _read(grid)
    recipes = []
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        changed = original.set(*(f"{key}={json.dumps(value)}" for key, value in chosen.items()))
        suffix = "-".join(
            f"{key.rpartition('.')[2]}-{value if isinstance(value, str) else format(value, 'g')}"
            for key, value in chosen.items()
        )
        recipes.append(changed.model_copy(update={"name": f"{original.name}-{suffix}"}))
    return recipes


def _read(grid: str | Path) -> dict[str, list[Any]]:
    path = Path(grid)
    if isinstance(grid, str) and grid in grid_names():
        text = (resources.files("imuspec") / "recipes" / "grid" / f"{grid}.toml").read_text("utf-8")
    elif path.is_file():
        text = path.read_text("utf-8")
    else:
        raise ValueError(unknown_name("grid", str(grid), grid_names(), other="the path of a TOML file"))
    return tomllib.loads(text)
