"""The page of a cohort: outcomes and reasons, distributions, the recordings to check first, and a search.

The page is written from the columns of the cohort's tables, so that 100,000 recordings take seconds. It has at most
`_MOST_ROWS` recordings, so that its size is bounded.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.preparation.reasons import alike
from imuspec.report import words
from imuspec.report.distributions import Panel, distribution_figure
from imuspec.report.recording import preparation_page
from imuspec.report.rendering import command, drawn, render
from imuspec.storage import is_remote, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

    from imuspec.cohort.cohort import Cohort

__all__ = ["cohort_page"]

_MOST_ROWS = 100_000  # recordings that can be searched
_STATIC_ROWS = 100  # recordings that are shown without the script
_MOST_REASONS = 40
_WORST = 5  # recordings per measure
_STATUS = ("failed", "excluded", "ok")


class _Measure(NamedTuple):
    """A column by which recordings are compared, its bad end, and the format of its values."""

    column: str
    title: str
    label: str
    bad: Literal["high", "low", "far", ""]
    form: str
    unit: str


_MEASURES = (
    _Measure("calibration_error_after_mg", "calibration error", "mean distance from 1 g (mg)", "high", ".1f", " mg"),
    _Measure("wear_h", "selected wear", "hours of wear", "low", ".1f", " h"),
    _Measure("rate_off", "sampling rate", "difference from the nominal rate (%)", "far", "+.2f", " %"),
    _Measure("lost", "lost or repaired", "blocks, rows or gaps lost or repaired", "high", ",.0f", ""),
)


def cohort_page(
    cohort: Cohort, path: str | os.PathLike[str], *, recordings: Literal["none", "worst", "all"] = "none"
) -> Path:
    """Write one HTML page about a cohort: the outcome and reason of each file, and the distributions of the recordings.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    path : path-like
        File to write; it is complete or absent.
    recordings : {"none", "worst", "all"}, default "none"
        The recordings that also get a page, in the folder ``NAME-recordings`` beside the page. The page links to every page
        in this folder. An existing page is not written again.

    Returns
    -------
    Path
        The page: one file that loads no other.

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
    source = cohort.path if is_remote(cohort.path) else Path(cohort.path).resolve()
    recipe = cohort.recipe
    fields: dict[str, Any] = {
        "title": source.name,
        "path": str(source),
        "words": f"{rows.count['ok']:,} of {len(rows):,} recording{'' if len(rows) == 1 else 's'} "
        f"{'is' if rows.count['ok'] == 1 else 'are'} ok with the recipe {recipe.name}.",
        "header": rows.facts(),
        "outcomes": _bars(rows.outcomes()),
        "distributions": drawn(lambda narrow: distribution_figure(rows.panels(), narrow=narrow), "distributions"),
        "losses": rows.losses(),
        "worst": [{**rows.cells(row, pages, folder), "reason": reason} for row, reason in worst],
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
    """Write the pages of recordings that do not have one yet."""
    for identity in ids:
        page = folder / f"{identity}.html"
        if not page.exists():
            folder.mkdir(parents=True, exist_ok=True)
            preparation_page(cohort.prepared(identity), page)


def _bars(outcomes: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Return the rows of the outcomes; the last one counts all reasons beyond `_MOST_REASONS`."""
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
    """The columns of a cohort's tables that the page needs, one row per recording."""

    def __init__(self, cohort: Cohort) -> None:
        table, outcomes = cohort.recordings, cohort.outcomes
        self.table = table
        self.id: list[str] = table["id"].to_pylist()
        self.status: list[str] = table["status"].to_pylist()
        reasons = dict(zip(outcomes["id"].to_pylist(), outcomes["reason"].to_pylist(), strict=True))
        self.reason = [reasons.get(identity) or "" for identity in self.id]
        self.device: list[str] = [text or "" for text in table["device"].to_pylist()]
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
            ("ok", f"{self.count['ok']:,}"),
            ("excluded", f"{self.count['excluded']:,}"),
            ("failed", f"{self.count['failed']:,}"),
            ("recorded", f"{np.nansum(recorded):,.1f} h"),
            ("selected wear", f"{np.nansum(wear):,.1f} h"),
        ]
        if np.isfinite(wear).sum() > 1:
            facts.append(("median selected wear", f"{np.nanmedian(wear):,.1f} h"))
        return [*facts, ("stored", words.size(float(np.nansum(_numbers(self.table, "stored_bytes")))))]

    def outcomes(self) -> list[tuple[str, str, int]]:
        """Return (status, reason, count); reasons that differ only in their numbers are counted together."""
        return [group[:3] for group in alike(zip(self.status, self.reason, self.id, strict=True))]

    def panels(self) -> list[Panel]:
        """Return the distributions of the measures that are known and differ between recordings."""
        panels = []
        for measure in _MEASURES:
            values = [("", "data", self.values[measure.column][self._compared(measure)])]
            if measure.column == "calibration_error_after_mg":
                before = ("before", "second", self.values["calibration_error_before_mg"][self.is_ok])
                values = [before, ("after", "data", values[0][2])]
            finite = values[-1][2][np.isfinite(values[-1][2])]
            if finite.size > 1 and np.ptp(finite) > 0:
                panels.append(Panel(measure.title, measure.label, values))
        return panels

    def _compared(self, measure: _Measure) -> NDArray[np.bool_]:
        """Return for each recording whether a measure has a meaning: wear and calibration only of those that are ok."""
        if measure.column in ("wear_h", "calibration_error_after_mg"):
            return self.is_ok
        return np.array([status != "failed" for status in self.status], dtype=bool)

    def worst(self) -> list[tuple[int, str]]:
        """Return (row, reason) of ok recordings at the bad end of each measure, at most twenty; none of a small cohort."""
        if self.is_ok.sum() <= 4 * _WORST:
            return []
        reasons: dict[int, list[str]] = {}
        for measure in _MEASURES:
            values = np.where(self.is_ok, self.values[measure.column], np.nan)
            middle = float(np.nanmedian(values)) if np.isfinite(values).any() else np.nan
            badness = {"high": values, "low": -values, "far": np.abs(values)}[measure.bad]
            order = np.argsort(np.where(np.isfinite(badness), -badness, np.inf), kind="stable")[:_WORST]
            for row in order.tolist():
                if np.isfinite(badness[row]) and values[row] != middle:
                    reasons.setdefault(row, []).append(
                        f"{measure.title} {words.number(values[row], measure.form)}{measure.unit}"
                    )
        return [(row, ", ".join(parts)) for row, parts in reasons.items()]

    def losses(self) -> list[dict[str, str]]:
        """Return what was lost or repaired in all recordings together."""
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
        """Return a recording as a row of a table."""
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
            "reason": [reasons.index(self.reason[row]) for row in order],
            "device": [devices.index(self.device[row]) for row in order],
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
    """Texts that repeat; each is stored once."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}

    def index(self, text: str) -> int:
        return self._indices.setdefault(text, len(self._indices))

    @property
    def texts(self) -> list[str]:
        return list(self._indices)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column as float64; NaN for null, or if the column does not exist."""
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    return np.asarray(table[name].cast("float64").fill_null(np.nan).to_numpy(), dtype=np.float64)


def _rounded(values: NDArray[np.float64], order: Sequence[int], digits: int) -> list[float | None]:
    return [round(value, digits) if np.isfinite(value) else None for value in values[list(order)].tolist()]
