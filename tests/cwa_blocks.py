"""A small decoder of .cwa blocks, written from the format's description alone, against which writers are held."""

from __future__ import annotations

import datetime
import struct
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Block", "acceleration_of", "blocks_of", "times_by_stamp"]


class Block(NamedTuple):
    """One block's fields, and its samples as int [n, axes]."""

    sum_of_words: int
    tag: bytes
    fraction: int
    sequence: int
    stamp: datetime.datetime | None
    light: int
    temperature: int
    events: int
    battery: int
    rate: int
    axes: int
    offset: int
    count: int
    samples: np.ndarray[Any, np.dtype[np.int64]]
    exponents: frozenset[int]


def unpack(raw: bytes) -> Block:
    tag, length, fraction, _, sequence, bits, light, temperature, events, battery, rate, axes, offset, count = (
        struct.unpack("<2sHHIIIHHBBBBhH", raw[:30])
    )
    assert length == 508 or tag != b"AX"
    try:
        fields = (bits >> 26) + 2000, bits >> 22 & 15, bits >> 17 & 31, bits >> 12 & 31, bits >> 6 & 63, bits & 63
        stamp = datetime.datetime(*fields)
    except ValueError:
        stamp = None
    exponents: frozenset[int] = frozenset()
    if axes & 15 == 0:
        words = np.array(struct.unpack("<120I", raw[30:510]), dtype=np.int64)
        exponents = frozenset((words >> 30).tolist())
        ten = np.stack([words & 1023, words >> 10 & 1023, words >> 20 & 1023], axis=1)
        samples = np.where(ten > 511, ten - 1024, ten) << (words >> 30)[:, None]
    else:
        n_axes = max(axes >> 4, 1)
        whole = np.array(struct.unpack("<240h", raw[30:510]), dtype=np.int64)
        samples = whole[: 240 // n_axes * n_axes].reshape(-1, n_axes)
    total = sum(struct.unpack("<256H", raw)) & 0xFFFF
    return Block(
        total, tag, fraction, sequence, stamp, light, temperature, events, battery, rate, axes, offset, count,
        samples, exponents,
    )  # fmt: skip


def blocks_of(data: bytes, header: int = 1024) -> list[Block]:
    assert (len(data) - header) % 512 == 0
    return [unpack(data[start : start + 512]) for start in range(header, len(data), 512)]


def acceleration_of(blocks: list[Block]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """g, [n, 3]; the scale is 1 / 2 ** (8 + n), n from the top bits of the light field."""
    return np.concatenate([block.samples[:, -3:] / 2.0 ** (8 + (block.light >> 13)) for block in blocks])


def times_by_stamp(blocks: list[Block], rate: float, nominal: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds since 1970 of each block's first sample: the drain's stamp is sample ``offset + (F * Hz >> 16)``'s."""
    times = []
    for block in blocks:
        assert block.stamp is not None
        assert block.fraction & 0x8000
        fraction = (block.fraction & 0x7FFF) << 1
        shift = block.offset + (fraction * nominal >> 16)
        second = block.stamp.replace(tzinfo=datetime.UTC).timestamp()
        times.append(second + fraction / 65536 - shift / rate)
    return np.array(times)
