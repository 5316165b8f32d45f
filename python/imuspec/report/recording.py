"""The page of one recording: what was read, what was done to it, and what to know before using it."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.report import days, figures, spans, words
from imuspec.report.day import lively_window, name_of
from imuspec.report.minutes import MINUTE_NS, Minutes, Track, minutes, track
from imuspec.report.rendering import command, drawn, known_number, recipe_options, render, shown
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from imuspec.preparation import Prepared
    from imuspec.recording.quality import Event
    from imuspec.recording.recording import Recording

__all__ = ["preparation_page"]

_MOST_EVENTS = 200
_MOST_SEGMENTS = 200
_MOST_DAYS = 400


def preparation_page(prepared: Prepared, path: str | os.PathLike[str], *, recording: Recording | None = None) -> Path:
    """Write one HTML page that shows what was done to one recording, and says in words what was not right.

    Parameters
    ----------
    prepared : Prepared
        What `imuspec.prepare` returned; a failed one gives a page too.
    path : path
        File to write, whole or not at all.
    recording : Recording, optional
        The recording as it was read. With it the page also shows how the device's clock ran, and temperature, light and
        battery where the file has them.

    Returns
    -------
    Path
        The page: one file, which loads nothing from anywhere.

    Raises
    ------
    OSError
        If the page cannot be written; the error names `path`.

    Examples
    --------
    >>> page = imuspec.report.preparation_page(imuspec.prepare("week.cwa"), "week.html")  # doctest: +SKIP
    """
    readable = prepared.status != "failed"
    fields: dict[str, Any] = {
        "name": name_of(prepared),
        "path": str(prepared.path),
        "status": prepared.status,
        "outcome": words.outcome(prepared),
        "header": words.header_facts(prepared),
        "findings": words.findings(prepared) if readable else [],
        "segments": _stretches(prepared) if prepared.status == "ok" else [],
        "losses": _losses(prepared) if readable or prepared.quality.counts else None,
        "events": [_event(event) for event in prepared.quality.table[:_MOST_EVENTS]],
        "events_words": shown(prepared.quality.table, _MOST_EVENTS, "event"),
        "recipe_words": words.recipe(prepared.recipe),
        "recipe": prepared.recipe.model_dump_json(indent=2),
        "metadata": sorted(
            (str(k), str(v)) for k, v in (prepared.header.get("metadata") or {}).items() if str(v).strip()
        ),
        "command": command("report", prepared.path, "--out", os.fspath(path), *recipe_options(prepared.recipe)),
        **_clock(prepared, recording if readable else None),
        **_calibration(prepared),
    }
    return write_atomically(path, render("preparation.html.j2", {**_NOTHING, **fields, **_days(prepared, fields)}))


_NOTHING: dict[str, Any] = {
    "timeline": None,
    "timeline_caption": "",
    "days": [],
    "valid_day_h": f"{days.VALID_DAY_H:g}",
    "sphere": None,
    "sphere_caption": "",
    "window": None,
}


def _days(prepared: Prepared, fields: dict[str, Any]) -> dict[str, Any]:
    """Time line, table of days, sphere and window; nothing where there are no samples."""
    signal = None if prepared.acceleration is None else track(prepared)
    if signal is None or not len(signal.runs):
        return {}
    reduced = minutes(signal)
    fitted = bool(prepared.calibration.get("ok"))
    measured = "" if fitted else ", as measured, not calibrated"
    step = "minute" if reduced.step_ns == MINUTE_NS else spans.duration(reduced.step_ns / 1e9)
    rows = days.daily(signal, reduced)
    activity = [("mean ENMO, worn", f"{days.mean_enmo(signal, reduced):.1f} mg"), ("valid days", _valid(rows))]
    found: dict[str, Any] = {
        "timeline": drawn(lambda narrow: figures.timeline(reduced, signal, narrow=narrow), "timeline"),
        "timeline_caption": f"ENMO, the mean of max(|a| - 1 g, 0) of every {step}{measured}, on the device's local clock. "
        "Heights are square roots of mg, on one scale for all days.",
        "days": [_day(row) for row in rows[:_MOST_DAYS]],
        "window": _window(signal, reduced),
        "header": [*fields["header"][:1], *activity, *fields["header"][1:]],
    }
    if prepared.calibration:
        applied = prepared.calibration if fitted else {}
        still = figures.still_windows(signal, applied, tolerance_g=prepared.recipe.nonwear.tolerance_g)
        if len(still.after):
            found |= _sphere(still, prepared)
    return found


def _sphere(still: figures.Still, prepared: Prepared) -> dict[str, Any]:
    cube = prepared.recipe.calibration.cube_g
    changed = not np.array_equal(still.before, still.after)
    return {
        "sphere": drawn(
            lambda narrow: figures.sphere_figure(still, cube_g=cube, applied=changed, narrow=narrow), "sphere"
        ),
        "sphere_caption": (
            f"Mean acceleration of each 10 s in which the device was still. The fit needs windows beyond "
            f"\u00b1{cube:g} g (thin lines) on every axis. The farthest 0.5 % are drawn in the outermost bars."
        ),
    }


def _day(row: days.Day) -> dict[str, str]:
    return {
        "date": row.date,
        "recorded": words.number(row.recorded_h, ".1f"),
        "worn": words.number(row.worn_h, ".1f"),
        "enmo": words.number(row.enmo_mg, ".1f"),
        "valid": "yes" if row.valid else "no",
    }


def _valid(rows: Sequence[days.Day]) -> str:
    return f"{sum(row.valid for row in rows)} of {len(rows)}"


def _clock(prepared: Prepared, recording: Recording | None) -> dict[str, Any]:
    """Say how the clock ran, and draw it where there is something to see; nothing of a file that was not read."""
    if prepared.status == "failed":
        return {"clock_words": None, "clock": None, "slow": None}
    text, much = words.clock(prepared.header)
    if recording is None:
        return {"clock_words": text, "clock": None, "slow": None}
    return {
        "clock_words": text,
        "clock": drawn(lambda narrow: figures.clock_figure(recording, narrow=narrow), "clock") if much else None,
        "slow": drawn(lambda narrow: figures.slow_figure(recording, narrow=narrow), "slow"),
    }


def _calibration(prepared: Prepared) -> dict[str, Any]:
    """Say how the calibration went; offset and gain of each axis only where they were fitted."""
    found = prepared.calibration
    if not found:
        return {"calibration_words": None, "calibration": [], "slopes": False, "calibration_rule": ""}
    slopes = any(found.get(f"temperature_slope_{axis}") for axis in "xyz")
    rows = [
        {
            "axis": axis,
            "offset": words.number(1000 * known_number(found.get(f"offset_{axis}")), "+.2f"),
            "gain": words.number(known_number(found.get(f"gain_{axis}")), ".5f"),
            "slope": words.number(1000 * known_number(found.get(f"temperature_slope_{axis}")), "+.3f"),
        }
        for axis in "xyz"
    ]
    return {
        "calibration": rows if found.get("ok") else [],
        "slopes": slopes,
        "calibration_words": words.calibration(prepared),
        "calibration_rule": words.calibration_rule(prepared.recipe),
    }


def _window(signal: Track, reduced: Minutes) -> dict[str, Any] | None:
    place = lively_window(signal, reduced)
    if place is None:
        return None
    from matplotlib.image import imsave

    from imuspec.spectral.image import rgb_image

    n = round(10.0 * signal.rate)
    image = np.asarray(rgb_image(np.ascontiguousarray(signal.acceleration[:, place[0] : place[0] + n])))
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(np.moveaxis(image, 0, -1)), format="png", metadata={"Software": "imuspec"})
    return {
        "png": base64.b64encode(buffer.getvalue()).decode("ascii"),
        "time": spans.stamp(place[1]),
        "samples": n,
        "rate": f"{signal.rate:.4g}",
        "nyquist": f"{signal.rate / 2:.3g}",
        "height": image.shape[1],
        "width": image.shape[2],
    }


def _stretches(prepared: Prepared) -> list[dict[str, str]]:
    rows = []
    for first, past in prepared.segments[:_MOST_SEGMENTS].tolist():
        start, stop = prepared.clock_span(first, past)
        hours = (past - first) / prepared.rate / 3600
        rows.append({"start": spans.stamp(start), "stop": spans.stamp(stop), "hours": f"{hours:.2f}"})
    return rows


def _losses(prepared: Prepared) -> list[dict[str, str]]:
    return [
        {"title": words.kind_title(kind), "count": f"{count:,}", "effect": words.kind_effect(kind)}
        for kind, count in sorted(prepared.quality.counts.items(), key=lambda item: words.kind_title(item[0]))
    ]


def _event(event: Event) -> dict[str, str]:
    return {
        "title": words.kind_title(str(event.kind)),
        "time": "\u2013" if event.time is None else spans.stamp(int(event.time)),
        "block": f"{event.block:,}",
        "offset": f"{event.offset:,}",
        "count": f"{event.count:,}",
        "value": words.number(known_number(event.value), ".3f"),
    }
