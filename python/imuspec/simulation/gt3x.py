"""ActiGraph .gt3x: a zip of info.txt with activity.bin (older devices, no times) or log.bin (records of one second)."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.simulation.checking import checked, rate_of
from imuspec.simulation.storing import replacing

__all__ = ["write_gt3x", "write_gt3x_v1"]

_TICKS_TO_1970 = 621_355_968_000_000_000
_NEO_COUNTS_PER_G = 341.0
_COUNTS_PER_G = 256.0
_BATTERY, _EVENT, _LUX, _METADATA, _PARAMETERS, _ACTIVITY, _ACTIVITY2 = 2, 3, 5, 6, 21, 0, 26
_SLEEPS, _WAKES = b"\x08", b"\x09"


def write_gt3x_v1(path: str | Path, acceleration: ArrayLike, time: ArrayLike, *, light: int = 12) -> None:
    """Write a recording of an older device: 12-bit y, x, z in ``activity.bin``, the start and the rate in ``info.txt``.

    Parameters
    ----------
    path : path-like
        The file, ``.gt3x``.
    acceleration : array_like
        [3, n] in g, stored in 1/341 g.
    time : array_like
        int64 [n], ns, evenly spaced. Only the first time, to 100 ns, and the rate in whole Hz are stored.
    light : int, default 12
        Lux, stored in ``lux.bin`` with two bytes per second.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_gt3x_v1(f"{folder}/a.gt3x", np.zeros((3, 60)), np.arange(60) * 33_333_333)
    """
    values, stamps = checked(acceleration, time)
    rate = round(rate_of(stamps))
    info = _info("NEO1C04110003", ("GT3XPlus", "2.5.0"), rate, stamps)
    members = {
        "activity.bin": _nibbles(values, _NEO_COUNTS_PER_G),
        "lux.bin": struct.pack("<H", light) * (values.shape[1] // rate),
        "info.txt": info,
    }
    _archive(path, members)


def write_gt3x(
    path: str | Path,
    acceleration: ArrayLike,
    time: ArrayLike,
    *,
    idle_s: Sequence[tuple[int, int]] = (),
    twelve_bit: bool = False,
    stray_zeros: bool = False,
) -> int:
    """Write a recording of a newer device: ``log.bin`` with one record of activity a second.

    Parameters
    ----------
    path : path-like
        The file, ``.gt3x``.
    acceleration : array_like
        [3, n] in g, stored in 1/256 g.
    time : array_like
        int64 [n], ns, evenly spaced from a whole second, a whole number of samples a second.
    idle_s : sequence of (int, int), default ()
        Sleep of the device, [start, end) in whole seconds from the first sample; it writes two events and no samples.
    twelve_bit : bool, default False
        ACTIVITY records (type 0: 12 bits, y x z) in place of ACTIVITY2 (type 26: int16, x y z).
    stray_zeros : bool, default False
        Zero bytes between some records, which the format allows.

    Returns
    -------
    int
        Number of samples written: those of the whole seconds awake.

    Raises
    ------
    ValueError
        If the samples do not start on a whole second, or last less than a second.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_gt3x(f"{folder}/a.gt3x", np.zeros((3, 300)), np.arange(300) * 33_333_333, idle_s=[(2, 5)])
    210
    """
    values, stamps = checked(acceleration, time)
    rate = round(rate_of(stamps))
    n_seconds = values.shape[1] // rate
    if n_seconds == 0 or stamps[0] % 10**9:
        raise ValueError(
            f"time: expected {rate} samples or more from a whole second, got {len(stamps)} from {stamps[0]}"
        )
    records = bytearray()
    n_awake = 0
    for record in _records(values, int(stamps[0] // 10**9), rate, n_seconds, idle=idle_s, twelve_bit=twelve_bit):
        n_awake += record[1] in {_ACTIVITY, _ACTIVITY2}
        records += record
        records += bytes([(~int(np.bitwise_xor.reduce(np.frombuffer(record, dtype=np.uint8)))) & 0xFF])
        if stray_zeros and n_awake % 5 == 3:
            records += b"\0\0\0"
    extra = ("Acceleration Scale: 256.0", "Acceleration Min: -8.0", "Acceleration Max: 8.0", "Limb: Wrist")
    info = _info("TAS1E47150641", ("Link", "1.7.2"), rate, stamps, extra)
    _archive(path, {"log.bin": bytes(records), "info.txt": info})
    return n_awake * rate


def _records(
    values: NDArray[np.float32],
    start_s: int,
    rate: int,
    n_seconds: int,
    *,
    idle: Sequence[tuple[int, int]],
    twelve_bit: bool,
) -> Iterator[bytes]:
    """Yield all records in the order of their seconds, without checksums."""

    def record(kind: int, second: int, payload: bytes) -> bytes:
        return struct.pack("<BBIH", 0x1E, kind, start_s + second, len(payload)) + payload

    yield record(_METADATA, 0, json.dumps({"MetadataType": "Bio", "SubjectName": "simulated"}).encode())
    scale = _encoded_float(_COUNTS_PER_G)
    parameters = struct.pack("<HHIHHIHHI", 0, 6, 1, 0, 55, scale, 0, 37, 1024)
    yield record(_PARAMETERS, 0, parameters)
    asleep = {start for start, _ in idle}, {end for _, end in idle}
    silent = {second for start, end in idle for second in range(start, end)}
    for second in range(n_seconds):
        if second % 60 == 0:
            yield record(_BATTERY, second, struct.pack("<H", 4090))
            yield record(_LUX, second, struct.pack("<H", 12))
        if second in asleep[0]:
            yield record(_EVENT, second, _SLEEPS)
        if second in asleep[1]:
            yield record(_EVENT, second, _WAKES)
        if second in silent:
            continue
        part = values[:, second * rate : (second + 1) * rate]
        if twelve_bit:
            yield record(_ACTIVITY, second, _nibbles(part, _COUNTS_PER_G))
        else:
            counts = np.clip(np.rint(part.T * np.float32(_COUNTS_PER_G)), -2048, 2047).astype("<i2")
            yield record(_ACTIVITY2, second, counts.tobytes())


def _nibbles(values: NDArray[np.float32], counts_per_g: float) -> bytes:
    """Return 12-bit y, x, z, big-endian: nine bytes for two samples; an odd last sample is padded with a zero nibble."""
    counts = np.clip(np.rint(values[[1, 0, 2]].T * np.float32(counts_per_g)), -2048, 2047).astype(np.int64)
    twelve = (counts & 0xFFF).reshape(-1)
    twelve = np.append(twelve, 0) if len(twelve) % 2 else twelve
    pairs = (twelve[0::2] << 12) | twelve[1::2]
    packed: bytes = pairs.astype(">i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
    return packed[: -(-values.shape[1] * 9 // 2)]


def _encoded_float(value: float) -> int:
    """Return a number in the format of parameters: signed exponent in the top byte, fraction of 2**23 below."""
    mantissa, exponent = np.frexp(value)
    return (int(exponent) & 0xFF) << 24 | (int(mantissa * 2**23) & 0xFFFFFF)


def _info(
    serial: str, device: tuple[str, str], rate: int, stamps: NDArray[np.int64], extra: tuple[str, ...] = ()
) -> bytes:
    first, last = (int(t) // 100 + _TICKS_TO_1970 for t in (stamps[0], stamps[-1]))
    lines = [
        f"Serial Number: {serial}",
        f"Device Type: {device[0]}",
        f"Firmware: {device[1]}",
        "Battery Voltage: 4.12",
        f"Sample Rate: {rate}",
        f"Start Date: {first}",
        f"Stop Date: {last}",
        f"Last Sample Time: {last}",
        "TimeZone: 00:00:00",
        f"Download Date: {last}",
        "Board Revision: 5",
        "Unexpected Resets: 0",
        *extra,
        "Subject Name: simulated",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def _archive(path: str | Path, members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    with replacing(path) as file:
        file.write(buffer.getvalue())
