"""What `imuspec info` shows about a recording: facts for JSON, and tables of these facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table
from rich.text import Text

from imuspec.report.spans import duration
from imuspec.report.words import is_doubtful, kind_meaning, kind_name, size

if TYPE_CHECKING:
    from imuspec.recording.recording import Recording

__all__ = ["recording_facts", "recording_tables"]

# Keys that Axivity's OmGui writes into the header of a file.
_OMGUI = {
    "_c": "study centre",
    "_s": "study code",
    "_i": "study investigator",
    "_x": "exercise type",
    "_so": "study operator",
    "_n": "study notes",
    "_p": "place on the body",
    "_sc": "subject",
    "_se": "subject's sex",
    "_h": "subject's height",
    "_w": "subject's weight",
    "_ha": "subject's handedness",
    "_sn": "subject's notes",
}
_UNIX_SECONDS = ("logging_start", "logging_stop", "last_change")  # Axivity
_NET_TICKS = ("Start Date", "Stop Date", "Last Sample Time", "Download Date", "DateOfBirth")  # ActiGraph
_TICKS_AT_1970 = 621_355_968_000_000_000  # of 100 ns, since the year 1


def recording_facts(recording: Recording, *, identifying: bool = False) -> dict[str, Any]:
    """Return what `imuspec info` shows, ready for JSON; docs/reference/commands.md lists the keys.

    Parameters
    ----------
    recording : Recording
        The recording.
    identifying : bool, default False
        Whether to include header fields that identify a person.
    """
    actipy = recording.info()
    path = Path(recording.path)
    return {
        "path": recording.path,
        "size_bytes": path.stat().st_size if path.is_file() else None,
        "format": recording.format,
        "device": recording.device,
        "device_id": recording.device_id,
        "start_time": _iso(int(recording.time[0])) if len(recording) else None,
        "end_time": _iso(int(recording.time[-1])) if len(recording) else None,
        "n_samples": len(recording),
        "sample_rate_hz": recording.sample_rate,
        "nominal_rate_hz": recording.nominal_rate or None,
        "recorded_s": float(actipy["WearTime(days)"]) * 86_400,
        "span_s": float(actipy["DataSpan(days)"]) * 86_400,
        "n_runs": len(recording.runs),
        "n_read_errors": recording.n_read_errors,
        "covers_24h": bool(actipy["Covers24hOK"]),
        "still_norm_g": recording.still_norm,
        "damaged_share": recording.damaged_share,
        "worst_stamp_residual_ms": recording.worst_stamp_residual_ms,
        "has_gyroscope": recording.gyroscope is not None,
        "annotation_labels": list(recording.annotation_labels),
        "metadata": _metadata(recording.metadata),
        **({"identifying": _metadata(recording.identifying)} if identifying else {}),
        "events": {
            kind: {
                "n": count,
                "is_doubtful": is_doubtful(kind),
                "meaning": kind_meaning(kind),
                "places": [
                    {
                        "time": None if event.time is None else _iso(event.time),
                        "byte": event.offset,
                        "block": event.block,
                        "n": event.count,
                        "value": event.value,
                    }
                    for event in recording.quality.events(kind)
                ],
            }
            for kind, count in recording.quality.counts.items()
        },
    }


def recording_tables(facts: dict[str, Any]) -> Iterator[Table]:
    """Yield the facts as tables: what to check first, the recording, and what was lost or repaired."""
    events = facts["events"]
    first = Table("check first", "meaning")
    for kind, event in events.items():
        if event["is_doubtful"]:
            first.add_row(kind_name(kind), event["meaning"])
    if first.row_count:
        yield first
    table = Table(title=Text(Path(facts["path"]).name), show_header=False, title_justify="left")
    metadata = {**facts["metadata"], **facts.get("identifying", {})}
    rows = [*_described(facts), *((kind_name(key), value) for key, value in metadata.items() if value)]
    for key, value in rows:
        table.add_row(Text(key), Text(value))
    yield table
    if not events:
        yield Table("nothing lost, repaired or assumed", show_header=True)
        return
    losses = Table("lost or repaired", "count", "first time", "byte", "meaning")
    for kind, event in events.items():
        first = event["places"][0] if event["places"] else {}
        time = (first.get("time") or "")[:19].replace("T", " ")
        losses.add_row(kind_name(kind), str(event["n"]), time, f"{first.get('byte', '')}", event["meaning"])
    yield losses


def _described(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and value of the main facts, in words."""
    measured, nominal = facts["sample_rate_hz"], facts["nominal_rate_hz"]
    rate = f"{measured:.3f} Hz measured" if np.isfinite(measured) and measured else "not known"
    yield "device", f"{facts['device'] or 'unknown'} {facts['device_id']} ({facts['format']})"
    for name, key in (("first sample", "start_time"), ("last sample", "end_time")):
        if facts[key]:
            yield name, f"{facts[key][:19].replace('T', ' ')}, the device's local clock"
    yield "samples", f"{facts['n_samples']:,}"
    yield "rate", rate + (f", {nominal:g} Hz nominal" if nominal else "")
    covered = f"{duration(facts['recorded_s'])} of {duration(facts['span_s'])}"
    yield "recorded", f"{covered}, in {facts['n_runs']} stretch{'' if facts['n_runs'] == 1 else 'es'} without a gap"
    if facts["worst_stamp_residual_ms"] > 0:
        yield "worst stamp", f"{facts['worst_stamp_residual_ms']:.1f} ms off the line of its neighbours"
    if facts["has_gyroscope"]:
        yield "gyroscope", "yes"
    if facts["annotation_labels"]:
        yield "annotations", f"{len(facts['annotation_labels'])} labels"
    if facts["size_bytes"] is not None:
        yield "file", size(facts["size_bytes"])


def _iso(ns: int) -> str:
    return str(np.datetime64(ns, "ns"))


def _seconds(ns: int) -> str:
    return _iso(ns)[:19]


def _metadata(metadata: Mapping[str, str]) -> dict[str, str | None]:
    """Return the fields of a header with keys in one style; times in seconds or ticks become ISO times."""
    return {_key(key): _value(key, value) for key, value in metadata.items()}


def _key(key: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _OMGUI.get(key, key).replace("'s", ""))
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _value(key: str, value: str) -> str | None:
    text = str(value)
    if key in _UNIX_SECONDS and text.isdigit():
        return _seconds(int(text) * 10**9)
    if key in _NET_TICKS and text.isdigit():
        since_1970 = int(text) - _TICKS_AT_1970
        return _seconds(since_1970 * 100) if abs(since_1970) < 9 * 10**16 else None  # 0 means that there is no time
    return text or None
