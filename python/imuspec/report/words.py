"""The texts of pages: the outcome, everything lost, repaired or improbable, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imuspec.preparation.reasons import uncalibrated
from imuspec.report import spans

if TYPE_CHECKING:
    from imuspec.preparation import Prepared
    from imuspec.recipe import Recipe

__all__ = [
    "calibration",
    "calibration_rule",
    "clock",
    "drift_s",
    "findings",
    "header_facts",
    "is_doubtful",
    "kind_effect",
    "kind_meaning",
    "kind_name",
    "kind_title",
    "number",
    "outcome",
    "placement",
    "recipe",
    "size",
]

_LITTLE_DRIFT_S = 5.0  # per day; less is not drawn
_MUCH_DRIFT_S = 60.0  # per day; more is a finding

#: Kinds of quality events: a description, and after the colon what was done about it.
_MEANINGS = {
    "bad_checksum": "blocks whose checksum is wrong: left out",
    "bad_count": "blocks that state more or fewer samples than they can contain",
    "bad_date": "blocks whose date does not exist: left out",
    "bad_axes": "blocks without three axes: left out",
    "bad_member": "files inside the archive that could not be read: left out",
    "bad_page": "pages that could not be decoded: left out",
    "bad_rate": "blocks without a sampling rate: left out",
    "bad_row": "rows that are not a time and three numbers: left out",
    "bad_samples": "pages with too few samples, or samples that are not numbers: the rest of the page is left out",
    "blank_block": "blocks of zeros or 0xff, never written: left out",
    "clock_jump": "times at which the clock was set: a new run begins, no sample is lost; a step back over 5 s ends wear",
    "columns_derived": "columns without names: time and acceleration were recognised by their numbers",
    "cut_row": "an incomplete last row: its last number may be cut",
    "damaged_compression": "a compressed file that is incomplete or corrupt: nothing after this position could be read",
    "date_order_derived": "dates that can be read in two orders: day and month were derived from the change at midnight",
    "date_order_disagrees": "an order of day and month other than the one given: the order of the file is used",
    "empty_block": "blocks without samples",
    "events_not_listed": "further losses: counted but not listed",
    "gap": "gaps without samples: a new run begins",
    "layout_change": "changes of the sample layout inside the file: a new run begins",
    "long_page": "pages with more samples than a page can hold: the rest is left out",
    "long_row": "rows longer than any row of samples: left out",
    "lost_blocks": "blocks missing from the sequence of block numbers: a new run begins",
    "lost_pages": "pages missing from the sequence of page numbers: a new run begins",
    "misaligned": "bytes between blocks that belong to no block: skipped",
    "missing_values": "samples without a number on some axis: treated as missing",
    "missing_pages": "pages that the header announces and the file does not contain",
    "other_sensor_block": "blocks of another sensor: left out",
    "out_of_order": "blocks in the wrong order",
    "partial_block": "an incomplete last block: its samples are used",
    "quality_flag": "stretches that the log of the study flags",
    "queue_overrun": "times at which the device was too busy to store samples",
    "rate_change": "changes of the sampling rate inside the file: a new run begins",
    "repeated_block": "repeated blocks: used once",
    "repeated_page": "repeated pages: used once",
    "repeated_row": "repeated rows: used once",
    "restart": "restarts of the device: a new run begins",
    "row_out_of_order": "rows in the wrong order: sorted",
    "rows_not_later": "rows not later than the rows before them: left out",
    "rows_reversed": "rows with the newest first: sorted by time",
    "session_change": "blocks of another session",
    "short_page": "pages with fewer samples than they should have",
    "stamps_fitted": "time stamps that are rounded, bundled or jittered: replaced by a line fitted to them",
    "stamp_snapped": "time stamps one sample off the line of their neighbours: corrected",
    "steps_back": "rows earlier than the one before: a new run begins",
    "timeline_shift": "a clock set back, or a gap too long for the grid: the grid continues with a shift",
    "slow_source": "runs slower than twice the low-pass or than the grid: values between samples are interpolated",
    "impossible_time": "samples dated before 1843 or after 2096: left out",
    "time_unit_derived": "times without a unit: the unit was derived from their size and steps",
    "unit_derived": "acceleration without a unit: the unit was derived from the size of gravity",
    "assumed_unit": "acceleration without a unit, and gravity that fits no unit: g is assumed",
    "unit_disagrees": "acceleration that does not fit the unit of the header or the caller: this unit is used",
    "unknown_block": "blocks of an unknown kind: skipped",
    "unknown_bytes": "bytes that belong to no record: skipped",
    "unknown_line": "lines that do not belong to the format: skipped",
    "unusual_norm": "gravity that fits no unit: the numbers are not changed",
    "wild_row": "rows with a time far from that of their neighbours: left out",
    "zone_changes": "changes of the time zone: the clock of the first row is used",
    "idle_sleep": "times at which the device slept because it did not move: filled with the last value and counted as still",
    "assumed_date_order": "dates that can be read in two orders: month first is assumed in text, day first in GENEActiv files",
    "clock_lost": "blocks written after the clock lost its time: timed by the blocks around them",
    "exchanged_sensors": "samples with acceleration and gyroscope exchanged: corrected (not with actipy's rule)",
    "missing_member": "hours without a file: treated as missing, not as sleep of the device",
    "other_session": "blocks or pages of another session or device: left out (used with actipy's rule)",
    "rate_differs": "samples at another rate than the file states: timed by their time stamps",
    "repeated_member": "repeated files inside the archive: read once",
    "repeated_record": "repeated seconds: used once (twice with actipy's rule)",
    "unlikely_date": "a start before such devices existed, or after 2063: the clock was not set",
    "unusual_rate": "a sampling rate that no accelerometer has: below 5 Hz or above 10 kHz",
    "stated_rate_disagrees": "a rate other than the one given: the times of the rows are used",
    "clock_set": "a clock set after the start: samples before that are dated as if they came directly before",
    "no_date": "times that count from an unknown start: day and hour are unknown",
    "session_differs": "a session or serial number in the header that no block or page has: it may belong to another recording",
    "zero_values": "seconds with only zeros: nothing was measured",
    "constant_axis": "axes with one value while the device turns: stuck, or not measured",
    "alternating_rows": "rows whose values alternate: several devices in turn, or a vibration at a simple part of the rate",
    "assumed_epoch": "numbers as time whose column does not name where they count from: 1970 is assumed",
    "equal_axes": "two axes with the same values: one is a copy of the other",
    "norm_changes": "still seconds of which some have gravity in another unit: the numbers are not changed",
    "held_values": "values that stay for several rows: the source is slower than its rows",
    "sentinel_value": "values that stand for none, such as -9999, or that no sensor measures: treated as missing",
    "start_differs": "a start in the header that is not that of the samples: the times of the samples are used",
    "missing_header": "no header: device, serial number and annotation are unknown",
    "missing_serial": "no serial number: the device is unknown",
    "wild_stamp": "records dated a day or more from their neighbours: timed by the neighbours",
}
#: Kinds that lose no measured sample; they are not named at the top of a page.
_HARMLESS = frozenset(
    {
        "stamp_snapped",
        "repeated_block",
        "repeated_member",
        "repeated_page",
        "repeated_record",
        "misaligned",
        "idle_sleep",
        "repeated_row",
        "row_out_of_order",
        "rows_reversed",
        "stamps_fitted",
        "zone_changes",
    }
)
#: Kinds that put all numbers of a recording in doubt.
_DOUBTFUL = frozenset(
    {
        "alternating_rows",
        "clock_lost",
        "clock_set",
        "constant_axis",
        "damaged_compression",
        "date_order_disagrees",
        "equal_axes",
        "exchanged_sensors",
        "held_values",
        "impossible_time",
        "missing_header",
        "missing_serial",
        "no_date",
        "norm_changes",
        "other_session",
        "rate_differs",
        "sentinel_value",
        "session_differs",
        "slow_source",
        "start_differs",
        "stated_rate_disagrees",
        "unit_disagrees",
        "unlikely_date",
        "unusual_norm",
        "unusual_rate",
        "wild_stamp",
        "zero_values",
    }
)


def is_doubtful(kind: str) -> bool:
    """Whether events of a kind mean that something was assumed, derived or is improbable; they are shown first."""
    return kind in _DOUBTFUL or kind.startswith("assumed_") or kind.endswith("_derived")


def kind_name(kind: str) -> str:
    """Return ``bad_checksum`` as *bad checksum*."""
    return kind.replace("_", " ")


def kind_meaning(kind: str) -> str:
    """Return the description of a kind and what was done about it; "" for an unknown kind."""
    return _MEANINGS.get(kind, "")


def kind_title(kind: str) -> str:
    """Return the description of a kind, as *blocks whose checksum is wrong*."""
    return kind_meaning(kind).partition(": ")[0] or kind_name(kind)


def kind_effect(kind: str) -> str:
    """Return what was done about events of a kind, as *left out*; "" if nothing was done."""
    return kind_meaning(kind).partition(": ")[2]


def number(value: float, form: str) -> str:
    """Return a number in a format, with a true minus sign; a dash if it is not finite."""
    return format(value, form).replace("-", "\u2212") if math.isfinite(value) else "\u2013"


def size(n_bytes: float) -> str:
    """Return a number of bytes as ``3.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def outcome(prepared: Prepared) -> str:
    """Return the outcome of a recording in one sentence; the reason says what to do."""
    if prepared.status == "failed":
        return f"The file could not be read: {prepared.reason}."
    if prepared.status == "excluded":
        return f"Excluded by the recipe {prepared.recipe.name}: {prepared.reason}."
    hours = float(prepared.figures.get("wear_h") or 0.0)
    n = len(prepared.segments)
    return (
        f"{spans.duration(hours * 3600)} of wear selected in {n} segment{'' if n == 1 else 's'}, "
        f"{prepared.rate:g} Hz, with the recipe {prepared.recipe.name}."
    )


def header_facts(prepared: Prepared) -> list[tuple[str, str]]:
    """Return name and value of the facts at the top of a page; unknown facts are left out."""
    header, figures = prepared.header, prepared.figures
    start = None if prepared.start_time is None else spans.stamp(prepared.start_time)
    pairs: list[tuple[str, str | None]] = [
        ("worn on", placement(header.get("metadata") or {})),
        ("device", " ".join(filter(None, (_text(header.get("device")), _text(header.get("device_id")))))),
        ("format", _text(header.get("format"))),
        ("start, local time", start),
        ("recorded", _hours(figures["n_samples"] / prepared.rate / 3600 if figures.get("n_samples") else None)),
        ("selected wear", _hours(figures.get("wear_h")))
        if prepared.status == "ok"
        else ("longest wear", _hours(figures.get("longest_wear_h"))),
        ("not worn", _hours(figures.get("nonwear_h"))),
        ("measured rate", _unit(header.get("sample_rate"), ".3f", "Hz")),
        ("nominal rate", _unit(header.get("nominal_rate"), "g", "Hz")),
    ]
    return [(name, value) for name, value in pairs if value]


def placement(metadata: Mapping[str, Any]) -> str | None:
    """Return where the device was worn, by its header; None if the header does not say."""
    side, limb = (str(metadata.get(key) or "").strip() for key in ("Side", "Limb"))
    values = (metadata.get("_p"), metadata.get("Device Location Code"), f"{side} {limb}")
    return next((text for value in values if (text := str(value or "").strip().lower())), None)


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _hours(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else spans.duration(float(value) * 3600)


def _unit(value: float | None, form: str, unit: str) -> str | None:
    return None if not value or not math.isfinite(value) else f"{value:{form}} {unit}"


def findings(prepared: Prepared) -> list[str]:
    """Return what to know before using a recording, one sentence each, the most serious first.

    Parameters
    ----------
    prepared : Prepared
        A recording that could be read. The reason of its exclusion is in `outcome`.
    """
    sentences = []
    if not prepared.calibration.get("ok", True):
        if not prepared.reason.startswith("calibration failed"):
            sentences.append(
                f"The recording could not be calibrated: {uncalibrated(prepared.recipe, prepared.calibration)}."
            )
        sentences.append("The samples are as measured, not calibrated.")
    counts = {kind: count for kind, count in prepared.quality.counts.items() if count}
    for kind in sorted(filter(is_doubtful, counts)):
        sentences.append(f"{_counted(kind, counts[kind])}{': ' if kind_effect(kind) else ''}{kind_effect(kind)}.")
    drift, header = drift_s(prepared.header), prepared.header
    if abs(drift) >= _MUCH_DRIFT_S:
        sentences.append(
            f"The device sampled at {header['sample_rate']:.2f} Hz, not at its nominal {header['nominal_rate']:g} Hz: "
            f"counting samples would be {abs(drift):,.0f} s a day {'behind' if drift < 0 else 'ahead of'} the clock. "
            "imuspec uses the clock's time stamps."
        )
    lossy = [kind for kind in counts if kind not in _HARMLESS and not is_doubtful(kind)]
    if lossy:
        lossy.sort(key=lambda kind: (-counts[kind], kind))
        more = f", and {len(lossy) - 3} more kinds" if len(lossy) > 4 else ""
        named = ", ".join(_counted(kind, counts[kind]) for kind in (lossy[:3] if more else lossy))
        sentences.append(f"Parts are missing or repaired: {named}{more}. The page lists all of them below.")
    gaps = [event.value for event in prepared.quality.events("gap")]
    seconds = sum(value for value in gaps if math.isfinite(value) and value > 0)
    if seconds > 60:
        sentences.append(f"The gaps last {spans.duration(seconds)} in total.")
    return [sentence[0].upper() + sentence[1:] for sentence in sentences]


def _counted(kind: str, count: int) -> str:
    return f"{kind_title(kind)} ({count:,})" if count > 1 else f"{kind_title(kind)} (one)"


def drift_s(header: Mapping[str, Any]) -> float:
    """Return by how many seconds per day counting samples at the nominal rate is ahead of the device's clock.

    It is negative if counting is behind, and NaN if one of the two rates is unknown.
    """
    rate, nominal = header.get("sample_rate"), header.get("nominal_rate")
    if not rate or not nominal or not math.isfinite(rate):
        return math.nan
    return float(86400 * (rate / nominal - 1))


def clock(header: Mapping[str, Any]) -> tuple[str, bool]:
    """Return how clock and sampling of the device agree, in words, and whether the clock is worth a figure."""
    rate, nominal, drift = header.get("sample_rate"), header.get("nominal_rate"), drift_s(header)
    if not rate or not math.isfinite(rate):
        return "The file's time stamps do not show the rate at which the device sampled.", False
    if not nominal:
        return f"By its own clock the device sampled at {rate:.4f} Hz. The file states no nominal rate.", False
    if abs(drift) < _LITTLE_DRIFT_S:
        agree = f"The device sampled at its nominal {nominal:g} Hz: counting samples agrees with its clock"
        text = f"{agree} to {_LITTLE_DRIFT_S:g} s a day"
    else:
        off = abs(100 * (rate / nominal - 1))
        text = (
            f"By its own clock the device sampled at {rate:.4f} Hz, {off:.2g} % "
            f"{'below' if drift < 0 else 'above'} its nominal {nominal:g} Hz. Counting samples at {nominal:g} Hz "
            f"{'falls' if drift < 0 else 'runs'} {abs(drift):,.0f} s a day {'behind' if drift < 0 else 'ahead of'} the "
            "clock. imuspec uses the clock's time stamps"
        )
    worst = header.get("worst_stamp_residual_ms")
    if worst is not None and math.isfinite(worst) and worst > 500 / rate:
        text += f". One time stamp is {worst:.1f} ms off the line of its neighbours, more than half a sample"
    return f"{text}.", abs(drift) >= _LITTLE_DRIFT_S


def calibration(prepared: Prepared) -> str:
    """Return the result of the calibration in words."""
    fit = prepared.calibration
    before, after = fit.get("error_before_mg"), fit.get("error_after_mg")
    n = int(fit.get("n_windows") or 0)
    still = f"{n:,} windows of {prepared.recipe.calibration.window_s:g} s are still"
    failed = "" if fit.get("ok") else f"Not calibrated: {fit.get('reason') or 'no reason given'}. "
    if before is None or not math.isfinite(before):
        return f"{failed}{still}."
    text = f"{failed}{still}. Their mean distance from 1 g is {before:.1f} mg as measured"
    if fit.get("ok") and after is not None and math.isfinite(after) and after != before:
        rounds = int(fit.get("n_iterations") or 0)
        text += f" and {after:.1f} mg after {rounds} round{'' if rounds == 1 else 's'} of the fit"
    return f"{text}."


def calibration_rule(recipe: Recipe) -> str:
    """Return what a recipe requires of a calibration, in words."""
    needed = recipe.calibration
    return (
        f"The recipe needs {needed.min_windows} still windows or more, some beyond "
        f"\u00b1{needed.cube_g:g} g on every axis, and less than {needed.max_error_mg:g} mg after the fit."
    )


def recipe(followed: Recipe) -> str:
    """Return a recipe in words, with its steps in order."""
    steps = []
    if followed.lowpass.enabled:
        gaps = "straight across gaps" if followed.lowpass.across_gaps else "each run by itself"
        steps.append(
            f"low-pass at {followed.lowpass.cutoff_hz:g} Hz (order {followed.lowpass.order}, zero phase, {gaps})"
        )
    resampled = f"resample to {followed.resample.rate_hz:g} Hz ({followed.resample.method})"
    calibrated = []
    if followed.calibration.enabled:
        warm = "with" if followed.calibration.temperature else "without"
        calibrated = [f"calibrate to gravity ({followed.calibration.method}, {warm} temperature)"]
    worn = (
        f"find non-wear, where every axis varies by less than {1000 * followed.nonwear.tolerance_g:g} mg for "
        f"{followed.nonwear.min_minutes:g} min or longer"
    )
    later = [*calibrated, worn]
    steps += [resampled, *later] if followed.order == "paper" else [*later, resampled]
    needed = followed.segments
    selection = f"select wear of {needed.min_wear_h:g} h and longer, which gaps over {needed.max_gap_s:g} s end"
    about = f"{followed.about.rstrip('.')}. " if followed.about else ""
    return f"{followed.name}: {about}In order: {', '.join([*steps, selection])}."
