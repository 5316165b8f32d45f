"""From device file to calibrated wear, as numbers.

The named recipes stand in ``imuspec/recipes/*.toml``, one per run that a paper or a tool reports; the defaults are those
of ``ukb``. Field names carry their unit.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from imuspec.recipe.settings import LABELS, NamedRecipe, Settings

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
    """From bytes to samples with times."""

    timestamps: Literal["device", "actipy"] = Field(
        "device",
        description="device: the fraction and offset of each block's stamp, a new run at every break; "
        "actipy: sample times equal to actipy 3.8.3's, whole milliseconds",
    )
    date_order: Literal["auto", "day_first", "month_first"] = Field(
        "auto",
        description="order of day and month in dates that the file leaves open; auto: month first in tables, day first in "
        "GENEActiv files, counted as assumed_date_order",
    )
    unit: Literal["auto", "g", "mg", "m/s2"] = Field(
        "auto",
        description="unit of the acceleration in tables (CSV, Parquet, NPZ); auto: as the header names it, else by the norm",
    )
    rate_hz: NonNegativeFloat = Field(
        0.0,
        description="rows per second of tables without usable times (row numbers, no time column), Hz; 0: such tables are refused",
    )
    idle_sleep: Literal["fill", "gap"] = Field(
        "fill",
        description="what stands where an ActiGraph slept: fill repeats the last value, as ActiLife does, flags it and "
        "counts it as stationary; gap leaves it missing",
    )


class LowpassSettings(Settings):
    """Zero-phase Butterworth low-pass."""

    enabled: bool = Field(True, description="whether to filter at all")
    cutoff_hz: PositiveFloat = Field(15.0, description="frequency that two passes lower by 6 dB, Hz")
    order: PositiveInt = Field(8, le=16, description="order of one pass")
    across_gaps: bool = Field(
        False, description="filter straight across gaps as if there were none (actipy); false: each run by itself"
    )


class ResampleSettings(Settings):
    """To a uniform grid."""

    rate_hz: PositiveFloat = Field(30.0, le=1000.0, description="rate of the grid, Hz")
    method: Literal["linear", "nearest"] = Field(
        "linear",
        description="linear between neighbouring samples, or the nearest sample within 1 s, used at most once more "
        "(actipy)",
    )


class CalibrationSettings(Settings):
    """Offset and gain from still windows, whose mean must have the length of gravity, 1 g."""

    enabled: bool = Field(True, description="whether to calibrate at all")
    required: bool = Field(
        True,
        description="a recording that cannot be calibrated is excluded (paper); false: kept uncalibrated (actipy)",
    )
    temperature: bool = Field(False, description="fit a slope against the device's temperature too")
    method: Literal["actipy", "vanhees"] = Field(
        "actipy", description="actipy: mean error, quantile weights; vanhees: van Hees 2014 as GGIR does it"
    )
    window_s: PositiveFloat = Field(10.0, description="length of a window, s")
    stationary_g: PositiveFloat = Field(
        0.013, description="a window is still when the standard deviation of each axis is below this, g"
    )
    min_windows: PositiveInt = Field(50, description="fewer still windows: calibration failed")
    cube_g: NonNegativeFloat = Field(
        0.3, lt=1.0, description="each axis needs still windows below minus and above plus this, g"
    )
    max_error_mg: PositiveFloat = Field(
        10.0,
        description="mean distance from 1 g below which data count as calibrated, before (left as they are) or after "
        "the fit (else failed), mg",
    )
    max_iterations: PositiveInt = Field(1000, description="rounds of the fit at most")


class NonwearSettings(Settings):
    """Where the device lay still, off the wrist."""

    window_s: PositiveFloat = Field(10.0, description="length of a window, s")
    tolerance_g: PositiveFloat = Field(
        0.013, description="a window is still when the standard deviation of each axis is below this, g"
    )
    min_minutes: PositiveFloat = Field(90.0, description="a still stretch longer than this is non-wear, min")
    sliding: bool = Field(
        False, description="windows that slide by a tenth of their length; false: consecutive windows"
    )
    rule: Literal["whole", "actipy"] = Field(
        "whole",
        description="length of k still windows: whole counts all k of them; actipy counts k - 1, so that its stretch "
        "must be one window longer and leaves its last window as wear",
    )


class SegmentSettings(Settings):
    """Contiguous wear that is kept."""

    min_wear_h: NonNegativeFloat = Field(24.0, description="shorter stretches of wear are dropped, h")
    max_gap_s: NonNegativeFloat = Field(
        1.0,
        description="a longer gap ends a segment; a shorter one is interpolated and counted, s; where it lies just under "
        "one lost record of the format (gt3x: 1 s and a sample), it is lifted to that",
    )


class CheckSettings(Settings):
    """When a recording that was read is not believed."""

    norm_min_g: NonNegativeFloat = Field(
        0.5, description="median norm of still seconds below this: not acceleration in g, excluded, g"
    )
    norm_max_g: PositiveFloat = Field(2.0, description="median norm of still seconds above this: excluded, g")
    damaged_max: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of the file that could not be read above this: failed, so that it is retried",
    )
    rate_min_hz: NonNegativeFloat = Field(
        10.0,
        description="samples slower than this: excluded, Hz; steps and gestures reach 5 Hz. Slower than twice the "
        "low-pass or than the grid is always an event (slow_source)",
    )
    rate_max_hz: PositiveFloat = Field(10_000.0, description="samples faster than this: excluded, Hz")
    gain_max: PositiveFloat = Field(
        0.2, description="gain of an axis farther than this from 1: excluded; omconvert has the same bound"
    )
    worn_min_share: float = Field(
        0.001, ge=0, le=1, description="share of wear and non-wear that is wear, below this: never worn, excluded"
    )
    assumed_date_order: Literal["keep", "exclude"] = Field(
        "keep", description="what becomes of dates whose order of day and month is assumed"
    )


class MetadataSettings(Settings):
    """What of a file's header goes into a cohort."""

    identifying: Literal["drop", "keep"] = Field(
        "drop", description="names, subject codes, dates of birth, sex, notes: drop leaves them out of every output"
    )


class StoreSettings(Settings):
    """How a cohort keeps acceleration: int16 multiples of a step, the smallest int16 for missing."""

    step_g: PositiveFloat = Field(
        0.000625,
        ge=0.0001,
        le=0.01,
        description="g per unit; 0.000625 reaches +-20.479 g: the +-16 g of the widest sensor, what calibration adds, "
        "and the filter's overshoot at clipped samples",
    )
    chunk_h: PositiveFloat = Field(1.0, description="length of a compressed chunk, h")
    zstd_level: int = Field(3, ge=1, le=22, description="compression level")


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
        """Return every number in one dict, keyed ``section_field``."""
        values: dict[str, bool | int | float | str] = {}
        for key, value in self.model_dump().items():
            if isinstance(value, dict):
                values.update({f"{key}_{field}": inner for field, inner in value.items()})
            else:
                values[key] = value
        return values

    def differences(self, other: Recipe) -> list[str]:
        """Return one ``key: mine, theirs`` for each number that differs; name and description do not count."""
        mine, theirs = self.flat(), other.flat()
        return [f"{key}: {mine[key]}, {theirs[key]}" for key in mine if mine[key] != theirs[key] and key not in LABELS]
