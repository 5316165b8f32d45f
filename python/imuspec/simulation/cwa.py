"""Blocks of an Axivity .cwa file, as the logger of the device writes them.

The logger drains the queue of the sensor 25 samples at a time, and reads the clock at each drain. It writes a block as soon
as enough samples are queued. The block has the stamp of the last drain, and the index of the sample at its whole second.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLOCK",
    "HEADER_BYTES",
    "RATE_CODES",
    "LoggerStretch",
    "header",
    "pack_samples",
    "packed_time",
    "seal",
    "stamp",
]

HEADER_BYTES = 1024
RATE_CODES = {3200.0 / 2 ** (15 - code): code for code in range(6, 16)}
_RANGE_8_G = 0x40
_DRAIN = 25
_GYRO_2000_DPS = 2 << 10

BLOCK = np.dtype(
    [
        ("tag", "S2"),
        ("length", "<u2"),
        ("fraction", "<u2"),
        ("session", "<u4"),
        ("sequence", "<u4"),
        ("time", "<u4"),
        ("light", "<u2"),
        ("temperature", "<u2"),
        ("events", "u1"),
        ("battery", "u1"),
        ("rate", "u1"),
        ("axes", "u1"),
        ("offset", "<i2"),
        ("count", "<u2"),
        ("samples", "u1", (480,)),
        ("checksum", "<u2"),
    ]
)

# (samples in a block, axes and packing, bits of the light word that say the accelerometer's scale, counts in 1 g)
_LAYOUT = {"packed": (120, 0x30, 0, 256.0), "unpacked": (80, 0x32, 0, 256.0), "ax6": (40, 0x62, 4 << 13, 4096.0)}


@dataclass(frozen=True)
class LoggerStretch:
    """Consecutive blocks with the same rate, packing and clock.

    Attributes
    ----------
    start_s : float
        True time of the logger's sample 0, s since the start of the recording.
    first_block, n_blocks : int
        First block, counted from sample 0, and number of blocks.
    sequence : int
        Sequence id of the first block.
    nominal_rate, device_rate : float
        Configured and true sample rate, Hz.
    packing : str
        "packed", "unpacked" or "ax6".
    clock_offset_ns : int
        Error of the clock, ns.
    resumed : bool
        Whether the first block is marked as the start of resumed logging.
    """

    start_s: float
    first_block: int
    n_blocks: int
    sequence: int
    nominal_rate: float
    device_rate: float
    packing: str
    clock_offset_ns: int = 0
    resumed: bool = False

    @property
    def samples_per_block(self) -> int:
        """Samples in each block."""
        return _LAYOUT[self.packing][0]

    @property
    def counts_per_g(self) -> float:
        """Counts per g before packing."""
        return _LAYOUT[self.packing][3]

    def sample_time_s(self, sample: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the true times of samples, s: the rate of the crystal, with a daily drift of some 20 ms."""
        seconds: NDArray[np.float64] = sample / self.device_rate
        return self.start_s + seconds + 0.02 * np.sin(seconds * (2 * np.pi / 86400.0))


def header(*, device_id: int, session: int, start_ns: int, rate: float, ax6: bool, annotation: dict[str, str]) -> bytes:
    """Return the header of 1024 bytes."""
    head = np.full(HEADER_BYTES, 0xFF, dtype=np.uint8)
    head[64:512] = 0x20
    text = urlencode(annotation).encode()[:448]
    head[64 : 64 + len(text)] = np.frombuffer(text, dtype=np.uint8)
    start_time = int(packed_time(np.array([start_ns // 10**9]))[0])

    def put(position: int, value: int, width: int) -> None:
        head[position : position + width] = np.frombuffer(value.to_bytes(width, "little"), dtype=np.uint8)

    put(0, int.from_bytes(b"MD", "little"), 2)
    put(2, HEADER_BYTES - 4, 2)
    put(4, 0x64 if ax6 else 0x17, 1)
    put(5, device_id & 0xFFFF, 2)
    put(7, session, 4)
    put(11, device_id >> 16 or 0xFFFF, 2)
    put(13, start_time, 4)
    put(17, 0xFFFFFFFF, 4)
    put(21, 0, 4)
    put(26, 0, 1)
    put(35, 0x02 if ax6 else 0xFF, 1)
    put(36, _RANGE_8_G | RATE_CODES[rate], 1)
    put(37, start_time, 4)
    put(41, 48, 1)
    return head.tobytes()


def packed_time(second: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return local seconds since 1970 in the format of the device: year from 2000, month, day, hour, minute, second."""
    day = second // 86400
    month = day.astype("M8[D]").astype("M8[M]")
    months = month.astype(np.int64)
    of_month = day - month.astype("M8[D]").astype(np.int64) + 1
    rest = second - day * 86400
    bits = ((months // 12 - 30) << 26) | ((months % 12 + 1) << 22) | (of_month << 17)
    bits |= (rest // 3600 << 12) | (rest // 60 % 60 << 6) | (rest % 60)
    return bits.astype(np.uint32)


def stamp(
    blocks: NDArray[np.void], stretch: LoggerStretch, block: NDArray[np.int64], start_ns: int
) -> NDArray[np.int64]:
    """Set the stamps of blocks with the numbers ``block``; return the true times of their first samples, ns."""
    per_block = stretch.samples_per_block
    drained = -(-(block + 1) * per_block // _DRAIN) * _DRAIN
    clock = start_ns + np.rint(stretch.sample_time_s(drained) * 1e9).astype(np.int64) + stretch.clock_offset_ns
    second, rest = clock // 10**9, clock % 10**9
    fraction = rest * 65536 // 10**9
    blocks["time"] = packed_time(second)
    blocks["fraction"] = 0x8000 | (fraction >> 1)
    blocks["offset"] = drained - block * per_block - ((fraction * int(stretch.nominal_rate)) >> 16)
    return start_ns + np.rint(stretch.sample_time_s(block * per_block) * 1e9).astype(np.int64)


def describe(blocks: NDArray[np.void], stretch: LoggerStretch, block: NDArray[np.int64], session: int) -> None:
    """Set the constant fields of the blocks of a stretch, and the sequence ids; the ten bits of light must be set before."""
    count, axes, scale, _ = _LAYOUT[stretch.packing]
    blocks["tag"] = b"AX"
    blocks["length"] = 508
    blocks["session"] = session
    blocks["sequence"] = stretch.sequence + block - stretch.first_block
    blocks["rate"] = _RANGE_8_G | RATE_CODES[stretch.nominal_rate]
    blocks["axes"] = axes
    blocks["count"] = count
    blocks["light"] |= scale | (_GYRO_2000_DPS if stretch.packing == "ax6" else 0)
    blocks["events"] = np.where((block == stretch.first_block) & stretch.resumed, 1, 0)


def pack_samples(counts: NDArray[np.float32], rotation: NDArray[np.float32] | None, packing: str) -> NDArray[np.uint8]:
    """Return samples in the format of the device.

    Parameters
    ----------
    counts : float32 array [3, n]
        Acceleration in counts; n is a multiple of the samples per block. The array is overwritten.
    rotation : float32 array [3, n] or None
        Angular rate for "ax6", degrees/s.
    packing : str
        "packed": three 10-bit numbers with the exponent 2 of +-8 g, without the two lowest bits. "unpacked": int16. "ax6":
        int16, gyroscope first.

    Returns
    -------
    uint8 array [blocks, 480]
    """
    bound = 2048.0 if packing != "ax6" else 32768.0
    np.rint(counts, out=counts)
    np.clip(counts, -bound, bound - 1, out=counts)
    if packing == "packed":
        whole = counts.astype(np.int32)
        whole >>= 2
        whole &= 0x3FF
        word = whole[0]
        word |= whole[1] << 10
        word |= whole[2] << 20
        word |= np.int32(-(1 << 31))  # exponent 2 in the two top bits
        packed: NDArray[np.uint8] = word.astype("<i4", copy=False).view(np.uint8).reshape(-1, 480)
        return packed
    n_axes = 3 if rotation is None else 6
    out = np.empty((counts.shape[1], n_axes), dtype="<i2")
    if rotation is not None:
        out[:, :3] = np.clip(np.rint(rotation.T * np.float32(32768 / 2000)), -32768, 32767)
    out[:, -3:] = counts.T
    return out.reshape(-1).view(np.uint8).reshape(-1, 480)


def seal(blocks: NDArray[np.void]) -> None:
    """Set the checksum of each block, so that the sum of its 256 words is 0 modulo 65536."""
    blocks["checksum"] = 0
    words = blocks.view("<u2").reshape(len(blocks), 256)
    blocks["checksum"] = -words.sum(axis=1, dtype=np.uint16)
