"""A prepared recording as a cohort's part (JSON), and back.

A part has everything that `Prepared` has except the samples, which are an array of their own, the means of the still windows,
and the labels of the header.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.cohort.parts import finite, well_formed
from imuspec.preparation import Prepared
from imuspec.recording.quality import Event, Quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imuspec.cohort.arrays import StoredArray
    from imuspec.recipe import Recipe
    from imuspec.recording.inputs import InputFile

__all__ = ["part_of", "prepared_of"]

# The fields of `Prepared.header`, and what the store adds to `Prepared.figures`, in the row of a recording.
_HEADER = (
    *("format", "device", "device_id", "nominal_rate", "sample_rate"),
    *("worst_stamp_residual_ms", "still_norm", "damaged_share"),
)
_OF_THE_STORE = ("start_time", "rate_hz", "metadata", "n_clipped", "stored_bytes", "sha256", "zarr_sha256")


def part_of(
    source: InputFile, prepared: Prepared, stored: Mapping[str, Any], outcome: Mapping[str, str | int]
) -> dict[str, Any]:
    """Return a prepared recording as a part.

    Parameters
    ----------
    source : InputFile
        The input file.
    prepared : Prepared
        The recording.
    stored : mapping of str to object
        Size and checksums of the stored array; empty if none was stored.
    outcome : mapping of str to str or int
        Columns of the table ``outcomes`` that differ from what `source` and `prepared` say.
    """
    recording = {
        **{key: value for key, value in prepared.header.items() if key not in ("metadata", "labels")},
        "start_time": prepared.start_time,
        "rate_hz": prepared.rate,
        **prepared.figures,
        **{f"calibration_{key}": value for key, value in prepared.calibration.items()},
        **{f"quality_{kind}": count for kind, count in prepared.quality.counts.items()},
        "metadata": json.dumps(prepared.header.get("metadata") or {}, sort_keys=True),
        **stored,
    }
    return {
        "outcome": {
            "id": source.id,
            "source": source.name,
            "source_bytes": source.n_bytes,
            "source_sha256": "",
            "duplicate_of": None,
            "status": prepared.status,
            "reason": prepared.reason,
            **outcome,
        },
        "recording": {} if prepared.status == "failed" and not prepared.header else finite(recording),
        "segments": prepared.rows(prepared.segments),
        "nonwear": prepared.rows(prepared.nonwear),
        "quality": [finite(event._asdict()) for event in prepared.quality.table],
    }


def prepared_of(part: Mapping[str, Any], recipe: Recipe, array: StoredArray | None) -> Prepared:
    """Return the prepared recording that a part describes.

    Parameters
    ----------
    part : mapping of str to object
        What `part_of` returned.
    recipe : Recipe
        The recipe of the cohort.
    array : StoredArray or None
        The stored acceleration; None for a recording that is excluded or failed.
    """
    with well_formed(f"part {part['outcome']['id']}"):
        outcome = part["outcome"]
        row: dict[str, Any] = {key: math.nan if value is None else value for key, value in part["recording"].items()}
        header = {key: row[key] for key in _HEADER if key in row}
        if "metadata" in row:
            header["metadata"] = json.loads(row["metadata"])
        others = {*_HEADER, *_OF_THE_STORE}
        return Prepared(
            path=outcome["source"],
            id=outcome["id"],
            recipe=recipe,
            status=outcome["status"],
            reason=outcome["reason"],
            acceleration=None if array is None else array.values(0, len(array)),
            rate=row.get("rate_hz", math.nan),
            start_time=part["recording"].get("start_time"),
            shifts=np.empty((0, 2), np.int64) if array is None else array.shifts,
            segments=_pairs(part["segments"]),
            nonwear=_pairs(part["nonwear"]),
            calibration=_without_prefix(row, "calibration_"),
            quality=Quality(
                _without_prefix(row, "quality_"),
                tuple(
                    Event(**{**event, "value": math.nan if event["value"] is None else event["value"]})
                    for event in part["quality"]
                ),
            ),
            header=header,
            figures={
                k: v for k, v in row.items() if k not in others and not k.startswith(("calibration_", "quality_"))
            },
        )


def _without_prefix(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}


def _pairs(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    return np.array([(row["start_index"], row["stop_index"]) for row in rows], np.int64).reshape(-1, 2)
