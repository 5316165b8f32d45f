"""Matrix .bin: 512 bytes of remarks, a short header, and packets that each carry their own CRC and whole seconds."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.simulation.checking import checked
from imuspec.simulation.storing import replacing

__all__ = ["write_matrix"]


def write_matrix(
    path: str | Path,
    acceleration: ArrayLike,
    time: ArrayLike,
    *,
    gyroscope: ArrayLike | None = None,
    packet_s: int = 60,
    temperature_c: tuple[float, float] = (31.4, 24.1),
    heart_rate: int | None = None,
    bad_packets: Sequence[int] = (),
) -> int:
    """Write a Matrix recording.

    Parameters
    ----------
    path : path-like
        The file, ``.bin``, or ``.bin.gz`` / ``.bin.zip``.
    acceleration : array_like
        [3, n] in g; range +-8 g, stored as ``g / 8`` times 32767 above 0 and 32768 below.
    time : array_like
        int64 [n], ns. A packet stores the whole seconds between which its samples are spread evenly.
    gyroscope : array_like, optional
        [3, n] in degrees/s, range +-2000.
    packet_s : int, default 60
        Length of a packet, s.
    temperature_c : (float, float), default (31.4, 24.1)
        Body and ambient temperature of each packet, degrees Celsius.
    heart_rate : int, optional
        Beats per minute of each packet, in both of its fields.
    bad_packets : sequence of int, default ()
        Packets with a wrong CRC.

    Returns
    -------
    int
        Number of packets written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_matrix(f"{folder}/a.bin", np.zeros((3, 9000)), np.arange(9000) * 10**7)
    2
    """
    values, stamps = checked(acceleration, time)
    rotation = None if gyroscope is None else checked(gyroscope, time)[0]
    start_s = int(stamps[0] // 10**9)
    edges = np.arange(start_s, int(stamps[-1] // 10**9) + packet_s + 1, packet_s)
    first = np.searchsorted(stamps, edges * 10**9)
    first = first[: int(np.searchsorted(first, len(stamps))) + 1]
    n_packets = len(first) - 1
    with replacing(path) as file:
        file.write(b"simulated by imuspec".ljust(512, b"\0"))
        file.write(struct.pack("<4sIHH", b"MDTC", n_packets, 8, 2000))
        for packet in range(n_packets):
            samples = slice(int(first[packet]), int(first[packet + 1]))
            # A last packet that is not full ends with the second of its last sample.
            stop_s = min(int(edges[packet + 1]), -(-int(stamps[samples.stop - 1] + 1) // 10**9))
            series = [
                _counts(values[:, samples], 8.0),
                _counts(rotation[:, samples], 2000.0) if rotation is not None else b"",
                np.rint(np.array(temperature_c) * 10).astype("<i2").tobytes(),
                b"" if heart_rate is None else struct.pack("<hh", heart_rate, heart_rate),
            ]
            counts = [len(part) // width for part, width in zip(series, (6, 6, 4, 4), strict=True)]
            payload = struct.pack("<6I", int(edges[packet]), stop_s, *counts) + b"".join(series)
            crc = zlib.crc32(payload) ^ (0xFFFF if packet in bad_packets else 0)
            file.write(b"MDTCPACK" + struct.pack("<I", crc) + payload)
    return n_packets


def _counts(values: NDArray[np.float32], span: float) -> bytes:
    share = np.clip(values.T.astype(np.float64) / span, -1, 1)
    return np.rint(share * np.where(share > 0, 32767, 32768)).astype("<i2").tobytes()
