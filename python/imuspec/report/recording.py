"""The page of one recording: its facts, its preparation, and what to know before using it."""

from __future__ import annotations

import base64
import io
import os
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
    """Write one HTML page about a prepared recording: how it was prepared, and everything lost, repaired or improbable.

    Parameters
    ----------
    prepared : Prepared
        The result of `imuspec.prepare`; a failed recording also gets a page.
    path : path-like
        File to write; it is complete or absent.
    recording : Recording, optional
        The recording before preparation. With it, the page also shows the clock of the device, and temperature, light and
        battery if the file has them.

    Returns
    -------
    Path
        The page: one file that loads no other.

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
    """Return time line, table of days, sphere and window; {} without samples."""
    signal = None if prepared.acceleration is None else track(prepared)
    if signal is None or not len(signal.runs):
        return {}
    reduced = minutes(signal)
    fitted = bool(prepared.calibration.get("ok"))
    measured = "" if fitted else ", as measured, not calibrated"
    step = "minute" if reduced.step_ns == MINUTE_NS else spans.duration(reduced.step_ns / 1e9)
    rows = days.daily(signal, reduced)
    activity = [
        ("mean ENMO, worn", f"{days.mean_enmo(signal, reduced):.1f} mg"),
        ("valid days", f"{sum(row.valid for row in rows)} of {len(rows)}"),
    ]
    result: dict[str, Any] = {
        "timeline": drawn(lambda narrow: figures.timeline(reduced, signal, narrow=narrow), "timeline"),
        "timeline_caption": f"ENMO, the mean of max(|a| - 1 g, 0) of every {step}{measured}, on the device's local clock. "
        "Heights are square roots of mg, on the same scale for all days.",
        "days": [_day(row) for row in rows[:_MOST_DAYS]],
        "window": _window(signal, reduced),
        "header": [*fields["header"][:1], *activity, *fields["header"][1:]],
    }
    if prepared.calibration:
        applied = prepared.calibration if fitted else {}
        still = figures.still_windows(signal, applied, tolerance_g=prepared.recipe.nonwear.tolerance_g)
        if len(still.after):
            result |= _sphere(still, prepared)
    return result


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


def _clock(prepared: Prepared, recording: Recording | None) -> dict[str, Any]:
    """Return the text and the figures of the clock, and of temperature, light and battery; None of a failed recording."""
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
    """Return the text of the calibration, and offset and gain of each axis if they were fitted."""
    fit = prepared.calibration
    if not fit:
        return {"calibration_words": None, "calibration": [], "slopes": False, "calibration_rule": ""}
    slopes = any(fit.get(f"temperature_slope_{axis}") for axis in "xyz")
    rows = [
        {
            "axis": axis,
            "offset": words.number(1000 * known_number(fit.get(f"offset_{axis}")), "+.2f"),
            "gain": words.number(known_number(fit.get(f"gain_{axis}")), ".5f"),
            "slope": words.number(1000 * known_number(fit.get(f"temperature_slope_{axis}")), "+.3f"),
        }
        for axis in "xyz"
    ]
    return {
        "calibration": rows if fit.get("ok") else [],
        "slopes": slopes,
        "calibration_words": words.calibration(prepared),
        "calibration_rule": words.calibration_rule(prepared.recipe),
    }


def _window(signal: Track, reduced: Minutes) -> dict[str, Any] | None:
    window = lively_window(signal, reduced)
    if window is None:
        return None
    first, time = window
    from matplotlib.image import imsave

    from imuspec.spectral.image import rgb_image

    n = round(10.0 * signal.rate)
    image = np.asarray(rgb_image(np.ascontiguousarray(signal.acceleration[:, first : first + n])))
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(np.moveaxis(image, 0, -1)), format="png", metadata={"Software": "imuspec"})
    return {
        "png": base64.b64encode(buffer.getvalue()).decode("ascii"),
        "time": spans.stamp(time),
        "samples": n,
        "rate": f"{signal.rate:.4g}",
        "nyquist": f"{signal.rate / 2:.3g}",
        "height": image.shape[1],
        "width": image.shape[2],
    }


def _stretches(prepared: Prepared) -> list[dict[str, str]]:
    rows = []
    for first, stop in prepared.segments[:_MOST_SEGMENTS].tolist():
        begin, end = prepared.clock_span(first, stop)
        hours = (stop - first) / prepared.rate / 3600
        rows.append({"start": spans.stamp(begin), "stop": spans.stamp(end), "hours": f"{hours:.2f}"})
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
