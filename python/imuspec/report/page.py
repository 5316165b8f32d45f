"""Self-contained HTML pages: what was done to one recording, and what became of a cohort.

Text from files (names, annotations, reasons) reaches a page only through jinja2's escaping; the drawings, which this
package makes, are the one thing marked as safe, and matplotlib escapes the text in them.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.report import figures, spans, words
from imuspec.report.day import lively_window, name_of
from imuspec.report.minutes import Minutes, Track, minutes, track
from imuspec.report.style import svg
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from imuspec.cohort.cohort import Cohort
    from imuspec.preparation import Prepared
    from imuspec.recording.quality import Event
    from imuspec.recording.recording import Recording

__all__ = ["cohort_page", "preparation_page"]

_MOST_EVENTS = 200
_MOST_ROWS = 500


def preparation_page(prepared: Prepared, path: str | os.PathLike[str], *, recording: Recording | None = None) -> Path:
    """Writes one HTML page that shows what was done to one recording, and says in words what was not right.

    Parameters
    ----------
    prepared
        What `imuspec.prepare` returned; a failed one gives a page too.
    path
        File to write; whole or not at all.
    recording
        The recording itself. With it the page shows how the device's clock ran, and an excluded recording its days.

    Returns
    -------
    Path
        The page: one file, which loads nothing from the net.

    Examples
    --------
    >>> page = imuspec.report.preparation_page(imuspec.prepare("week.cwa"), "week.html")  # doctest: +SKIP
    """
    header = dict(prepared.header)
    fields: dict[str, Any] = {
        "name": name_of(prepared),
        "path": str(prepared.path),
        "status": prepared.status,
        "outcome": words.outcome(prepared),
        "header": words.header_facts(prepared),
        "findings": words.findings(prepared),
        "segments": _stretches(prepared) if prepared.status == "ok" else [],
        "losses": [
            {"kind": words.kind_name(kind), "count": f"{count:,}", "meaning": words.kind_meaning(kind)}
            for kind, count in sorted(prepared.quality.counts.items())
        ],
        "events": [_event(event) for event in prepared.quality.table[:_MOST_EVENTS]],
        "events_words": _shown(min(len(prepared.quality.table), _MOST_EVENTS), len(prepared.quality.table), "event"),
        "recipe_words": words.recipe(prepared.recipe),
        "recipe": prepared.recipe.model_dump_json(indent=2),
        "metadata": sorted((str(k), str(v)) for k, v in (header.get("metadata") or {}).items() if str(v).strip()),
        "clock_words": words.clock(header),
        "clock": _drawn(figures.clock_figure(recording), "clock") if recording is not None else None,
        **_calibration(prepared),
        **_days(prepared, recording),
    }
    return write_atomically(path, _render("preparation.html.j2", fields))


def _days(prepared: Prepared, recording: Recording | None) -> dict[str, Any]:
    """Time line, sphere and window, from the prepared samples or, where there are none, from the recording's."""
    source: Any = prepared if prepared.acceleration is not None else recording
    signal = None if source is None else track(source)
    if signal is None or not len(signal.runs):
        return {"timeline": None, "sphere": None, "window": None}
    reduced = minutes(signal)
    caption = (
        "Mean of max(|a| - 1 g, 0) (ENMO)"
        if source is prepared
        else "As measured, not calibrated: mean of max(|a| - 1 g, 0)"
    )
    step = spans.duration(reduced.step_ns / 1e9)
    drawn = {
        "timeline": _drawn(figures.timeline(reduced, signal), "timeline"),
        "timeline_caption": f"{caption} of every {step.removeprefix('1 ')}, local device time; one scale for all rows.",
        "window": _window(signal, reduced),
        "sphere": None,
    }
    if prepared.calibration:
        still = figures.still_windows(
            signal, prepared.calibration if source is prepared else {}, tolerance_g=prepared.recipe.nonwear.tolerance_g
        )
        if len(still.after):
            cube = prepared.recipe.calibration.cube_g
            changed = source is prepared and not np.array_equal(still.before, still.after)
            drawn["sphere"] = _drawn(figures.sphere_figure(still, cube_g=cube, applied=changed), "sphere")
            drawn["sphere_caption"] = (
                f"Mean acceleration of each 10 s in which the device was still. The fit needs windows beyond "
                f"\u00b1{cube:g} g (thin lines) on every axis. The farthest 0.5 % stand in the outermost bars."
            )
    return drawn


def _calibration(prepared: Prepared) -> dict[str, Any]:
    found = prepared.calibration
    if not found:
        return {"calibration": None}
    slopes = any(found.get(f"temperature_slope_{axis}") for axis in "xyz")
    rows = [
        {
            "axis": axis,
            "offset": words.number(1000 * _float(found.get(f"offset_{axis}")), "+.2f"),
            "gain": words.number(_float(found.get(f"gain_{axis}")), ".5f"),
            "slope": words.number(1000 * _float(found.get(f"temperature_slope_{axis}")), "+.3f"),
        }
        for axis in "xyz"
    ]
    return {
        "calibration": rows,
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


def cohort_page(cohort: Cohort, path: str | os.PathLike[str]) -> Path:
    """Writes one HTML page on a cohort: what became of each file and why, and how the recordings compare.

    Parameters
    ----------
    cohort
        A `Cohort`.
    path
        File to write; whole or not at all.

    Returns
    -------
    Path
        The page: one file, which loads nothing from the net.

    Examples
    --------
    >>> page = imuspec.report.cohort_page(imuspec.Cohort("cohort"), "cohort.html")  # doctest: +SKIP
    """
    reasons = {row["id"]: row["reason"] or "" for row in cohort.outcomes.to_pylist()}
    rows = cohort.recordings.to_pylist()
    rows.sort(key=lambda row: (("failed", "excluded", "ok").index(row["status"]), row["id"]))
    counts = _alike([(row["status"], reasons.get(row["id"], "")) for row in rows])
    panels = _panels(rows)
    ok = sum(row["status"] == "ok" for row in rows)
    fields: dict[str, Any] = {
        "name": Path(cohort.path).resolve().name,
        "path": str(Path(cohort.path).resolve()),
        "words": f"{ok:,} of {len(rows):,} recordings kept, with the recipe {cohort.recipe.name}.",
        "header": _cohort_facts(rows),
        "outcomes": _drawn(figures.outcome_figure(counts), "outcomes") if rows else None,
        "distributions": _drawn(figures.distribution_figure(panels), "distributions") if panels else None,
        "losses": _cohort_losses(rows),
        "rows": [_cohort_row(row, reasons.get(row["id"], "")) for row in rows[:_MOST_ROWS]],
        "hidden": max(0, len(rows) - _MOST_ROWS),
        "recipe": cohort.recipe.model_dump_json(indent=2),
    }
    return write_atomically(path, _render("cohort.html.j2", fields))


def _alike(outcomes: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """(status, reason, how many), the same but for its figures counted together; a figure that all share stays."""
    number = re.compile(r"\d+(?:[.,]\d+)*")
    groups: dict[tuple[str, str], list[list[str]]] = {}
    for status, reason in outcomes:
        groups.setdefault((status, number.sub("{}", reason)), []).append(number.findall(reason))
    found = []
    for (status, pattern), values in groups.items():
        shared = [column[0] if len(set(column)) == 1 else "\u2026" for column in zip(*values, strict=True)]
        words_ = "".join(a + b for a, b in zip(pattern.split("{}"), [*shared, ""], strict=False)) if shared else pattern
        found.append((status, words_, len(values)))
    return sorted(found, key=lambda row: (("ok", "excluded", "failed").index(row[0]), -row[2], row[1]))


def _panels(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[tuple[str, str, list[float]]]]]:
    def column(name: str) -> list[float]:
        return [_float(row.get(name)) for row in rows]

    before, after = column("calibration_error_before_mg"), column("calibration_error_after_mg")
    panels = [
        ("Calibration", "mean distance from 1 g (mg)", [("before", "second", before), ("after", "data", after)]),
        ("Wear", "hours kept", [("hours", "data", column("wear_h"))]),
        ("Sampling", "measured rate (Hz)", [("rate", "data", column("sample_rate"))]),
    ]
    return [panel for panel in panels if np.isfinite(panel[2][-1][2]).any()]


def _cohort_facts(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    status = Counter(row["status"] for row in rows)
    kept = [_float(row.get("wear_h")) for row in rows if row["status"] == "ok"]
    hours = float(np.nansum(kept)) if kept else 0.0
    stored = sum(int(row.get("stored_bytes") or 0) for row in rows)
    return [
        ("kept", f"{status['ok']:,}"),
        ("excluded", f"{status['excluded']:,}"),
        ("failed", f"{status['failed']:,}"),
        ("wear kept", f"{hours:,.1f} h"),
        ("median a recording", f"{np.nanmedian(kept):.1f} h" if kept else "-"),
        ("stored", words.size(stored)),
    ]


def _cohort_losses(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, list[int]] = {}
    for row in rows:
        for key, value in row.items():
            if key.startswith("quality_") and value:
                found.setdefault(key.removeprefix("quality_"), []).append(int(value))
    return [
        {
            "kind": words.kind_name(kind),
            "count": f"{sum(counts):,}",
            "recordings": f"{len(counts):,}",
            "meaning": words.kind_meaning(kind),
        }
        for kind, counts in sorted(found.items())
    ]


def _cohort_row(row: dict[str, Any], reason: str) -> dict[str, str]:
    return {
        "id": str(row["id"]),
        "status": row["status"],
        "reason": reason,
        "device": str(row.get("device") or ""),
        "rate": words.number(_float(row.get("sample_rate")), ".2f"),
        "hours": words.number(_float(row.get("duration_h")), ".1f"),
        "wear": words.number(_float(row.get("wear_h")), ".1f"),
        "error": words.number(_float(row.get("calibration_error_after_mg")), ".1f"),
    }


def _stretches(prepared: Prepared) -> list[dict[str, str]]:
    rows = []
    for first, past in prepared.segments.tolist():
        start, stop = prepared.clock_span(first, past)
        hours = (past - first) / prepared.rate / 3600
        rows.append({"start": _time(start), "stop": _time(stop), "hours": f"{hours:.2f}"})
    return rows


def _event(event: Event) -> dict[str, str]:
    return {
        "kind": words.kind_name(str(event.kind)),
        "time": _time(event.time),
        "block": f"{event.block:,}",
        "offset": f"{event.offset:,}",
        "count": f"{event.count:,}",
        "value": words.number(_float(event.value), ".3f"),
    }


def _time(ns: int | None) -> str:
    return "-" if ns is None else spans.stamp(int(ns))


def _shown(shown: int, total: int, what: str) -> str:
    text = f"{total:,} {what}{'' if total == 1 else 's'}"
    return text if shown == total else f"the first {shown:,} of {text}"


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _drawn(figure: Any, name: str) -> Any:
    """The figure as markup that jinja2 does not escape again, or None."""
    from markupsafe import Markup

    return None if figure is None else Markup(svg(figure, name))


def _render(template: str, fields: dict[str, Any]) -> bytes:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from imuspec._core import __version__

    environment = Environment(
        loader=PackageLoader("imuspec.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    defaults = {"sphere_caption": "", "timeline_caption": "", "slopes": False}
    return environment.get_template(template).render(version=__version__, **{**defaults, **fields}).encode()
