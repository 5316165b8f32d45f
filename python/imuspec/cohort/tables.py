"""A cohort's parts as Arrow tables: recordings, outcomes, segments, nonwear, quality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

__all__ = ["TABLES", "inputs_table", "schemas_of_parts", "tables_from_parts"]

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
        "zarr_sha256": pa.string(),
        "metadata": pa.string(),
    },
    "outcomes": {
        "id": pa.string(),
        "source": pa.string(),
        "source_bytes": pa.int64(),
        "source_sha256": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "duplicate_of": pa.string(),
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


def inputs_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return the table ``inputs``: source, id (null if not read), state (given, passed over, not given), reason."""
    schema = pa.schema([(name, pa.string()) for name in ("source", "id", "state", "reason")])
    return pa.Table.from_pylist(list(rows), schema)


def tables_from_parts(
    parts: Sequence[Mapping[str, Any]], schemas: Mapping[str, pa.Schema] | None = None
) -> dict[str, pa.Table]:
    """Return the five tables of parts that are sorted by id; the same parts give the same tables.

    Parameters
    ----------
    parts : sequence of mapping of str to object
        All parts, or a batch of them.
    schemas : mapping of str to pyarrow.Schema, optional
        `schemas_of_parts` of all parts; the default is that of `parts`.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for part in parts:
        outcome = part["outcome"]
        rows["outcomes"].append(outcome)
        rows["recordings"].append({**outcome, **part["recording"]})
        for name in ("segments", "nonwear", "quality"):
            rows[name] += [{"id": outcome["id"], **row} for row in part[name]]
    selected = schemas_of_parts(parts) if schemas is None else schemas
    return {
        name: pa.table(
            {field.name: _column(rows[name], field.name, field.type) for field in selected[name]}, selected[name]
        )
        for name in TABLES
    }


def schemas_of_parts(parts: Iterable[Mapping[str, Any]]) -> dict[str, pa.Schema]:
    """Return the tables' schemas, with a column for each figure and count of any recording, of a type that fits all."""
    kinds: dict[str, set[type]] = {}
    for part in parts:
        for key, value in part["recording"].items():
            if key not in TABLES["recordings"] and key not in TABLES["outcomes"]:
                kinds.setdefault(key, set()).update(() if value is None else (type(value),))
    fixed = {name: pa.schema(columns) for name, columns in TABLES.items()}
    wide = {**TABLES["recordings"], **{key: _type(kinds[key]) for key in sorted(kinds)}}
    return {**fixed, "recordings": pa.schema(wide)}


def _column(rows: list[dict[str, Any]], key: str, kind: pa.DataType) -> pa.Array:
    values = [row.get(key) for row in rows]
    if key.startswith("quality_"):  # a recording that was read has 0 events of a kind that its part does not list
        values = [
            0 if value is None and row["status"] != "failed" else value for value, row in zip(values, rows, strict=True)
        ]
    if pa.types.is_string(kind):
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, type=kind)


def _type(kinds: set[type]) -> pa.DataType:
    if kinds == {bool}:
        return pa.bool_()
    if kinds and kinds <= {bool, int}:
        return pa.int64()
    return pa.float64() if kinds <= {bool, int, float} else pa.string()
