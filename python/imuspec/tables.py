"""A cohort's parts as Arrow tables: recordings, outcomes, segments, nonwear, quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

__all__ = ["TABLES", "tables_from_parts"]

_STRETCH = {
    "id": pa.string(),
    "start_s": pa.float64(),
    "hours": pa.float64(),
    "start_time": pa.timestamp("ns"),
    "start_index": pa.int64(),
    "stop_index": pa.int64(),
}

# Columns that every table has, in this order; a recording's figures and quality counts follow by name.
TABLES: dict[str, dict[str, pa.DataType]] = {
    "recordings": {
        "id": pa.string(),
        "status": pa.string(),
        "source": pa.string(),
        "source_bytes": pa.int64(),
        "format": pa.string(),
        "device": pa.string(),
        "device_id": pa.string(),
        "nominal_rate": pa.float64(),
        "sample_rate": pa.float64(),
        "start_time": pa.timestamp("ns"),
        "rate_hz": pa.float64(),
        "n_samples": pa.int64(),
        "duration_h": pa.float64(),
        "wear_h": pa.float64(),
        "nonwear_h": pa.float64(),
        "longest_wear_h": pa.float64(),
        "calibration_ok": pa.bool_(),
        "calibration_reason": pa.string(),
        "calibration_error_before_mg": pa.float64(),
        "calibration_error_after_mg": pa.float64(),
        "calibration_n_windows": pa.int64(),
        "calibration_n_iterations": pa.int64(),
        **{
            f"calibration_{name}_{axis}": pa.float64()
            for name in ("offset", "gain", "temperature_slope")
            for axis in "xyz"
        },
        "n_clipped": pa.int64(),
        "stored_bytes": pa.int64(),
        "sha256": pa.string(),
        "metadata": pa.string(),
    },
    "outcomes": {
        "id": pa.string(),
        "source": pa.string(),
        "source_bytes": pa.int64(),
        "status": pa.string(),
        "reason": pa.string(),
    },
    "segments": _STRETCH,
    "nonwear": _STRETCH,
    "quality": {
        "id": pa.string(),
        "kind": pa.string(),
        "offset": pa.int64(),
        "block": pa.int64(),
        "time": pa.timestamp("ns"),
        "count": pa.int64(),
        "value": pa.float64(),
    },
}


def tables_from_parts(parts: Sequence[dict[str, Any]]) -> dict[str, pa.Table]:
    """Return the five tables of parts that are sorted by id; the same parts give the same tables."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for part in parts:
        outcome = part["outcome"]
        rows["outcomes"].append(outcome)
        rows["recordings"].append({**outcome, **part["recording"]})
        for name in ("segments", "nonwear", "quality"):
            rows[name] += [{"id": outcome["id"], **row} for row in part[name]]
    return {name: _table(rows[name], columns, wide=name == "recordings") for name, columns in TABLES.items()}


def _table(rows: list[dict[str, Any]], columns: dict[str, pa.DataType], *, wide: bool) -> pa.Table:
    wanted = dict(columns)
    if wide:
        others = sorted({key for row in rows for key in row} - set(columns) - {"reason"})
        wanted.update({key: _type([row.get(key) for row in rows]) for key in others})
    return pa.table({key: _column(rows, key, kind) for key, kind in wanted.items()}, schema=pa.schema(wanted))


def _column(rows: list[dict[str, Any]], key: str, kind: pa.DataType) -> pa.Array:
    values = [row.get(key) for row in rows]
    if key.startswith("quality_"):  # a recording that was read and lacks the kind has none of it
        values = [
            0 if value is None and row["status"] != "failed" else value for value, row in zip(values, rows, strict=True)
        ]
    if pa.types.is_string(kind):
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, type=kind)


def _type(values: list[Any]) -> pa.DataType:
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool) for value in present):
        return pa.bool_()
    if present and all(isinstance(value, int) for value in present):
        return pa.int64()
    if all(isinstance(value, (int, float)) for value in present):
        return pa.float64()
    return pa.string()
