"""A recording: what a device measured. Samples in runs without gaps, each with its time."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from imuspec import _core
from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Blocks", "Event", "Quality", "Recording", "read"]

Timestamps = Literal["device", "actipy"]
DateOrder = Literal["auto", "day_first", "month_first"]
Unit = Literal["auto", "g", "mg", "m/s2"]


class Event(NamedTuple):
    """One thing that was wrong with a recording, and where.

    ``time`` is ns since 1970 of the device's local clock or None, ``count`` how many blocks or samples, ``value`` a
    size (seconds for ``gap`` and ``clock_jump``) or NaN.
    """

    kind: str
    offset: int
    block: int
    time: int | None
    count: int  # type: ignore[assignment]  # the field's word, though tuples have a method of that name
    value: float


@dataclass(frozen=True)
class Quality:
    """Counts and a table of every block skipped or repeated, out of order or corrupt, gap, restart and clock jump."""

    counts: Mapping[str, int] = field(default_factory=dict)
    table: tuple[Event, ...] = ()

    def __iter__(self) -> Iterator[Event]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def of(self, kind: str) -> tuple[Event, ...]:
        """The events of one kind."""
        return tuple(event for event in self.table if event.kind == kind)

    def to_pandas(self) -> pd.DataFrame:
        """One row an event; needs pandas."""
        require("to_pandas", "pandas")
        import pandas as pd

        frame = pd.DataFrame(self.table, columns=list(Event._fields))
        frame["time"] = pd.to_datetime(frame["time"].astype("Int64"), unit="ns")
        return frame

    def _repr_html_(self) -> str:
        if not self.counts:
            return "<p>nothing lost, no gap</p>"
        rows = "".join(f"<tr><td>{html.escape(kind)}</td><td>{n}</td></tr>" for kind, n in self.counts.items())
        return f"<table><tr><th>event</th><th>count</th></tr>{rows}</table>"


class Blocks(NamedTuple):
    """The blocks (pages, packets) that the samples came from: columns of one length.

    ``first`` is the recording's first sample of the block, ``offset`` its byte offset, ``index`` its position in the
    file with skipped ones counted; temperature in degrees Celsius, light in lux, battery in volts, NaN where there is
    none.
    """

    first: NDArray[np.uint64]
    offset: NDArray[np.uint64]
    index: NDArray[np.uint64]  # type: ignore[assignment]  # the field's word, though tuples have a method of it
    temperature: NDArray[np.float32]
    light: NDArray[np.float32]
    battery: NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """What a device measured.

    Attributes
    ----------
    acceleration : float32 [3, n]
        Acceleration in g along the device's x, y, z.
    time : int64 [n]
        ns since 1970 of the device's local clock, read as if it were UTC. Increasing inside a run.
    runs : int64 [k, 2]
        First and one-past-last sample of each stretch without a gap, in file order.
    sample_rate, nominal_rate : float
        Hz, as the time stamps show and as the device was told. The nominal rate is 0 where the file does not say.
    gyroscope : float32 [3, n] or None
        Angular rate in degrees a second; NaN where a block has none.
    annotation : int32 [n] or None
        Index into ``annotation_labels``, -1 where there is none.
    blocks : Blocks
        Where the samples came from, and the slow channels.
    device, device_id, format : str
        What the file says of itself.
    metadata : mapping of str to str
        What the file says of itself.
    identifying : mapping
        The fields of the header that identify a person: names, subject codes, dates of birth, sex, notes. They are apart
        from `metadata`, so that no output holds them unless it is asked to.
    quality : Quality
        What was lost, and where.
    timestamps : {"device", "actipy"}
        The rule that the times follow.
    worst_stamp_residual_ms : float
        Largest distance of a device stamp from the line of its neighbours.
    still_norm : float
        Median norm of the still seconds in g: about 1 where the values are acceleration in g. Where no second is still,
        the median length of the mean vectors of all seconds; NaN without a whole second.
    damaged_share : float
        Share of the file, 0 to 1, that could not be read; 1 where its end is cut and nothing says how much is missing.
    """

    acceleration: NDArray[np.float32]
    time: NDArray[np.int64]
    runs: NDArray[np.int64]
    sample_rate: float
    nominal_rate: float
    path: str = ""
    format: str = ""
    device: str = ""
    device_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    identifying: Mapping[str, str] = field(default_factory=dict)
    quality: Quality = field(default_factory=Quality)
    gyroscope: NDArray[np.float32] | None = None
    annotation: NDArray[np.int32] | None = None
    annotation_labels: tuple[str, ...] = ()
    blocks: Blocks | None = None
    timestamps: Timestamps = "device"
    worst_stamp_residual_ms: float = math.nan
    still_norm: float = math.nan
    damaged_share: float = 0.0
    sample_temperature: NDArray[np.float32] | None = None
    sample_light: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return int(self.time.shape[0])

    @property
    def duration_s(self) -> float:
        """Seconds from the earliest to the latest sample."""
        return float(self.time.max() - self.time.min()) / 1e9 if len(self) else 0.0

    @property
    def temperature(self) -> NDArray[np.float32] | None:
        """Degrees Celsius of each sample [n], or None.

        Axivity: raw * 75 / 256 - 50, the documented formula (actipy's differs by a factor of 1.953 and an offset).
        """
        return self._slow("temperature", self.sample_temperature)

    @property
    def light(self) -> NDArray[np.float32] | None:
        """Lux of each sample [n], or None. Axivity: 10^((raw + 512) * 6 / 1024), the documented formula."""
        return self._slow("light", self.sample_light)

    def _slow(self, name: str, each: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if each is not None or self.blocks is None:
            return each
        values: NDArray[np.float32] = getattr(self.blocks, name)
        if values.size == 0 or np.isnan(values).all():
            return None
        return np.repeat(values, np.diff(np.append(self.blocks.first.astype(np.int64), len(self))))

    def __getitem__(self, key: slice) -> Recording:
        """Samples of a stretch of time: ``recording["2019-02-26 10:55":"2019-02-26 11:00"]``.

        Start and stop are anything that `numpy.datetime64` reads, integers are ns since 1970; the stop is left out.
        """
        if not isinstance(key, slice) or key.step is not None:
            raise TypeError(f"recording[...]: expected a slice of two times, got {key!r}")
        start = np.iinfo(np.int64).min if key.start is None else _nanoseconds(key.start)
        stop = np.iinfo(np.int64).max if key.stop is None else _nanoseconds(key.stop)
        keep: list[tuple[int, int]] = []
        for first, end in self.runs.tolist():
            inside = first + np.searchsorted(self.time[first:end], [start, stop])
            if inside[1] > inside[0]:
                keep.append((int(inside[0]), int(inside[1])))
        return self._take(keep)

    def _take(self, keep: list[tuple[int, int]]) -> Recording:
        index = np.concatenate([np.arange(a, b) for a, b in keep]) if keep else np.empty(0, np.int64)
        lengths = np.array([b - a for a, b in keep], np.int64)
        ends = np.cumsum(lengths)

        def of(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[..., index]

        return replace(
            self,
            acceleration=self.acceleration[:, index],
            time=self.time[index],
            runs=np.stack([ends - lengths, ends], axis=-1).astype(np.int64).reshape(-1, 2),
            gyroscope=of(self.gyroscope),
            annotation=of(self.annotation),
            blocks=None,
            sample_temperature=of(self.temperature),
            sample_light=of(self.light),
        )

    def info(self) -> dict[str, str | int | float]:
        """The figures of actipy's info dictionary that a reader gives, by its names and definitions.

        ``WearTime(days)`` sums the steps shorter than 1 s, ``NumInterrupts`` counts those longer, ``Covers24hOK`` is 1
        when every hour of the clock is present.
        """
        steps = np.diff(self.time)
        short = steps < 1_000_000_000
        hours = np.unique(self.time // 3_600_000_000_000 % 24)
        path = Path(self.path)
        return {
            "Filename": self.path,
            "Filesize(MB)": round(path.stat().st_size / 2**20, 1) if path.is_file() else 0.0,
            "Device": self.device,
            "DeviceID": self.device_id,
            "ReadErrors": self.n_read_errors,
            "SampleRate": self.nominal_rate,
            "StartTime": _text(self.time[0]) if len(self) else "",
            "EndTime": _text(self.time[-1]) if len(self) else "",
            "NumTicks": len(self),
            "WearTime(days)": float(steps[short].sum()) / 86_400e9,
            "DataSpan(days)": float(self.time[-1] - self.time[0]) / 86_400e9 if len(self) else 0.0,
            "NumInterrupts": int((steps > 1_000_000_000).sum()),
            "Covers24hOK": int(hours.size == 24),
        }

    @property
    def n_read_errors(self) -> int:
        """Read errors as actipy counts them: blocks skipped or cut, and seconds of rows that run backwards."""
        named = (
            "bad_checksum",
            "bad_date",
            "bad_rate",
            "bad_axes",
            "bad_count",
            "partial_block",
            "bad_page",
        )
        backwards = self.quality.counts.get("steps_back", 0)
        rate = self.nominal_rate or self.sample_rate
        return sum(self.quality.counts.get(kind, 0) for kind in named) + math.ceil(backwards / rate if rate else 0)

    def to_pandas(self) -> pd.DataFrame:
        """One row a sample: x, y, z in g and whatever else the file has, indexed by time; needs pandas."""
        require("to_pandas", "pandas")
        import pandas as pd

        columns: dict[str, Any] = dict(zip("xyz", self.acceleration, strict=True))
        if self.gyroscope is not None:
            columns |= dict(zip(("gyro_x", "gyro_y", "gyro_z"), self.gyroscope, strict=True))
        for name, values in (("temperature", self.temperature), ("light", self.light)):
            if values is not None:
                columns[name] = values
        if self.annotation is not None:
            columns["annotation"] = pd.Categorical.from_codes(
                self.annotation.tolist(), categories=pd.Index(self.annotation_labels)
            )
        return pd.DataFrame(columns, index=pd.DatetimeIndex(self.time.view("datetime64[ns]"), name="time"))

    def __repr__(self) -> str:
        span = f"{_text(self.time[0])} + {self.duration_s / 3600:.2f} h" if len(self) else "empty"
        return (
            f"Recording({self.device or self.format} {self.device_id}, {span}, {len(self):,} samples at "
            f"{self.sample_rate:.2f} Hz in {len(self.runs)} runs)"
        )

    def _repr_html_(self) -> str:
        facts = {
            "device": f"{self.device} {self.device_id}",
            "from": _text(self.time[0]) if len(self) else "",
            "to": _text(self.time[-1]) if len(self) else "",
            "samples": f"{len(self):,}",
            "rate": f"{self.sample_rate:.3f} Hz (nominal {self.nominal_rate:g})",
            "runs": str(len(self.runs)),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items())
        return f"<table>{rows}</table>{self.quality._repr_html_()}"


def read(
    path: str | os.PathLike[str],
    timestamps: Timestamps = "device",
    *,
    date_order: DateOrder = "auto",
    unit: Unit = "auto",
) -> Recording:
    """Read a device file of any supported format. Content decides, not the name.

    Axivity CWA, GENEActiv .bin, ActiGraph .gt3x, Matrix .bin, CSV of several makers, NHANES participants (tar.bz2 or
    folder), Parquet and NPZ; each also inside .gz or .zip, streamed.

    Parameters
    ----------
    path : path-like
        The file (for NHANES also the folder).
    timestamps : {"device", "actipy"}, default "device"
        "device": each block's own stamp with its fraction and offset, piecewise linear between stamps inside a run, a
        new run at every sequence break, restart and clock jump; a lone stamp one whole sample off is put back on its
        neighbours' line. "actipy": the times and rows of actipy 3.8.3, cut to whole milliseconds; rows not later than
        all before them are left out and counted. Values are the same bits in both.
    date_order : {"auto", "day_first", "month_first"}, default "auto"
        The order of dates that the file leaves open (tables, GENEActiv). "auto": month first in tables, day first in
        GENEActiv files, with the event ``assumed_date_order``. Where a table tells another order, the table's is followed,
        with the event ``date_order_disagrees``.
    unit : {"auto", "g", "mg", "m/s2"}, default "auto"
        Unit of the acceleration in a table (CSV, Parquet, NPZ), whatever its header names. "auto": as the header names it,
        else by the norm. Values that do not fit it are the event ``unit_disagrees``. Device files state their own.

    Returns
    -------
    Recording
        All that could be read; ``quality`` lists what could not.

    Raises
    ------
    RecordingError
        If the bytes are no recording, or nothing in them can be read: names path, byte offset and reason.
    ValueError
        If `timestamps`, `date_order` or `unit` is another word.
    OSError
        If the file system refuses.

    Examples
    --------
    >>> import imuspec
    >>> recording = imuspec.read("sample.cwa")  # doctest: +SKIP
    >>> recording.acceleration.shape, recording.sample_rate  # doctest: +SKIP
    """
    for argument, word, kind in (
        ("timestamps", timestamps, Timestamps),
        ("date_order", date_order, DateOrder),
        ("unit", unit, Unit),
    ):
        if word not in get_args(kind):
            *others, last = map(repr, get_args(kind))
            raise ValueError(f"{argument}: expected {', '.join(others)} or {last}, got {word!r}")
    from imuspec.recording.columns import read_columns

    name = os.fspath(path)
    columns = read_columns(name, timestamps, date_order=date_order, unit=unit)
    raw = _core.read(name, timestamps, date_order, unit) if columns is None else columns
    return _recording(name, timestamps, raw)


def _recording(path: str, timestamps: Timestamps, raw: dict[str, Any]) -> Recording:
    n, capacity, header = raw["n"], raw["capacity"], raw["header"]

    def planar(name: str) -> NDArray[np.float32] | None:
        return raw[name].reshape(3, capacity)[:, :n] if name in raw else None

    time = raw["time"][:n]
    starts = raw["run_starts"].astype(np.int64)
    runs = np.stack([starts, np.append(starts[1:], n)], axis=-1).reshape(-1, 2) if n else np.empty((0, 2), np.int64)
    acceleration = planar("xyz")
    assert acceleration is not None
    rate = raw["sample_rate"]
    return Recording(
        acceleration=acceleration,
        time=time,
        runs=runs,
        sample_rate=rate if math.isfinite(rate) else _measured_rate(time, runs, header["nominal_rate"]),
        nominal_rate=header["nominal_rate"],
        path=path,
        format=header["format"],
        device=header["device"],
        device_id=header["device_id"],
        metadata=header["metadata"],
        identifying=header["identifying"],
        quality=Quality(raw["counts"], tuple(Event(*row) for row in raw["events"])),
        gyroscope=planar("gyro"),
        annotation=raw.get("annotation"),
        annotation_labels=tuple(header["labels"]),
        blocks=Blocks(**raw["blocks"]),
        timestamps=timestamps,
        worst_stamp_residual_ms=raw["worst_stamp_residual_ms"],
        still_norm=raw["still_norm"],
        damaged_share=raw["damaged_share"],
        sample_temperature=raw.get("temperature"),
        sample_light=raw.get("light"),
    )


def _measured_rate(time: NDArray[np.int64], runs: NDArray[np.int64], nominal: float) -> float:
    """Samples a second over all runs, where the stamps did not tell."""
    first, last = time[runs[:, 0]], time[runs[:, 1] - 1]
    seconds = float((last - first).sum()) / 1e9
    return float((runs[:, 1] - runs[:, 0] - 1).sum()) / seconds if seconds > 0 else nominal


def _nanoseconds(when: object) -> int:
    if isinstance(when, int | np.integer):
        return int(when)
    try:
        return int(np.datetime64(when, "ns").astype(np.int64))  # type: ignore[call-overload]  # refused below
    except (ValueError, TypeError) as error:
        raise TypeError(f"recording[...]: expected a time, got {when!r}") from error


def _text(time: np.int64) -> str:
    return str(np.datetime64(int(time), "ns").astype("datetime64[s]")).replace("T", " ")
