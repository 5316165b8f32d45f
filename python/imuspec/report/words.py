"""What a page says in words: the outcome, what was not right and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imuspec.report import spans

if TYPE_CHECKING:
    from imuspec.preparation import Prepared
    from imuspec.recipe import Recipe
    from imuspec.recording.quality import Quality

__all__ = [
    "calibration",
    "calibration_rule",
    "clock",
    "findings",
    "header_facts",
    "is_doubtful",
    "kind_meaning",
    "kind_name",
    "number",
    "outcome",
    "recipe",
    "size",
]

#: Kinds of loss: what it means for the samples.
_MEANINGS = {
    "bad_checksum": "blocks whose checksum is wrong: left out",
    "bad_count": "blocks that state more or fewer samples than they can hold",
    "bad_date": "blocks whose date does not exist: left out",
    "bad_axes": "blocks that do not hold three axes: left out",
    "bad_member": "files inside the archive that could not be read: left out",
    "bad_page": "pages that could not be decoded: left out",
    "bad_rate": "blocks without a sampling rate: left out",
    "bad_row": "rows that are no time and three numbers: left out",
    "bad_samples": "pages whose samples are not numbers or too few: the rest is left out",
    "blank_block": "blocks of zeros or 0xff, never written: left out",
    "clock_jump": "the clock was set: a new run begins, no sample is lost; wear ends if it fell by more than 5 s",
    "columns_derived": "which column holds the time and which the acceleration was derived from the numbers",
    "cut_row": "the file ends inside a row, whose last number may be cut",
    "damaged_compression": "the compressed file breaks off or is corrupt: nothing after this place could be read",
    "date_order_derived": "the order of day and month was derived from the step at midnight",
    "date_order_disagrees": "the file tells another order of day and month than the caller states: the file's is followed",
    "empty_block": "blocks without samples",
    "events_not_listed": "further losses that are counted but not listed",
    "gap": "times without samples: a new run begins",
    "layout_change": "the layout of the samples changes inside the file: a new run begins",
    "long_page": "pages with more samples than they have room for: the rest is left out",
    "long_row": "rows longer than any row of samples: left out",
    "lost_blocks": "block numbers that never come: a new run begins",
    "lost_pages": "page numbers that never come: a new run begins",
    "misaligned": "bytes between blocks that belong to none: skipped",
    "missing_values": "samples without a number on some axis: missing",
    "missing_pages": "pages that the header promises and the file does not hold",
    "other_sensor_block": "blocks of another sensor: left out",
    "out_of_order": "blocks that stand in the wrong place",
    "partial_block": "the file ends inside a block: what it holds is kept",
    "quality_flag": "stretches that the study's own log flags",
    "queue_overrun": "the device was too busy to store samples",
    "rate_change": "the sampling rate changes inside the file: a new run begins",
    "repeated_block": "blocks that come twice: kept once",
    "repeated_page": "pages that come twice: kept once",
    "repeated_row": "rows that come twice: kept once",
    "restart": "the device began anew: a new run begins",
    "row_out_of_order": "rows that stand in the wrong place: put in order",
    "rows_not_later": "rows not later than those before them: left out",
    "rows_reversed": "the newest row comes first: turned round",
    "session_change": "blocks of another session",
    "short_page": "pages with fewer samples than they should hold",
    "stamps_fitted": "stamps are rounded, bundled or jittered: replaced by the line through them",
    "stamp_snapped": "stamps one whole sample off the line of their neighbours: put back on it",
    "steps_back": "rows earlier than the one before: a new run begins",
    "timeline_shift": "the clock was set back, or a gap is too long for the grid: the grid goes on, shifted by so much",
    "slow_source": "runs slower than twice the low-pass or than the grid: values between samples are made up",
    "impossible_time": "samples dated before 1843 or after 2096: left out",
    "time_unit_derived": "the unit of the times was derived from their size and steps",
    "unit_derived": "no unit is named: that of the acceleration was derived from its norm",
    "assumed_unit": "no unit is named and the norm tells none: g is assumed",
    "unit_disagrees": "the norm does not fit the unit that the header names or the caller states: it is kept",
    "unknown_block": "blocks of a kind that is not known: skipped",
    "unknown_bytes": "bytes that belong to no record: skipped",
    "unknown_line": "lines that are none of the format's: skipped",
    "unusual_norm": "the length of gravity fits no unit: the numbers are kept as they are",
    "wild_row": "rows whose time is far from that of their neighbours: left out",
    "zone_changes": "the zone of the times changes: time goes on, the clock stays that of the first row",
    "idle_sleep": "the device slept for want of motion: filled with the last value and counted as still",
    "assumed_date_order": "dates that may be read in two orders: month first is assumed in text, day first in GENEActiv files",
    "clock_lost": "blocks whose clock had lost the time: timed by the blocks around them",
    "exchanged_sensors": "samples whose acceleration and gyroscope the firmware exchanged: put back (kept by actipy's rule)",
    "missing_member": "hours without a file: missing, not slept through",
    "other_session": "blocks of another session or device behind the recording: left out (kept by actipy's rule)",
    "rate_differs": "the samples come at another rate than the file states: timed as they come",
    "repeated_member": "files inside the archive that come twice: read once",
    "repeated_record": "seconds that come twice: kept once (kept twice by actipy's rule)",
    "unlikely_date": "the recording begins before such devices were made: its clock was never set",
    "unusual_rate": "a rate that no accelerometer has: below 5 Hz or above 10 kHz",
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
        "damaged_compression",
        "date_order_disagrees",
        "exchanged_sensors",
        "impossible_time",
        "other_session",
        "rate_differs",
        "slow_source",
        "unit_disagrees",
        "unusual_norm",
        "unusual_rate",
        "wild_stamp",
    }
)


def is_doubtful(kind: str) -> bool:
    """Return whether a kind says that something was assumed, derived or is improbable, so that it is to be seen first."""
    return kind in _DOUBTFUL or kind.startswith("assumed_") or kind.endswith("_derived")


def kind_name(kind: str) -> str:
    """``bad_checksum`` as *bad checksum*."""
    return kind.replace("_", " ")


def kind_meaning(kind: str) -> str:
    """What a kind of loss means; nothing for a kind that this version does not know."""
    return _MEANINGS.get(kind, "")


def number(value: float, form: str) -> str:
    """A number in this format, with a true minus sign; a dash where it is unknown."""
    return format(value, form).replace("-", "\u2212") if math.isfinite(value) else "\u2013"


def size(n_bytes: float) -> str:
    """Bytes as ``3.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def outcome(prepared: Prepared) -> str:
    """The outcome in a sentence."""
    if prepared.status == "failed":
        return f"The file could not be read: {prepared.reason}."
    if prepared.status == "excluded":
        return f"Read, but left out by the recipe {prepared.recipe.name}: {prepared.reason}."
    hours = float(prepared.figures.get("wear_h") or 0.0)
    n = len(prepared.segments)
    return (
        f"{spans.duration(hours * 3600)} of wear kept in {n} segment{'' if n == 1 else 's'}, "
        f"{prepared.rate:g} Hz, with the recipe {prepared.recipe.name}."
    )


def header_facts(prepared: Prepared) -> list[tuple[str, str]]:
    """Name and value of the facts at the top of a page; those that are unknown are left out."""
    header, found = prepared.header, prepared.figures
    start = None if prepared.start_time is None else spans.stamp(prepared.start_time)
    pairs: list[tuple[str, str | None]] = [
        ("device", _text(header.get("device"))),
        ("device id", _text(header.get("device_id"))),
        ("format", _text(header.get("format"))),
        ("start, local time", start),
        ("recorded", _hours(found["n_samples"] / prepared.rate / 3600 if found.get("n_samples") else None)),
        ("kept" if prepared.status == "ok" else "long wear", _hours(found.get("wear_h"))),
        ("not worn", _hours(found.get("nonwear_h"))),
        ("measured rate", _unit(header.get("sample_rate"), ".3f", "Hz")),
        ("nominal rate", _unit(header.get("nominal_rate"), "g", "Hz")),
    ]
    return [(name, value) for name, value in pairs if value]


def _text(value: object) -> str | None:
    return None if value is None else str(value).strip() or None


def _hours(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else spans.duration(float(value) * 3600)


def _unit(value: float | None, form: str, unit: str) -> str | None:
    return None if not value or not math.isfinite(value) else f"{value:{form}} {unit}"


def findings(prepared: Prepared) -> list[str]:
    """What was not right, a sentence each, the gravest first."""
    found = []
    if prepared.status == "failed":
        return [f"The file could not be read: {prepared.reason}. Nothing was prepared."]
    if prepared.status == "excluded":
        found.append(f"The recording is excluded: {prepared.reason}.")
    fitted = bool(prepared.calibration.get("ok", True))
    if not fitted and not prepared.reason.startswith("calibration failed"):
        found.append(
            f"It could not be calibrated ({prepared.calibration.get('reason') or 'no reason given'}): "
            "its samples are as measured."
        )
    for kind, count in sorted(
        prepared.quality.counts.items(), key=lambda item: (not is_doubtful(item[0]), -item[1], item[0])
    ):
        if kind not in _HARMLESS and count:
            meaning = kind_meaning(kind)
            often = "once" if count == 1 else f"{count:,} times"
            found.append(f"{kind_name(kind).capitalize()}, {often}" + (f": {meaning}." if meaning else "."))
    seconds = _gap_seconds(prepared.quality)
    if seconds > 60:
        found.append(f"Together the gaps last {spans.duration(seconds)}.")
    rate, nominal = prepared.header.get("sample_rate"), prepared.header.get("nominal_rate")
    if rate and nominal and math.isfinite(rate) and abs(rate / nominal - 1) > 0.05:
        found.append(
            f"The device sampled at {rate:.2f} Hz, {100 * (rate / nominal - 1):+.1f} % off its {nominal:g} Hz."
        )
    return found


def _gap_seconds(quality: Quality) -> float:
    return sum(event.value for event in quality.events("gap") if math.isfinite(event.value) and event.value > 0)


def clock(header: Mapping[str, Any]) -> str:
    """How the device's clock and its sampling agree."""
    rate, nominal = header.get("sample_rate"), header.get("nominal_rate")
    if not rate or not math.isfinite(rate):
        return "The file's stamps do not tell the rate at which the device sampled."
    text = f"By its own clock the device sampled at {rate:.4f} Hz"
    if nominal:
        per_day = 86400 * (1 - rate / nominal)
        text += f", {100 * (rate / nominal - 1):+.2f} % off the {nominal:g} Hz that it states".replace("-", "\u2212")
        text += (
            f". Counting samples at the stated rate would put it {abs(per_day):,.0f} s "
            f"{'behind' if per_day > 0 else 'ahead'} after a day; imuspec uses the stamps"
        )
    worst = header.get("worst_stamp_residual_ms")
    if worst is not None and math.isfinite(worst):
        text += f". The worst stamp lies {worst:.1f} ms off the line of its neighbours"
    return text + "."


def calibration(prepared: Prepared) -> str:
    """How the calibration went."""
    found = prepared.calibration
    before, after = found.get("error_before_mg"), found.get("error_after_mg")
    n = int(found.get("n_windows") or 0)
    still = f"In {n:,} still windows of {prepared.recipe.calibration.window_s:g} s"
    if before is None or not math.isfinite(before):
        return f"Not calibrated: {found.get('reason') or 'no still windows'}. Still windows: {n:,}."
    text = f"{still} the mean distance from 1 g was {before:.1f} mg as measured"
    if after is not None and math.isfinite(after) and after != before:
        rounds = int(found.get("n_iterations") or 0)
        text += f" and {after:.1f} mg after {rounds} round{'' if rounds == 1 else 's'} of the fit"
    text += "." if found.get("ok") else f". It failed: {found.get('reason') or 'no reason given'}."
    return text


def calibration_rule(recipe: Recipe) -> str:
    """What the recipe asks of a calibration."""
    wanted = recipe.calibration
    return (
        f"The recipe asks for {wanted.min_windows} still windows or more, some beyond "
        f"\u00b1{wanted.cube_g:g} g on every axis, and less than {wanted.max_error_mg:g} mg."
    )


def recipe(followed: Recipe) -> str:
    """The recipe in a few sentences, in the order in which it was done."""
    steps = []
    if followed.lowpass.enabled:
        gaps = "straight across gaps" if followed.lowpass.across_gaps else "each run by itself"
        steps.append(
            f"low-pass at {followed.lowpass.cutoff_hz:g} Hz (order {followed.lowpass.order}, zero phase, {gaps})"
        )
    resampled = f"resampled to {followed.resample.rate_hz:g} Hz ({followed.resample.method})"
    calibrated = []
    if followed.calibration.enabled:
        warm = "with" if followed.calibration.temperature else "without"
        calibrated = [f"calibrated to gravity ({followed.calibration.method}, {warm} temperature)"]
    worn = (
        f"non-wear where every axis stays below {1000 * followed.nonwear.tolerance_g:g} mg for "
        f"{followed.nonwear.min_minutes:g} min or longer"
    )
    later = [*calibrated, worn]
    steps += [resampled, *later] if followed.order == "paper" else [*later, resampled]
    wanted = followed.segments
    kept = f"wear of {wanted.min_wear_h:g} h and more kept, ended by gaps over {wanted.max_gap_s:g} s"
    about = f"{followed.about.rstrip('.')}. " if followed.about else ""
    return f"{followed.name}: {about}In order: {', '.join([*steps, kept])}."
