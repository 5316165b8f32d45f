"""Rows that the benches print for the report: one JSON object a line."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from imuspec.bench.timing import Timing


def row(what: str, ours: Timing, peer: Timing, note: str = "") -> None:
    """Print a row: the peer's time is that of imuspec times the median ratio of the rounds; the note ends with the least ratio."""
    ratio, least = peer.ratio / ours.ratio, peer.least / ours.least
    fields = {"what": what, "imuspec_s": ours.median, "peer": peer.name, "peer_s": ours.median * ratio}
    note = f"{note}; least {least:.1f}x" if note else f"least {least:.1f}x"
    print(json.dumps({**fields, "note": note}), flush=True)


def clock(threads: int) -> Callable[[], float]:
    """One thread is measured by its processor time, in which other work on the machine does not show; more by the wall."""
    return time.process_time if threads == 1 else time.perf_counter


def held(must: float, aim: float | None = None) -> str:
    """Return the required ratio, and the ratio to aim for, as a note."""
    return f"must {must:g}x" + ("" if aim is None else f", aim {aim:g}x")


def named(timings: list[Timing]) -> dict[str, Timing]:
    """Return the timings by name."""
    return {timing.name: timing for timing in timings}


def run(job: Callable[[int], None], doc: str | None, rounds: int = 5) -> None:
    """The command line of a script of rows."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--rounds", type=int, default=rounds)
    job(parser.parse_args().rounds)
