"""Damage of recordings, at positions that the seed determines."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.simulation.cwa import LoggerStretch, seal

__all__ = ["DAMAGE_KINDS", "BlockDamage", "break_stretches"]

DAMAGE_KINDS = {
    # single blocks
    "checksum": "a byte of the samples flipped, so that the checksum fails",
    "zeroed": "one to three blocks of zeros",
    "blank": "one to three blocks never written: 0xff throughout",
    "bad_date": "month 15 in the stamp, checksum right",
    "bad_rate": "rate code 0 and an old-style rate of 0, checksum right",
    "bad_count": "a sample count of 4000, checksum right",
    "one_axis": "a block that says it holds one axis, checksum right",
    "lost": "one or two blocks missing, the sequence jumps",
    "repeated": "the same block twice",
    "swapped": "two neighbours in the wrong order",
    # the device or its clock
    "restart": "logging stops, resumes minutes later, and counts its blocks from 0 again",
    "clock_back": "the clock is set back one hour",
    "clock_forward": "the clock is set forward one hour",
    "rate_change": "from somewhere on, half the sample rate",
    "ax6_inside": "a few six-axis blocks inside a three-axis file",
    "year_2040": "recorded in 2040, where the top bit of the stamp is set",
    # the file
    "no_header": "the file begins with its first block",
    "truncated": "the file ends in the middle of a block",
    "empty": "a file of no bytes",
    "garbage": "random bytes in place of the recording",
    "gzip_truncated": "the compressed file ends early (names in .gz only)",
}

_UNREADABLE = ("checksum", "zeroed", "blank", "bad_date", "bad_rate", "bad_count", "one_axis")
_PLACED = (*_UNREADABLE, "lost", "repeated", "swapped")
_SLOT = 4


def _draw(seed: int, kind: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(kind.encode())])


def break_stretches(
    whole: LoggerStretch, kinds: tuple[str, ...], seed: int, duration_s: float
) -> tuple[list[LoggerStretch], list[dict[str, Any]]]:
    """Cut a stretch at breaks of the device or its clock; each kind of break has its own part of the recording.

    Parameters
    ----------
    whole : LoggerStretch
        The stretch without breaks.
    kinds : tuple of str
        Kinds of damage; those of single blocks and of the file are ignored.
    seed : int
        Seed of the positions.
    duration_s : float
        Length of the recording, s.

    Returns
    -------
    list of LoggerStretch
        The stretches.
    list of dict
        Kind, stretch and figures of each break.
    """
    parts, events = [whole], []
    for kind, lowest in (
        ("ax6_inside", 0.1),
        ("clock_back", 0.25),
        ("restart", 0.4),
        ("clock_forward", 0.6),
        ("rate_change", 0.8),
    ):
        if kind not in kinds:
            continue
        rng = _draw(seed, kind)
        last = parts.pop()
        cut_s = duration_s * (lowest + rng.uniform(0.0, 0.1))
        span = last.samples_per_block / last.device_rate
        n_before = max(1, int((cut_s - last.start_s) / span) - last.first_block)
        before, after = _split(last, n_before)
        parts.append(before)
        event: dict[str, Any] = {"kind": kind, "run": len(parts)}
        match kind:
            case "clock_back" | "clock_forward":
                event["jump_s"] = 3600 if kind == "clock_forward" else -3600
                parts.append(replace(after, clock_offset_ns=after.clock_offset_ns + event["jump_s"] * 10**9))
            case "restart":
                event["gap_s"] = min(rng.uniform(60.0, 400.0), duration_s * 0.05)
                parts.append(_restarted(after, event["gap_s"], duration_s, sequence=0, resumed=True))
            case "rate_change":
                half = {"nominal_rate": after.nominal_rate / 2, "device_rate": after.device_rate / 2}
                parts.append(_restarted(after, 0.0, duration_s, sequence=after.sequence, **half))
            case "ax6_inside":
                event["blocks"] = 5
                inside = _restarted(after, 0.0, duration_s, sequence=after.sequence, packing="ax6")
                inside = replace(inside, n_blocks=5)
                duration_inside = 5 * inside.samples_per_block / after.device_rate
                parts += [inside, _restarted(after, duration_inside, duration_s, sequence=after.sequence + 5)]
        events.append(event)
    return parts, events


def _split(stretch: LoggerStretch, n_before: int) -> tuple[LoggerStretch, LoggerStretch]:
    """Return the first ``n_before`` blocks, and the rest with the same queue."""
    n_before = min(n_before, stretch.n_blocks - 1)
    after = replace(
        stretch,
        first_block=stretch.first_block + n_before,
        n_blocks=stretch.n_blocks - n_before,
        sequence=stretch.sequence + n_before,
        resumed=False,
    )
    return replace(stretch, n_blocks=n_before), after


def _restarted(stretch: LoggerStretch, wait_s: float, duration_s: float, **changes: Any) -> LoggerStretch:
    """Return the stretch with an empty queue, started ``wait_s`` later."""
    index = np.array(stretch.first_block * stretch.samples_per_block, dtype=np.int64)
    start_s = float(stretch.sample_time_s(index)) + wait_s
    restarted = replace(stretch, start_s=start_s, first_block=0, **changes)
    n_blocks = int((duration_s - start_s) * restarted.device_rate / restarted.samples_per_block)
    return replace(restarted, n_blocks=max(1, n_blocks))


@dataclass
class BlockDamage:
    """Damage to single blocks.

    Attributes
    ----------
    bounds : int64 array
        Number of recorded blocks up to the end of each stretch. No damage crosses the end of a stretch.
    kinds : tuple of str
        Kinds of damage.
    seed : int
        Seed of the positions.
    positions : dict of str to int64 array
        Kind -> indices of recorded blocks.
    order : int64 array
        Index of the recorded block of each block in the file.
    """

    bounds: NDArray[np.int64]
    kinds: tuple[str, ...]
    seed: int
    n_blocks: int = field(init=False)
    positions: dict[str, NDArray[np.int64]] = field(init=False)
    order: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.n_blocks = int(self.bounds[-1])
        requested = [kind for kind in _PLACED if kind in self.kinds]
        # Slots of four blocks keep damages apart; the slots at the ends of a stretch stay intact.
        inner = np.setdiff1d(
            np.arange(1, self.n_blocks // _SLOT - 1), np.concatenate([(self.bounds - 1) // _SLOT, self.bounds // _SLOT])
        )
        if len(inner) < len(requested):
            raise ValueError(
                f"damage: expected a recording of more than {self.n_blocks} blocks for {len(requested)} kinds"
            )
        slots = _draw(self.seed, "slots").permutation(inner)
        n_slots = len(inner)
        each = min(9, n_slots // max(1, 2 * len(requested)) or 1)
        self.positions = {}
        for rank, kind in enumerate(requested):
            rng = _draw(self.seed, kind)
            first = np.sort(slots[rank * each : (rank + 1) * each]) * _SLOT
            longest = {"zeroed": 3, "blank": 3, "lost": 2}.get(kind, 1)
            lengths = rng.integers(1, longest + 1, len(first))
            self.positions[kind] = np.concatenate(
                [index + np.arange(n) for index, n in zip(first, lengths, strict=True)]
            )
        self.order = self._order()

    def _order(self) -> NDArray[np.int64]:
        order = np.arange(self.n_blocks)
        swapped = self.positions.get("swapped", np.zeros(0, dtype=np.int64))
        order[swapped], order[swapped + 1] = swapped + 1, swapped
        copies = np.ones(self.n_blocks, dtype=np.int64)
        copies[self.positions.get("lost", [])] = 0
        copies[self.positions.get("repeated", [])] = 2
        return np.repeat(order, copies)

    def corrupted(self) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        """Return the indices in the file of corrupted blocks, and the kind of damage of each."""
        kind_of = np.zeros(self.n_blocks, dtype="U16")
        for kind in _UNREADABLE:
            kind_of[self.positions.get(kind, [])] = kind
        in_file = kind_of[self.order]
        index = np.flatnonzero(in_file != "")
        return index, in_file[index]

    def events(self) -> list[dict[str, Any]]:
        """Return lost, repeated and swapped blocks, with the index in the file of the first block after or concerned."""
        events: list[dict[str, Any]] = []
        lost = self.positions.get("lost", np.zeros(0, dtype=np.int64))
        step = np.diff(self.order)
        for index in np.flatnonzero(step > 1) + 1 if len(lost) else ():
            n = int(np.isin(np.arange(self.order[index - 1] + 1, self.order[index]), lost).sum())
            if n:
                events.append({"kind": "lost", "block": int(index), "blocks": n})
        if "repeated" in self.positions:
            events += [{"kind": "repeated", "block": int(index)} for index in np.flatnonzero(step == 0) + 1]
        if "swapped" in self.positions:
            events += [{"kind": "swapped", "block": int(index)} for index in np.flatnonzero(step < 0)]
        return events

    def spoil(self, blocks: NDArray[np.void], first: int) -> None:
        """Damage recorded blocks from ``first`` on, in place."""
        for kind in _UNREADABLE:
            positions = self.positions.get(kind)
            if positions is None:
                continue
            rows = positions[(positions >= first) & (positions < first + len(blocks))] - first
            if len(rows):
                _spoil(blocks, rows, kind)


def _spoil(blocks: NDArray[np.void], rows: NDArray[np.int64], kind: str) -> None:
    part = blocks[rows]
    match kind:
        case "checksum":
            part["samples"][:, 123] ^= 0x5A
        case "zeroed":
            part = np.zeros_like(part)
        case "blank":
            part = np.full((len(part), 512), 0xFF, dtype=np.uint8).view(part.dtype)[:, 0]
        case "bad_date":
            part["time"] |= 15 << 22
        case "bad_rate":
            part["rate"] = 0
            part["offset"] = 0
        case "bad_count":
            part["count"] = 4000
        case "one_axis":
            part["axes"] = 0x12
    if kind.startswith("bad_") or kind == "one_axis":
        seal(part)
    blocks[rows] = part
