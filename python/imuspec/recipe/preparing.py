"""The recipe of preparation, from a device file to calibrated wear.

The named recipes are in ``imuspec/recipes/*.toml``, one for each paper or tool that is reproduced. The defaults are those of
``ukb``. Field names end in their unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from imuspec.recipe.settings import LABELS, NamedRecipe, Settings, Values

__all__ = [
    "CalibrationSettings",
    "CheckSettings",
    "LowpassSettings",
    "MetadataSettings",
    "NonwearSettings",
    "ReadingSettings",
    "Recipe",
    "ResampleSettings",
    "SegmentSettings",
    "StoreSettings",
]


class ReadingSettings(Settings):
    """How a device file becomes samples with times."""

    timestamps: Literal["device", "actipy"] = Field(
        "device",
        description="device: times from the fraction and offset of each block's time stamp, a new run at every break; "
        "actipy: the times of actipy 3.8.3, whole milliseconds",
    )
    date_order: Literal["auto", "day_first", "month_first"] = Field(
        "auto",
        description="order of day and month in ambiguous dates; auto: month first in tables, day first in GENEActiv files, "
        "counted as assumed_date_order",
    )
    unit: Literal["auto", "g", "mg", "m/s2"] = Field(
        "auto",
        description="unit of the acceleration in tables (CSV, Parquet, NPZ); auto: the unit in the header, or else the unit "
        "that fits the norm",
    )
    rate_hz: NonNegativeFloat = Field(
        0.0,
        description="rows per second of tables without times (no time column, or row numbers only), Hz; 0: such tables are "
        "an error",
    )
    idle_sleep: Literal["fill", "gap"] = Field(
        "fill",
        description="samples while an ActiGraph was in idle sleep mode; fill: repeat the last value, as ActiLife does, flag "
        "it and count it as stationary; gap: missing",
    )


class LowpassSettings(Settings):
    """Zero-phase Butterworth low-pass."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = {
        "cutoff_hz": ("enabled", (True,)),
        "order": ("enabled", (True,)),
        "across_gaps": ("enabled", (True,)),
    }

    enabled: bool = Field(True, description="whether to filter")
    cutoff_hz: PositiveFloat = Field(15.0, description="frequency with a gain of -6 dB after both passes, Hz")
    order: PositiveInt = Field(8, le=16, description="order of each pass")
    across_gaps: bool = Field(
        False, description="filter across gaps as if there were none (actipy); false: filter each run separately"
    )


class ResampleSettings(Settings):
    """Resampling to uniform times."""

    rate_hz: PositiveFloat = Field(30.0, le=1000.0, description="sample rate after resampling, Hz")
    method: Literal["linear", "nearest"] = Field(
        "linear",
        description="linear: interpolation between neighbouring samples; nearest: the nearest sample within 1 s, repeated "
        "at most once (actipy)",
    )


class CalibrationSettings(Settings):
    """Offset and gain of each axis, fitted to still windows, whose mean acceleration must have the length of gravity, 1 g."""

    USED_WITH: ClassVar[Mapping[str, tuple[str, Values]]] = dict.fromkeys(
        (
            "required",
            "temperature",
            "method",
            "window_s",
            "stationary_g",
            "min_windows",
            "cube_g",
            "max_error_mg",
            "max_iterations",
        ),
        ("enabled", (True,)),
    )

    enabled: bool = Field(True, description="whether to calibrate")
    required: bool = Field(
        True,
        description="exclude a recording that cannot be calibrated (paper); false: keep it uncalibrated (actipy)",
    )
    temperature: bool = Field(False, description="also fit a dependence on the device's temperature")
    method: Literal["actipy", "vanhees"] = Field(
        "actipy", description="actipy: mean error, quantile weights; vanhees: van Hees 2014 as in GGIR"
    )
    window_s: PositiveFloat = Field(10.0, description="length of a window, s")
    stationary_g: PositiveFloat = Field(
        0.013, description="a window is still if the standard deviation of each axis is below this, g"
    )
    min_windows: PositiveInt = Field(50, description="with fewer still windows the calibration fails")
    cube_g: NonNegativeFloat = Field(
        0.3, lt=1.0, description="each axis needs still windows with means below minus and above plus this, g"
    )
    max_error_mg: PositiveFloat = Field(
        10.0,
        description="mean distance from 1 g below which data are calibrated: before the fit they stay unchanged, after a "
        "fit that does not reach it the calibration fails, mg",
    )
    max_iterations: PositiveInt = Field(1000, description="largest number of rounds of the fit")


class NonwearSettings(Settings):
    """Detection of stretches in which the device was not worn."""

    window_s: PositiveFloat = Field(10.0, description="length of a window, s")
    tolerance_g: PositiveFloat = Field(
        0.013, description="a window is still if the standard deviation of each axis is below this, g"
    )
    min_minutes: PositiveFloat = Field(90.0, description="a still stretch longer than this is non-wear, min")
    sliding: bool = Field(
        False, description="windows overlap and start a tenth of their length apart; false: consecutive windows"
    )
    rule: Literal["whole", "actipy"] = Field(
        "whole",
        description="length of a stretch of k still windows; whole: k windows; actipy: k - 1 windows, so that a non-wear "
        "stretch needs one more window, and its last window is wear",
    )


class SegmentSettings(Settings):
    """Contiguous stretches of wear in the output."""

    min_wear_h: NonNegativeFloat = Field(24.0, description="shorter stretches of wear are left out, h")
    max_gap_s: NonNegativeFloat = Field(
        1.0,
        description="a longer gap ends a segment, a shorter one is interpolated and counted, s; if the limit is just below "
        "one lost record of the format (gt3x: 1 s and a sample), it is raised to that",
    )


class CheckSettings(Settings):
    """Limits outside which a recording is excluded or fails."""

    norm_min_g: NonNegativeFloat = Field(
        0.5, description="exclude if the median norm of still seconds is below this: it is not acceleration in g, g"
    )
    norm_max_g: PositiveFloat = Field(2.0, description="exclude if the median norm of still seconds is above this, g")
    constant_axis_max: float = Field(
        0.5,
        ge=0,
        le=1,
        description="exclude if one axis keeps its value in a larger share of the seconds, while the device turns",
    )
    missing_max: float = Field(
        0.5, ge=0, le=1, description="exclude if a larger share of the samples has no number on some axis"
    )
    damaged_max: float = Field(
        0.1,
        ge=0,
        le=1,
        description="fail if a larger share of the file cannot be read, so that the file is tried again",
    )
    rate_min_hz: NonNegativeFloat = Field(
        10.0,
        description="exclude if the sample rate is lower, Hz; steps and gestures reach 5 Hz. A rate below twice the low-pass "
        "or below that of the result is always an event (slow_source)",
    )
    rate_max_hz: PositiveFloat = Field(10_000.0, description="exclude if the sample rate is higher, Hz")
    gain_max: PositiveFloat = Field(
        0.2, description="exclude if the gain of an axis differs more from 1; omconvert has the same limit"
    )
    worn_min_share: float = Field(
        0.001, ge=0, le=1, description="exclude as never worn if a smaller share of wear and non-wear is wear"
    )
    assumed_date_order: Literal["keep", "exclude"] = Field(
        "keep", description="keep or exclude recordings whose order of day and month is assumed"
    )


class MetadataSettings(Settings):
    """Header fields that a cohort stores."""

    identifying: Literal["drop", "keep"] = Field(
        "drop", description="names, subject codes, dates of birth, sex and notes; drop: they are in no output"
    )


class StoreSettings(Settings):
    """Storage of acceleration in a cohort: int16 multiples of a step, with the smallest int16 for missing samples."""

    step_g: PositiveFloat = Field(
        0.000625,
        ge=0.0001,
        le=0.01,
        description="g per unit; 0.000625 covers +-20.479 g: the +-16 g of the widest sensor, the change by calibration, "
        "and the filter's overshoot at clipped samples",
    )
    chunk_h: PositiveFloat = Field(1.0, description="length of a compressed chunk, h")
    compression_level: int = Field(
        1, ge=1, le=9, description="of Blosc with zstd and byte shuffle; 3 saves 1 % and takes twice the time"
    )


class Recipe(NamedRecipe):
    """Every number of one run from device file to stored wear.

    Examples
    --------
    >>> import imuspec
    >>> recipe = imuspec.Recipe.load("ukb").set("segments.min_wear_h=1")
    >>> recipe.segments.min_wear_h, recipe.lowpass.cutoff_hz
    (1.0, 15.0)
    """

    named = "recipes"

    order: Literal["paper", "actipy"] = Field(
        "paper",
        description="paper: low-pass, resample, calibrate, non-wear; actipy: low-pass, calibrate, non-wear, resample",
    )
    reading: ReadingSettings = ReadingSettings()
    lowpass: LowpassSettings = LowpassSettings()
    resample: ResampleSettings = ResampleSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    nonwear: NonwearSettings = NonwearSettings()
    segments: SegmentSettings = SegmentSettings()
    checks: CheckSettings = CheckSettings()
    metadata: MetadataSettings = MetadataSettings()
    store: StoreSettings = StoreSettings()

    def flat(self) -> dict[str, bool | int | float | str]:
        """Return every number, ``section_field`` -> value."""
        values: dict[str, bool | int | float | str] = {}
        for key, value in self.model_dump().items():
            if isinstance(value, dict):
                values.update({f"{key}_{field}": inner for field, inner in value.items()})
            else:
                values[key] = value
        return values

    def differences(self, other: Recipe) -> list[str]:
        """Return a line ``key: value, other value`` for each number that differs. Name and description may differ.

        Parameters
        ----------
        other : Recipe
            The recipe to compare with.
        """
        first, second = self.flat(), other.flat()
        different = [key for key in first if first[key] != second[key] and key not in LABELS]
        return [f"{key}: {first[key]}, {second[key]}" for key in different]
