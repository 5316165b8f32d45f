"""Recipes: every number of a run, as validated data. They are read from TOML, and stored as JSON beside the result.

`Recipe` holds the settings from a device file to calibrated wear, `PretrainRecipe` those of the pre-training of an encoder,
`ProbeRecipe` those of its evaluation, and `FitRecipe` those of a classifier. The named recipes are in ``imuspec/recipes``. A
TOML file needs only the settings that differ from the defaults. Every field has a description, which
``imuspec.Recipe.model_json_schema()`` prints.

Names load on first use: a process that prepares recordings builds no model of pre-training.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imuspec.recipe.fitting import FitRecipe as FitRecipe
    from imuspec.recipe.preparing import CalibrationSettings as CalibrationSettings
    from imuspec.recipe.preparing import LowpassSettings as LowpassSettings
    from imuspec.recipe.preparing import NonwearSettings as NonwearSettings
    from imuspec.recipe.preparing import ReadingSettings as ReadingSettings
    from imuspec.recipe.preparing import Recipe as Recipe
    from imuspec.recipe.preparing import ResampleSettings as ResampleSettings
    from imuspec.recipe.preparing import SegmentSettings as SegmentSettings
    from imuspec.recipe.preparing import StoreSettings as StoreSettings
    from imuspec.recipe.pretraining import PretrainRecipe as PretrainRecipe
    from imuspec.recipe.probing import ProbeRecipe as ProbeRecipe
    from imuspec.recipe.settings import NamedRecipe as NamedRecipe
    from imuspec.recipe.settings import Settings as Settings
    from imuspec.recipe.training import TrainingSettings as TrainingSettings

_HOME = {
    "CalibrationSettings": "preparing",
    "FitRecipe": "fitting",
    "LowpassSettings": "preparing",
    "NamedRecipe": "settings",
    "NonwearSettings": "preparing",
    "PretrainRecipe": "pretraining",
    "ProbeRecipe": "probing",
    "ReadingSettings": "preparing",
    "Recipe": "preparing",
    "ResampleSettings": "preparing",
    "SegmentSettings": "preparing",
    "Settings": "settings",
    "StoreSettings": "preparing",
    "TrainingSettings": "training",
}

__all__ = [*_HOME]  # noqa: PLE0604  (names are resolved by __getattr__)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'imuspec.recipe' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"imuspec.recipe.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
