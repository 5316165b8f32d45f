"""A recording: samples in runs without gaps, each with its time."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from imuspec.errors import require
from imuspec.recording.quality import Quality

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Blocks", "Recording", "Timestamps"]

Timestamps = Literal["device", "actipy"]


class Blocks(NamedTuple):
    """The blocks (pages, packets) of a file, as columns of one length.

    Attributes
    ----------
    first : uint64 array
        Index of the block's first sample in the recording.
    offset : uint64 array
        Byte offset in the file.
    index : uint64 array
        Index in the file, with skipped blocks counted.
    temperature, light, battery : float32 array
        Degrees Celsius, lux and volts; NaN if missing.
    """

    first: NDArray[np.uint64]
    offset: NDArray[np.uint64]
    index: NDArray[np.uint64]  # type: ignore[assignment]  # the field's word, though tuples have a method of it
    temperature: NDArray[np.float32]
    light: NDArray[np.float32]
    battery: NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False)
class Recording:
    """The samples of a device, their times, and the quality of the file.

    Attributes
    ----------
    acceleration : float32 [3, n]
        Acceleration in g along the device's x, y, z.
    time : int64 [n]
        ns since 1970 of the device's local clock, read as if it were UTC. Increasing inside a run.
    runs : int64 [k, 2]
        First and one-past-last sample of each stretch without a gap, in file order.
    sample_rate, nominal_rate : float
        Measured rate by the time stamps, and configured rate, Hz. The nominal rate is 0 if the file does not state it.
    path, format, device, device_id : str
        The file, its format, the model and the serial number of the device.
    metadata : mapping of str to str
        Other fields of the header.
    identifying : mapping of str to str
        Fields of the header that identify a person: names, subject codes, dates of birth, sex, notes. Outputs leave them
        out by default.
    quality : Quality
        Everything that was lost, repaired or assumed.
    gyroscope : float32 [3, n] or None
        Angular rate in degrees per second; NaN in blocks without it.
    annotation : int32 [n] or None
        Index into ``annotation_labels``; -1 without an annotation.
    annotation_labels : tuple of str
        The labels.
    blocks : Blocks or None
        Position and slow channels of each block.
    timestamps : {"device", "actipy"}
        The rule of the times.
    worst_stamp_residual_ms : float
        Largest distance of a device stamp from the line through its neighbours, ms.
    still_norm : float
        Median norm of the still seconds in g; about 1 if the values are acceleration in g. If no second is still, the
        median norm of the mean vectors of all seconds; NaN without a whole second.
    damaged_share : float
        Share of the file that could not be read, 0 to 1; 1 if the end is cut and the missing length is not known.
    sample_temperature, sample_light : float32 [n] or None
        Slow channels of formats that store them with each sample.
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
        """Time from the earliest to the latest sample, s."""
        return (int(self.time.max()) - int(self.time.min())) / 1e9 if len(self) else 0.0  # 64 bits may not hold it

    @property
    def temperature(self) -> NDArray[np.float32] | None:
        """Temperature of each sample [n] in degrees Celsius, or None.

        Axivity: raw * 75 / 256 - 50, the documented formula (actipy's differs by a factor of 1.953 and an offset).
        """
        return self._slow("temperature", self.sample_temperature)

    @property
    def light(self) -> NDArray[np.float32] | None:
        """Light of each sample [n] in lux, or None. Axivity: 10^((raw + 512) * 6 / 1024), the documented formula."""
        return self._slow("light", self.sample_light)

    def _slow(self, name: str, each: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        if each is not None or self.blocks is None:
            return each
        values: NDArray[np.float32] = getattr(self.blocks, name)
        if values.size == 0 or np.isnan(values).all():
            return None
        return np.repeat(values, np.diff(np.append(self.blocks.first.astype(np.int64), len(self))))

    def __getitem__(self, key: slice) -> Recording:
        """Return a stretch of time: ``recording["2019-02-26 10:55":"2019-02-26 11:00"]``.

        Start and stop are anything that `numpy.datetime64` reads, or ns since 1970 as integers. The stop is excluded.
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

        def selected(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[..., index]

        return replace(
            self,
            acceleration=self.acceleration[:, index],
            time=self.time[index],
            runs=np.stack([ends - lengths, ends], axis=-1).astype(np.int64).reshape(-1, 2),
            gyroscope=selected(self.gyroscope),
            annotation=selected(self.annotation),
            blocks=None,
            sample_temperature=selected(self.temperature),
            sample_light=selected(self.light),
        )

    def info(self) -> dict[str, str | int | float]:
        """Return figures of actipy's info dictionary, with its names and definitions.

        ``WearTime(days)`` is the sum of the steps shorter than 1 s. ``NumInterrupts`` counts the longer steps.
        ``Covers24hOK`` is 1 if every hour of the day is present.
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
            "DataSpan(days)": (int(self.time[-1]) - int(self.time[0])) / 86_400e9 if len(self) else 0.0,
            "NumInterrupts": int((steps > 1_000_000_000).sum()),
            "Covers24hOK": int(hours.size == 24),
        }

    @property
    def n_read_errors(self) -> int:
        """Read errors by actipy's definition: skipped or cut blocks, and seconds of rows that run backwards."""
        kinds = (
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
        return sum(self.quality.counts.get(kind, 0) for kind in kinds) + math.ceil(backwards / rate if rate else 0)

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row per sample, indexed by time: x, y, z in g, and the file's other channels.

        It needs pandas.
        """
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
            f"{self.sample_rate:.2f} Hz in {len(self.runs)} run{'' if len(self.runs) == 1 else 's'})"
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


def _nanoseconds(moment: object) -> int:
    if isinstance(moment, int | np.integer):
        return int(moment)
    try:
        return int(np.datetime64(moment, "ns").astype(np.int64))  # type: ignore[call-overload]  # refused below
    except (ValueError, TypeError) as error:
        raise TypeError(f"recording[...]: expected a time, got {moment!r}") from error


def _text(time: np.int64) -> str:
    return str(np.datetime64(int(time), "ns").astype("datetime64[s]")).replace("T", " ")
