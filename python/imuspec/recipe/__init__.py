"""Recipes: every number of a run, as validated data. They are read from TOML, and stored as JSON beside the result.

`Recipe` holds the settings from a device file to calibrated wear, `PretrainRecipe` those of the pre-training of an encoder,
`ProbeRecipe` those of its evaluation, and `FitRecipe` those of a classifier. The named recipes are in ``imuspec/recipes``. A
TOML file needs only the settings that differ from the defaults. Every field has a description, which
``imuspec.Recipe.model_json_schema()`` prints.
"""

from __future__ import annotations

from imuspec.recipe.fitting import FitRecipe
from imuspec.recipe.preparing import (
    CalibrationSettings,
    LowpassSettings,
    NonwearSettings,
    ReadingSettings,
    Recipe,
    ResampleSettings,
    SegmentSettings,
    StoreSettings,
)
from imuspec.recipe.pretraining import PretrainRecipe
from imuspec.recipe.probing import ProbeRecipe
from imuspec.recipe.settings import NamedRecipe, Settings
from imuspec.recipe.training import TrainingSettings

__all__ = [
    "CalibrationSettings",
    "FitRecipe",
    "LowpassSettings",
    "NamedRecipe",
    "NonwearSettings",
    "PretrainRecipe",
    "ProbeRecipe",
    "ReadingSettings",
    "Recipe",
    "ResampleSettings",
    "SegmentSettings",
    "Settings",
    "StoreSettings",
    "TrainingSettings",
]
