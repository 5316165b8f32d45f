"""Every number of a run, as validated data: TOML in, resolved JSON kept beside the result.

`Recipe` says how a device file becomes calibrated wear, `PretrainRecipe` how an encoder is pre-trained, `ProbeRecipe` how
it is judged. The named ones stand in ``imuspec/recipes``; a file of one's own may state only what differs from the
defaults. Every field has a description (``imuspec.Recipe.model_json_schema()`` prints them).
"""

from __future__ import annotations

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
