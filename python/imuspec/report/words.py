"""What a page says in words: the outcome, what was not right, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imuspec.preparation.reasons import uncalibrated
from imuspec.report import spans

if TYPE_CHECKING:
    from imuspec.preparation import Prepared
    from imuspec.recipe import Recipe
    from imuspec.recording.quality import Quality

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

_LITTLE_DRIFT_S = 5.0  # a day: not worth a figure
_MUCH_DRIFT_S = 60.0  # a day: worth knowing before using a recording

#: Kinds of loss or repair: what it is, and after the colon what was done about it.
_MEANINGS = {
    "bad_checksum": "blocks whose checksum is wrong: left out",
    "bad_count": "blocks that state more or fewer samples than they can hold",
    "bad_date": "blocks whose date does not exist: left out",
    "bad_axes": "blocks that do not hold three axes: left out",
    "bad_member": "files inside the archive that could not be read: left out",
    "bad_page": "pages that could not be decoded: left out",
    "bad_rate": "blocks without a sampling rate: left out",
    "bad_row": "rows that are not a time and three numbers: left out",
    "bad_samples": "pages whose samples are not numbers or too few: the rest is left out",
    "blank_block": "blocks of zeros or 0xff, never written: left out",
    "clock_jump": "times at which the clock was set: a new run begins, no sample is lost; wear ends if it fell by more than 5 s",
    "columns_derived": "columns without names: which hold time and acceleration was derived from the numbers",
    "cut_row": "a last row that breaks off: its last number may be cut",
    "damaged_compression": "a compressed file that breaks off or is corrupt: nothing after this place could be read",
    "date_order_derived": "dates that may be read in two orders: day and month were derived from the step at midnight",
    "date_order_disagrees": "an order of day and month other than the one given: the file's is followed",
    "empty_block": "blocks without samples",
    "events_not_listed": "further losses: counted but not listed",
    "gap": "gaps without samples: a new run begins",
    "layout_change": "changes of the samples' layout inside the file: a new run begins",
    "long_page": "pages with more samples than they have room for: the rest is left out",
    "long_row": "rows longer than any row of samples: left out",
    "lost_blocks": "blocks that are missing by their numbers: a new run begins",
    "lost_pages": "pages that are missing by their numbers: a new run begins",
    "misaligned": "bytes between blocks that belong to none: skipped",
    "missing_values": "samples without a number on some axis: taken as missing",
    "missing_pages": "pages that the header promises and the file does not hold",
    "other_sensor_block": "blocks of another sensor: left out",
    "out_of_order": "blocks in the wrong place",
    "partial_block": "a last block that breaks off: what it holds is kept",
    "quality_flag": "stretches that the study's own log flags",
    "queue_overrun": "times at which the device was too busy to store samples",
    "rate_change": "changes of the sampling rate inside the file: a new run begins",
    "repeated_block": "repeated blocks: kept once",
    "repeated_page": "repeated pages: kept once",
    "repeated_row": "repeated rows: kept once",
    "restart": "restarts of the device: a new run begins",
    "row_out_of_order": "rows in the wrong place: put in order",
    "rows_not_later": "rows not later than those before them: left out",
    "rows_reversed": "rows with the newest first: put in order of time",
    "session_change": "blocks of another session",
    "short_page": "pages with fewer samples than they should hold",
    "stamps_fitted": "time stamps that are rounded, bundled or jittered: replaced by the line through them",
    "stamp_snapped": "time stamps one whole sample off the line of their neighbours: put back on it",
    "steps_back": "rows earlier than the one before: a new run begins",
    "timeline_shift": "a clock set back, or a gap too long for the grid: the grid goes on, shifted by so much",
    "slow_source": "runs slower than twice the low-pass or than the grid: values between samples are interpolated",
    "impossible_time": "samples dated before 1843 or after 2096: left out",
    "time_unit_derived": "times without a unit: it was derived from their size and steps",
    "unit_derived": "acceleration without a unit: it was derived from the length of gravity",
    "assumed_unit": "acceleration without a unit, and the length of gravity fits none: g is assumed",
    "unit_disagrees": "acceleration that does not fit the unit that the header or the caller names: that unit is kept",
    "unknown_block": "blocks of an unknown kind: skipped",
    "unknown_bytes": "bytes that belong to no record: skipped",
    "unknown_line": "lines that do not belong to the format: skipped",
    "unusual_norm": "gravity whose length fits no unit: the numbers are kept as they are",
    "wild_row": "rows whose time is far from that of their neighbours: left out",
    "zone_changes": "changes of the time zone: time goes on by the clock of the first row",
    "idle_sleep": "times at which the device slept because nothing moved: filled with the last value and counted as still",
    "assumed_date_order": "dates that may be read in two orders: month first is assumed in text, day first in GENEActiv files",
    "clock_lost": "blocks whose clock had lost the time: timed by the blocks around them",
    "exchanged_sensors": "samples whose acceleration and gyroscope the firmware exchanged: put back (kept by actipy's rule)",
    "missing_member": "hours without a file: missing, not slept through",
    "other_session": "blocks of another session or device behind the recording: left out (kept by actipy's rule)",
    "rate_differs": "samples at another rate than the file states: timed by their stamps",
    "repeated_member": "repeated files inside the archive: read once",
    "repeated_record": "repeated seconds: kept once (kept twice by actipy's rule)",
    "unlikely_date": "a start before such devices were made: the clock was never set",
    "unusual_rate": "a sampling rate that no accelerometer has: below 5 Hz or above 10 kHz",
    "stated_rate_disagrees": "a rate other than the one given: the times of the rows are followed",
    "clock_set": "a clock set after the start: what lies before it is dated as if it came right before",
    "no_date": "times that count from some start and name no date: day and hour are not known",
    "session_differs": "a session in the header that no block has: the header may be another recording's",
    "zero_values": "seconds of nothing but zeros: nothing was measured then",
    "wild_stamp": "records dated a day and more from their neighbours: timed by the neighbours",
}
#: Kinds that lose no sample that was measured: not worth a sentence at the top of a page.
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
#: Kinds that cast doubt on every number: what was assumed or cannot be right.
_DOUBTFUL = frozenset(
    {
        "clock_lost",
        "clock_set",
        "damaged_compression",
        "date_order_disagrees",
        "exchanged_sensors",
        "impossible_time",
        "no_date",
        "other_session",
        "rate_differs",
        "session_differs",
        "slow_source",
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
    """Return whether a kind says that something was assumed, derived or is improbable, so that it is to be seen first."""
    return kind in _DOUBTFUL or kind.startswith("assumed_") or kind.endswith("_derived")


def kind_name(kind: str) -> str:
    """Return ``bad_checksum`` as *bad checksum*."""
    return kind.replace("_", " ")


def kind_meaning(kind: str) -> str:
    """Return what a kind of loss is and what was done; nothing for a kind that this version does not know."""
    return _MEANINGS.get(kind, "")


def kind_title(kind: str) -> str:
    """Return what a kind of loss is, as *blocks whose checksum is wrong*."""
    return kind_meaning(kind).partition(": ")[0] or kind_name(kind)


def kind_effect(kind: str) -> str:
    """Return what was done about a kind of loss, as *left out*; nothing if that is not stated."""
    return kind_meaning(kind).partition(": ")[2]


def number(value: float, form: str) -> str:
    """Return a number in this format, with a true minus sign; a dash where it is unknown."""
    return format(value, form).replace("-", "\u2212") if math.isfinite(value) else "\u2013"


def size(n_bytes: float) -> str:
    """Return bytes as ``3.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def outcome(prepared: Prepared) -> str:
    """Return the outcome in a sentence, with what to do about it."""
    if prepared.status == "failed":
        return f"The file could not be read: {prepared.reason}."
    if prepared.status == "excluded":
        return f"Excluded by the recipe {prepared.recipe.name}: {prepared.reason}."
    hours = float(prepared.figures.get("wear_h") or 0.0)
    n = len(prepared.segments)
    return (
        f"{spans.duration(hours * 3600)} of wear kept in {n} segment{'' if n == 1 else 's'}, "
        f"{prepared.rate:g} Hz, with the recipe {prepared.recipe.name}."
    )


def header_facts(prepared: Prepared) -> list[tuple[str, str]]:
    """Return name and value of the facts at the top of a page; those that are unknown are left out."""
    header, found = prepared.header, prepared.figures
    start = None if prepared.start_time is None else spans.stamp(prepared.start_time)
    kept = ("kept", _hours(found.get("wear_h"))) if prepared.status == "ok" else None
    pairs: list[tuple[str, str | None]] = [
        ("worn on", placement(header.get("metadata") or {})),
        ("device", " ".join(filter(None, (_text(header.get("device")), _text(header.get("device_id")))))),
        ("format", _text(header.get("format"))),
        ("start, local time", start),
        ("recorded", _hours(found["n_samples"] / prepared.rate / 3600 if found.get("n_samples") else None)),
        kept or ("longest wear", _hours(found.get("longest_wear_h"))),
        ("not worn", _hours(found.get("nonwear_h"))),
        ("measured rate", _unit(header.get("sample_rate"), ".3f", "Hz")),
        ("nominal rate", _unit(header.get("nominal_rate"), "g", "Hz")),
    ]
    return [(name, value) for name, value in pairs if value]


def placement(metadata: Mapping[str, Any]) -> str | None:
    """Return where the device was worn, as its header says; None if it does not."""
    side, limb = (str(metadata.get(key) or "").strip() for key in ("Side", "Limb"))
    found = (metadata.get("_p"), metadata.get("Device Location Code"), f"{side} {limb}")
    return next((text for value in found if (text := str(value or "").strip().lower())), None)


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _hours(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else spans.duration(float(value) * 3600)


def _unit(value: float | None, form: str, unit: str) -> str | None:
    return None if not value or not math.isfinite(value) else f"{value:{form}} {unit}"


def findings(prepared: Prepared) -> list[str]:
    """Return what to know before using a recording that could be read, a sentence each, the gravest first.

    Parameters
    ----------
    prepared : Prepared
        An excluded or kept recording. Why it is excluded is `outcome`.
    """
    found = []
    if not prepared.calibration.get("ok", True):
        if not prepared.reason.startswith("calibration failed"):
            found.append(f"It could not be calibrated: {uncalibrated(prepared.recipe, prepared.calibration)}.")
        found.append("Its samples are as measured, not calibrated.")
    counts = {kind: count for kind, count in prepared.quality.counts.items() if count}
    for kind in sorted(filter(is_doubtful, counts)):
        found.append(f"{_counted(kind, counts[kind])}{': ' if kind_effect(kind) else ''}{kind_effect(kind)}.")
    drift, header = drift_s(prepared.header), prepared.header
    if abs(drift) >= _MUCH_DRIFT_S:
        found.append(
            f"The device sampled at {header['sample_rate']:.2f} Hz, not at its nominal {header['nominal_rate']:g} Hz: "
            f"counting samples would be {abs(drift):,.0f} s a day {'behind' if drift < 0 else 'ahead of'} the clock. "
            "imuspec uses the clock's time stamps."
        )
    lossy = [kind for kind in counts if kind not in _HARMLESS and not is_doubtful(kind)]
    if lossy:
        lossy.sort(key=lambda kind: (-counts[kind], kind))
        more = f", and {len(lossy) - 3} more kinds" if len(lossy) > 4 else ""
        named = ", ".join(_counted(kind, counts[kind]) for kind in (lossy[:3] if more else lossy))
        found.append(f"Parts are missing or repaired: {named}{more}. All are listed below.")
    seconds = _gap_seconds(prepared.quality)
    if seconds > 60:
        found.append(f"Together the gaps last {spans.duration(seconds)}.")
    return [sentence[0].upper() + sentence[1:] for sentence in found]


def _counted(kind: str, count: int) -> str:
    return f"{kind_title(kind)} ({count:,})" if count > 1 else f"{kind_title(kind)} (one)"


def _gap_seconds(quality: Quality) -> float:
    return sum(event.value for event in quality.events("gap") if math.isfinite(event.value) and event.value > 0)


def drift_s(header: Mapping[str, Any]) -> float:
    """Return by how many seconds a day counting samples at the nominal rate runs ahead of the device's clock.

    Negative where counting falls behind; NaN where one of the two rates is not known.
    """
    rate, nominal = header.get("sample_rate"), header.get("nominal_rate")
    if not rate or not nominal or not math.isfinite(rate):
        return math.nan
    return float(86400 * (rate / nominal - 1))


def clock(header: Mapping[str, Any]) -> tuple[str, bool]:
    """Return how the device's clock and its sampling agree, and whether there is something to draw."""
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
        text += f". One time stamp lies {worst:.1f} ms off the line of its neighbours, more than half a sample"
    return f"{text}.", abs(drift) >= _LITTLE_DRIFT_S


def calibration(prepared: Prepared) -> str:
    """Return how the calibration went."""
    found = prepared.calibration
    before, after = found.get("error_before_mg"), found.get("error_after_mg")
    n = int(found.get("n_windows") or 0)
    still = f"{n:,} windows of {prepared.recipe.calibration.window_s:g} s are still"
    failed = "" if found.get("ok") else f"Not calibrated: {found.get('reason') or 'no reason given'}. "
    if before is None or not math.isfinite(before):
        return f"{failed}{still}."
    text = f"{failed}{still}. Their mean distance from 1 g is {before:.1f} mg as measured"
    if found.get("ok") and after is not None and math.isfinite(after) and after != before:
        rounds = int(found.get("n_iterations") or 0)
        text += f" and {after:.1f} mg after {rounds} round{'' if rounds == 1 else 's'} of the fit"
    return f"{text}."


def calibration_rule(recipe: Recipe) -> str:
    """Return what a recipe asks of a calibration."""
    needed = recipe.calibration
    return (
        f"The recipe needs {needed.min_windows} still windows or more, some beyond "
        f"\u00b1{needed.cube_g:g} g on every axis, and less than {needed.max_error_mg:g} mg after the fit."
    )


def recipe(followed: Recipe) -> str:
    """Return a recipe in a few sentences, in the order in which its steps are done."""
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
    kept = f"keep wear of {needed.min_wear_h:g} h and longer, ended by gaps over {needed.max_gap_s:g} s"
    about = f"{followed.about.rstrip('.')}. " if followed.about else ""
    return f"{followed.name}: {about}In order: {', '.join([*steps, kept])}."
