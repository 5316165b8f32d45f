"""The page of a cohort: the outcome and reason of each file, the spread of the recordings, those to check first, and a search.

It is written from the columns of the cohort's tables, so that 100,000 recordings take seconds, and it holds no more than
`_MOST_ROWS` recordings, so that its size is bounded.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.preparation.reasons import alike
from imuspec.recording.quality import Event, Quality
from imuspec.report import words
from imuspec.report.distributions import Panel, distribution_figure
from imuspec.report.recording import preparation_page
from imuspec.report.rendering import command, drawn, known_number, render
from imuspec.storage import is_remote, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

    from imuspec.cohort.cohort import Cohort
    from imuspec.preparation import Prepared

__all__ = ["cohort_page"]

_MOST_ROWS = 100_000  # that can be searched
_STATIC_ROWS = 100  # that stand in the page without its script
_MOST_REASONS = 40
_WORST = 5  # of each measure
_STATUS = ("failed", "excluded", "ok")


class _Measure(NamedTuple):
    """A column by which recordings are compared, which end of it is bad, and how its values are written."""

    column: str
    title: str
    label: str
    bad: Literal["high", "low", "far", ""]
    form: str
    unit: str


_MEASURES = (
    _Measure("calibration_error_after_mg", "calibration error", "mean distance from 1 g (mg)", "high", ".1f", " mg"),
    _Measure("wear_h", "wear kept", "hours kept", "low", ".1f", " h"),
    _Measure("rate_off", "sampling rate", "off the nominal rate (%)", "far", "+.2f", " %"),
    _Measure("lost", "lost or repaired", "blocks, rows or gaps lost or repaired", "high", ",.0f", ""),
)


def cohort_page(
    cohort: Cohort, path: str | os.PathLike[str], *, recordings: Literal["none", "worst", "all"] = "none"
) -> Path:
    """Write one HTML page on a cohort: the outcome and reason of each file, and the spread of the recordings.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    path : path
        File to write, whole or not at all.
    recordings : {"none", "worst", "all"}, default "none"
        Of which recordings pages are written too, into the folder ``NAME-recordings`` beside the page. The page links to
        each page that is there, whenever it was written; a page that is there is not written again.

    Returns
    -------
    Path
        The page: one file, which loads nothing from anywhere.

    Raises
    ------
    OSError
        If a page cannot be written; the error names it.

    Examples
    --------
    >>> page = imuspec.report.cohort_page(imuspec.Cohort("cohort"), "cohort.html")  # doctest: +SKIP
    """
    rows = _Rows(cohort)
    worst = rows.worst()
    folder = Path(path).with_name(f"{Path(path).stem}-recordings")
    few = recordings == "worst" and len(rows) <= 4 * _WORST
    chosen = range(len(rows)) if few or recordings == "all" else [row for row, _ in worst if recordings == "worst"]
    _write_pages(cohort, folder, [rows.id[row] for row in chosen])
    pages = {entry.name.removesuffix(".html") for entry in os.scandir(folder)} if folder.is_dir() else set()
    place = cohort.path if is_remote(cohort.path) else Path(cohort.path).resolve()
    recipe = cohort.recipe
    fields: dict[str, Any] = {
        "title": place.name,
        "path": str(place),
        "words": f"{rows.count['ok']:,} of {len(rows):,} recording{'' if len(rows) == 1 else 's'} kept, "
        f"with the recipe {recipe.name}.",
        "header": rows.facts(),
        "outcomes": _bars(rows.outcomes()),
        "distributions": drawn(lambda narrow: distribution_figure(rows.panels(), narrow=narrow), "distributions"),
        "losses": rows.losses(),
        "worst": [{**rows.cells(row, pages, folder), "why": why} for row, why in worst],
        "rows": [rows.cells(row, pages, folder) for row in rows.order[:_STATIC_ROWS].tolist()],
        "total": len(rows),
        "searched": min(len(rows), _MOST_ROWS),
        "data": rows.packed(pages),
        "folder": f"{folder.name}/",
        "recipe_words": words.recipe(recipe),
        "recipe": recipe.model_dump_json(indent=2),
        "command": command("report", cohort.path, "--out", os.fspath(path), "--recordings", "worst"),
        "script": (resources.files("imuspec.report") / "templates" / "cohort.js").read_text("utf-8"),
    }
    return write_atomically(path, render("cohort.html.j2", fields))


def _write_pages(cohort: Cohort, folder: Path, ids: Sequence[str]) -> None:
    """Write the page of each recording that has none yet."""
    for identity in ids:
        page = folder / f"{identity}.html"
        if not page.exists():
            folder.mkdir(parents=True, exist_ok=True)
            preparation_page(_prepared(cohort, identity), page)


def _prepared(cohort: Cohort, identity: str) -> Prepared:
    """Return a recording as its page needs it: with what was lost and the header's fields; without samples unless it is ok."""
    from imuspec.cohort.parts import read_part
    from imuspec.preparation import Prepared

    part = read_part(cohort.path, identity)
    row, outcome = part["recording"], part["outcome"]
    counts = {key.removeprefix("quality_"): row[key] for key in row if key.startswith("quality_")}
    events = tuple(Event(**{**event, "value": known_number(event["value"])}) for event in part["quality"])
    header = {key: row[key] for key in row if not key.startswith(("calibration_", "quality_"))}
    quality = Quality(counts, events)
    header["metadata"] = json.loads(row.get("metadata") or "{}")
    if outcome["status"] == "ok":
        return replace(cohort.prepared(identity), quality=quality, header=header)
    return Prepared(
        path=outcome["source"],
        id=identity,
        recipe=cohort.recipe,
        status=outcome["status"],
        reason=outcome["reason"],
        rate=known_number(row.get("rate_hz")),
        start_time=row.get("start_time"),
        calibration={key.removeprefix("calibration_"): row[key] for key in row if key.startswith("calibration_")},
        quality=quality,
        header=header,
        figures=header,
    )


def _bars(outcomes: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Rows of the outcomes; what is over `_MOST_REASONS` together in the last."""
    shown = list(outcomes[:_MOST_REASONS])
    rest = outcomes[_MOST_REASONS:]
    most = max((n for _, _, n in outcomes), default=1)
    rows = [
        {"status": status, "reason": reason, "count": f"{n:,}", "share": f"{100 * n / most:.1f}"}
        for status, reason, n in shown
    ]
    if rest:
        n = sum(count for _, _, count in rest)
        reason = f"{len(rest):,} more reasons"
        rows.append({"status": rest[0][0], "reason": reason, "count": f"{n:,}", "share": f"{100 * n / most:.1f}"})
    return rows


class _Rows:
    """The columns of a cohort's tables that the page needs, a row for each recording."""

    def __init__(self, cohort: Cohort) -> None:
        table, outcomes = cohort.recordings, cohort.outcomes
        self.table = table
        self.id: list[str] = table["id"].to_pylist()
        self.status: list[str] = table["status"].to_pylist()
        reasons = dict(zip(outcomes["id"].to_pylist(), outcomes["reason"].to_pylist(), strict=True))
        self.reason = [reasons.get(identity) or "" for identity in self.id]
        self.device: list[str] = [text or "" for text in _column(table, "device", "")]
        self.count = Counter(self.status)
        self.kinds = [name for name in table.column_names if name.startswith("quality_")]
        self.values = {
            name: _numbers(table, name) for name in ("duration_h", "sample_rate", "calibration_error_before_mg")
        }
        for measure in _MEASURES:
            self.values[measure.column] = _numbers(table, measure.column)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = 100 * (self.values["sample_rate"] / _numbers(table, "nominal_rate") - 1)
        self.values["rate_off"] = np.where(np.isfinite(off), off, np.nan)
        lost = [np.nan_to_num(_numbers(table, name)) for name in self.kinds]
        self.values["lost"] = np.sum(lost, axis=0) if lost else np.zeros(len(self.id))
        self.is_ok = np.array([status == "ok" for status in self.status], dtype=bool)
        rank = np.array([_STATUS.index(status) for status in self.status], dtype=np.int64)
        self.order = np.lexsort((np.array(self.id, dtype=object).astype(str), rank)) if self.id else rank

    def __len__(self) -> int:
        return len(self.id)

    def facts(self) -> list[tuple[str, str]]:
        """Name and value of the facts at the top."""
        wear = self.values["wear_h"][self.is_ok]
        recorded = self.values["duration_h"]
        facts = [
            ("kept", f"{self.count['ok']:,}"),
            ("excluded", f"{self.count['excluded']:,}"),
            ("failed", f"{self.count['failed']:,}"),
            ("recorded", f"{np.nansum(recorded):,.1f} h"),
            ("wear kept", f"{np.nansum(wear):,.1f} h"),
        ]
        if np.isfinite(wear).sum() > 1:
            facts.append(("median wear kept", f"{np.nanmedian(wear):,.1f} h"))
        return [*facts, ("stored", words.size(float(np.nansum(_numbers(self.table, "stored_bytes")))))]

    def outcomes(self) -> list[tuple[str, str, int]]:
        """(status, reason, count); reasons that differ in their numbers alone count together."""
        return [group[:3] for group in alike(zip(self.status, self.reason, self.id, strict=True))]

    def panels(self) -> list[Panel]:
        """Distributions of the recordings for which a figure is known and differs; none for a single recording."""
        found = []
        for measure in _MEASURES:
            values = [("", "data", self.values[measure.column][self._of(measure)])]
            if measure.column == "calibration_error_after_mg":
                before = ("before", "second", self.values["calibration_error_before_mg"][self.is_ok])
                values = [before, ("after", "data", values[0][2])]
            finite = values[-1][2][np.isfinite(values[-1][2])]
            if finite.size > 1 and np.ptp(finite) > 0:
                found.append(Panel(measure.title, measure.label, values))
        return found

    def _of(self, measure: _Measure) -> NDArray[np.bool_]:
        """Recordings of which a measure means something: wear and calibration only of those that were kept."""
        return self.is_ok if measure.column in ("wear_h", "calibration_error_after_mg") else self._read

    @property
    def _read(self) -> NDArray[np.bool_]:
        return np.array([status != "failed" for status in self.status], dtype=bool)

    def worst(self) -> list[tuple[int, str]]:
        """(row, why) of the kept recordings at the bad end of each measure, twenty at most; none where there are few."""
        if self.is_ok.sum() <= 4 * _WORST:
            return []
        found: dict[int, list[str]] = {}
        for measure in _MEASURES:
            values = np.where(self.is_ok, self.values[measure.column], np.nan)
            middle = float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
            badness = {"high": values, "low": -values, "far": np.abs(values)}[measure.bad]
            order = np.argsort(np.where(np.isfinite(badness), -badness, np.inf), kind="stable")[:_WORST]
            for row in order.tolist():
                if np.isfinite(badness[row]) and values[row] != middle:
                    found.setdefault(row, []).append(
                        f"{measure.title} {words.number(values[row], measure.form)}{measure.unit}"
                    )
        return [(row, ", ".join(why)) for row, why in found.items()]

    def losses(self) -> list[dict[str, str]]:
        """What was lost or repaired in all recordings together."""
        rows = []
        for name in self.kinds:
            counts = np.nan_to_num(_numbers(self.table, name))
            if counts.any():
                kind = name.removeprefix("quality_")
                rows.append(
                    {
                        "title": words.kind_title(kind),
                        "count": f"{counts.sum():,.0f}",
                        "recordings": f"{(counts > 0).sum():,}",
                        "effect": words.kind_effect(kind),
                    }
                )
        return sorted(rows, key=lambda row: row["title"])

    def cells(self, row: int, pages: set[str], folder: Path) -> dict[str, str]:
        """A recording as a row of a table."""
        value = {name: float(column[row]) for name, column in self.values.items()}
        return {
            "id": self.id[row],
            "link": f"{folder.name}/{self.id[row]}.html" if self.id[row] in pages else "",
            "status": self.status[row],
            "reason": self.reason[row],
            "device": self.device[row],
            "rate": words.number(value["sample_rate"], ".2f"),
            "recorded": words.number(value["duration_h"], ".1f"),
            "wear": words.number(value["wear_h"], ".1f") if self.is_ok[row] else "\u2013",
            "error": words.number(value["calibration_error_after_mg"], ".1f") if self.is_ok[row] else "\u2013",
        }

    def packed(self, pages: set[str]) -> str:
        """Return what the search needs, column by column, as deflated JSON in base64."""
        order = self.order[:_MOST_ROWS].tolist()
        reasons, devices = _Index(), _Index()
        value = {
            name: self.values[name] for name in ("sample_rate", "duration_h", "wear_h", "calibration_error_after_mg")
        }
        columns = {
            "id": [self.id[row] for row in order],
            "status": [_STATUS.index(self.status[row]) for row in order],
            "reason": [reasons.place(self.reason[row]) for row in order],
            "device": [devices.place(self.device[row]) for row in order],
            "rate": _rounded(value["sample_rate"], order, 2),
            "recorded": _rounded(value["duration_h"], order, 1),
            "wear": _rounded(np.where(self.is_ok, value["wear_h"], np.nan), order, 1),
            "error": _rounded(np.where(self.is_ok, value["calibration_error_after_mg"], np.nan), order, 1),
            "page": [index for index, row in enumerate(order) if self.id[row] in pages],
            "reasons": reasons.texts,
            "devices": devices.texts,
        }
        text = json.dumps(columns, separators=(",", ":"), ensure_ascii=False)
        return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")


class _Index:
    """Texts that repeat, each kept once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)


def _column(table: pa.Table, name: str, missing: Any) -> list[Any]:
    return table[name].to_pylist() if name in table.column_names else [missing] * len(table)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column as float64, NaN where it has no value or does not exist."""
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(table[name].cast("float64").fill_null(np.nan).to_numpy(), dtype=np.float64)


def _rounded(values: NDArray[np.float64], order: Sequence[int], digits: int) -> list[float | None]:
    return [round(value, digits) if np.isfinite(value) else None for value in values[list(order)].tolist()]
