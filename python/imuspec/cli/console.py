"""What a run, a recording and a cohort look like in a terminal, and as plain lines where there is none."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from imuspec.report.spans import duration, stamp
from imuspec.report.words import is_doubtful, kind_meaning, kind_name

if TYPE_CHECKING:
    from imuspec.bench import Cost, Result
    from imuspec.cluster import Outcome, Summary
    from imuspec.recording.recording import Recording

__all__ = [
    "RunDisplay",
    "bench_table",
    "cost_table",
    "recording_facts",
    "recording_table",
    "screen",
    "status_table",
    "summary_lines",
]

_COLOURS = {"ok": "green", "excluded": "yellow", "failed": "red"}
_NAMED = 40  # with more files than this the summary counts reasons instead of naming files
_LONGEST = 12  # reasons shown


def screen() -> Console:
    """Return the standard output; wide where it is no terminal, so that nothing is cut in a log."""
    return Console(width=None if sys.stdout.isatty() else 200)


class RunDisplay:
    """A bar with rate, time left and failures on a terminal; elsewhere a line for each file."""

    def __init__(self, console: Console | None = None, *, doing: str = "preparing") -> None:
        self._doing = doing
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn(self._doing),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[trouble]}"),
                console=self._console,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, summary: Summary, outcome: Outcome | None) -> None:
        """Show one more file; None at the start and when the run is to stop."""
        if outcome is None and summary.interrupted:
            self._console.print("stopping: what is under way is finished first; Ctrl-C again ends at once")
        elif self._bar is not None:
            self._advance(summary)
        elif outcome is None:
            if summary.done_before:
                self._say(f"{summary.done_before} of {summary.total} were done before")
        else:
            what = f"{outcome.status}: {outcome.reason or outcome.stored}"
            self._say(f"{summary.n_done}/{summary.total} {outcome.name}: {what} ({outcome.seconds:.1f} s)")

    def _advance(self, summary: Summary) -> None:
        assert self._bar is not None
        trouble = " ".join(f"{summary.count(status)} {status}" for status in ("excluded", "failed"))
        if self._task is None:
            self._task = self._bar.add_task("", total=summary.total, rate="", trouble="")
        self._bar.update(self._task, completed=summary.n_done, rate=_rate(summary), trouble=trouble)

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def summary_lines(summary: Summary) -> Iterator[RenderableType]:
    """Say of each file what became of it, or of each reason how many when there are many."""
    if len(summary.outcomes) > _NAMED:
        yield _reasons(summary)
    elif summary.outcomes:
        yield _files(summary)
    told = [f"{summary.count(status)} {status}" for status in ("ok", "excluded", "failed")]
    if summary.done_before:
        told.append(f"{summary.done_before} done before")
    for note in summary.notes:
        yield Text(note)
    yield Text(f"{summary.cohort}: {', '.join(told)}; {_rate(summary)}")


def _files(summary: Summary) -> Table:
    table = Table("file", "outcome", "why, or what is kept", box=None, pad_edge=False)
    for outcome in sorted(summary.outcomes, key=lambda outcome: outcome.name):
        told = outcome.reason or outcome.stored
        table.add_row(Text(outcome.name), Text(outcome.status, _COLOURS[outcome.status]), Text(told))
    return table


def _reasons(summary: Summary) -> Table:
    table = Table("files", "outcome", "why", "for example", box=None, pad_edge=False)
    kinds = Counter((outcome.status, outcome.reason.partition(":")[0]) for outcome in summary.outcomes)
    for (status, reason), count in kinds.most_common(_LONGEST):
        example = next(o for o in summary.outcomes if (o.status, o.reason.partition(":")[0]) == (status, reason))
        table.add_row(str(count), Text(status, _COLOURS[status]), Text(reason), Text(example.name if reason else ""))
    if len(kinds) > _LONGEST:
        table.add_row("", "", f"and {len(kinds) - _LONGEST} more reasons: see the table outcomes", "")
    return table


def _rate(summary: Summary) -> str:
    if not summary.outcomes or summary.seconds <= 0:
        return ""
    mega = sum(outcome.n_bytes for outcome in summary.outcomes) / 1e6
    return f"{len(summary.outcomes) / summary.seconds:.2f} files/s, {mega / summary.seconds:.0f} MB/s"


def recording_facts(recording: Recording, *, identifying: bool = False) -> dict[str, Any]:
    """Return what `imuspec info` says, ready for JSON: figures, actipy's among them by its names, and every event.

    Parameters
    ----------
    recording : Recording
        What was read.
    identifying : bool, default False
        Whether the fields of the header that identify a person are among the facts.
    """
    return {
        "format": recording.format,
        "nominal_rate_hz": recording.nominal_rate,
        "sample_rate_hz": _finite(recording.sample_rate),
        "runs": len(recording.runs),
        "worst_stamp_residual_ms": _finite(recording.worst_stamp_residual_ms),
        "has_gyroscope": recording.gyroscope is not None,
        "annotation_labels": list(recording.annotation_labels),
        **{key: _finite(value) for key, value in recording.info().items()},
        "metadata": dict(recording.metadata),
        **({"identifying": dict(recording.identifying)} if identifying else {}),
        "quality": dict(recording.quality.counts),
        "events": [
            {key: _finite(value) for key, value in event._asdict().items()} for event in recording.quality.table
        ],
    }


def recording_table(facts: dict[str, Any], name: str) -> Iterator[Table]:
    """Show those facts: the recording, what its file says of itself, and what is wrong with it."""
    first = Table("to be checked first", "meaning")
    for kind in filter(is_doubtful, facts["quality"]):
        first.add_row(kind_name(kind), kind_meaning(kind))
    if first.row_count:
        yield first
    table = Table(title=Text(name), show_header=False, title_justify="left")
    for key, value in [*_described(facts), *_metadata(facts["metadata"] | facts.get("identifying", {}))]:
        table.add_row(Text(key), Text(value))
    yield table
    if not facts["quality"]:
        yield Table("nothing lost, repaired or assumed", show_header=True)
        return
    losses = Table("lost or repaired", "count", "first at", "byte", "meaning")
    places = {event["kind"]: event for event in reversed(facts["events"])}
    for kind, count in facts["quality"].items():
        event = places.get(kind, {})
        at = "" if event.get("time") is None else stamp(event["time"])
        losses.add_row(kind_name(kind), str(count), at, f"{event.get('offset', '')}", kind_meaning(kind))
    yield losses


def _described(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a recording is, as a person would ask for it."""
    measured, nominal = facts["sample_rate_hz"], facts["nominal_rate_hz"]
    told = f", {nominal:g} Hz as set" if nominal else ""
    yield "device", f"{facts['Device'] or 'unknown'} {facts['DeviceID']} ({facts['format']})"
    yield "first sample", f"{facts['StartTime']}, the device's local clock"
    yield "last sample", facts["EndTime"]
    yield "samples", f"{facts['NumTicks']:,}"
    yield "rate", (f"{measured:.3f} Hz measured" if measured else "not known") + told
    covered = f"{duration(facts['WearTime(days)'] * 86_400)} of {duration(facts['DataSpan(days)'] * 86_400)}"
    yield "recorded", f"{covered}, in {facts['runs']} stretch{'' if facts['runs'] == 1 else 'es'} without a gap"
    if facts["worst_stamp_residual_ms"]:
        yield "worst stamp", f"{facts['worst_stamp_residual_ms']:.1f} ms off the line of its neighbours"
    if facts["has_gyroscope"]:
        yield "gyroscope", "yes"
    if facts["annotation_labels"]:
        yield "annotations", f"{len(facts['annotation_labels'])} labels"
    yield "file", f"{facts['Filesize(MB)']:g} MiB"


# What Axivity's OmGui writes into a file's header.
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
_CLOCK = ("logging_start", "logging_stop", "last_change")


def _metadata(metadata: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in metadata.items():
        if value in (None, ""):
            continue
        when = key in _CLOCK and str(value).isdigit()
        yield _OMGUI.get(key, kind_name(key)), stamp(int(value) * 10**9) if when else str(value)


def status_table(status: dict[str, Any], name: str) -> Table:
    """Show how many recordings of a cohort came out how."""
    table = Table("recordings", "", title=Text(name), title_justify="left")
    for key in ("total", "ok", "excluded", "failed", "unfinished"):
        table.add_row(str(status[key]), Text(key, _COLOURS.get(key, "")))
    words = {
        "missing": "inputs without an outcome: run again with --resume",
        "passed_over": "files passed over",
        "not_given": "recordings whose file is no longer among the inputs",
    }
    for key, meaning in words.items():
        if status.get(key):
            named = f": {', '.join(status['not_given_ids'][:3])}" if key == "not_given" else ""
            table.add_row(str(status[key]), Text(f"{meaning}{named}"))
    for reason, count in list(status["reasons"].items())[:_LONGEST]:
        table.add_row(str(count), Text(f"  {reason}"))
    return table


def bench_table(job: str, results: list[Result]) -> Table:
    """Show one job of `imuspec bench`: a row for each contestant."""
    heads = ["", "1 thread, ms", "all threads, ms", "x ours"]
    single, memory = results[0].window_s is not None, results[0].memory is not None
    heads += ["one window, us"] * single + ["memory, MB"] * memory
    table = Table(title=Text(job), title_justify="left")
    for head in heads:
        table.add_column(head, justify="right" if head else "left")
    for result in results:
        cells = [result.contestant, f"{result.one_thread_s * 1e3:.2f}", f"{result.all_threads_s * 1e3:.2f}"]
        cells.append(f"{result.ratio:.1f}")
        cells += [f"{(result.window_s or 0) * 1e6:.1f}"] * single + [f"{(result.memory or 0) / 1e6:.1f}"] * memory
        table.add_row(*map(Text, cells), style="bold" if result is results[0] else None)
    return table


def cost_table(ours: list[Cost], phones: list[Cost]) -> Table:
    """Show `imuspec bench table3`: this machine, then the paper's phones."""
    table = Table("machine", "step", title="mean of ten runs, batch 1", title_justify="left")
    for head in ("ms", "CPU, % of one core", "memory, MB"):
        table.add_column(head, justify="right")
    for group in (ours, phones):
        for cost in group:
            memory = "" if cost.memory_mb is None else f"{cost.memory_mb:.3g}"
            table.add_row(Text(cost.machine), cost.step, f"{cost.ms:.4g}", f"{cost.cpu_percent:.0f}", memory)
        table.add_section()
    return table


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
