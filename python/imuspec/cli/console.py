"""Tables and progress displays of the commands, for a terminal and for a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from imuspec.cli import output
from imuspec.preparation.reasons import Reasons, alike
from imuspec.progress import Progress
from imuspec.report.words import size

if TYPE_CHECKING:
    from imuspec.bench import Cost, Measurement
    from imuspec.cluster import Outcome, Summary

__all__ = [
    "RunDisplay",
    "ShareDisplay",
    "bench_facts",
    "bench_table",
    "cost_table",
    "status_facts",
    "status_table",
    "summary_facts",
    "summary_lines",
]

_COLOURS = {"ok": "green", "excluded": "yellow", "failed": "red"}
_NAMED = 40  # with more files than this, the summary counts reasons and names no files
_LONGEST = 12  # reasons shown


class _Display:
    """The progress of a command; with ``--quiet`` it shows nothing."""

    def __init__(self, doing: str, console: Console | None, *, total: int | None = None) -> None:
        console = console or output.stderr()
        self._progress = Progress(doing, total=total, console=console, silent=output.is_quiet())

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)


class RunDisplay(_Display):
    """The progress of a run over files: on a terminal a bar with rate and failures, elsewhere one line per file."""

    def __init__(self, console: Console | None = None, *, doing: str = "preparing") -> None:
        super().__init__(doing, console)

    def update(self, summary: Summary, outcome: Outcome | None) -> None:
        """Show one more file; `outcome` is None at the start of a run and when it is stopping."""
        if outcome is None and summary.interrupted:
            self._progress.say("stopping after the files in progress; press Ctrl-C again to stop at once")
            return
        if outcome is not None:
            result = f"{outcome.status}: {outcome.reason or outcome.stored}"
            line = f"{summary.n_done}/{summary.total} {outcome.name}: {result} ({outcome.seconds:.1f} s)"
        else:
            line = f"{summary.done_before} of {summary.total} were done before" if summary.done_before else ""
        counts = ", ".join(f"{summary.count(status)} {status}" for status in ("excluded", "failed"))
        text = f"{_rate(summary)}; {counts}".removeprefix("; ")
        self._progress.update(summary.n_done, total=summary.total, text=text, line=line)


class ShareDisplay(_Display):
    """The progress of one long job: on a terminal a bar, elsewhere one line per quarter."""

    def __init__(self, doing: str, console: Console | None = None) -> None:
        self._doing, self._quarters = doing, 0
        super().__init__(doing, console, total=100)

    def update(self, share: float) -> None:
        """Show the share of the job that is done, 0 to 1."""
        line = f"{self._doing}: {25 * int(share * 4)} %" if int(share * 4) > self._quarters else ""
        self._quarters = max(self._quarters, int(share * 4))
        self._progress.update(round(100 * share), line=line)


def summary_lines(summary: Summary, *, named: bool = True) -> Iterator[RenderableType]:
    """Yield the outcomes of a run: each file of a small run, the count of each reason of a large one.

    Parameters
    ----------
    summary : Summary
        The outcomes.
    named : bool, default True
        Whether the files of a small run are named; False if a line was printed for each before.
    """
    if len(summary.outcomes) > _NAMED:
        yield _reasons(summary)
    elif summary.outcomes and named:
        yield _files(summary)
    counts = [f"{summary.count(status)} {status}" for status in ("ok", "excluded", "failed")]
    if summary.done_before:
        counts.append(f"{summary.done_before} done before")
    for note in summary.notes:
        yield Text(note)
    rate = _rate(summary)
    yield Text(f"{summary.cohort}: {', '.join(counts)}{f'; {rate}' if rate else ''}")
    if summary.outcomes and not summary.count("ok") and summary.count("excluded") and not summary.done_before:
        yield Text("no recording of this run meets the requirements of the recipe")


def summary_facts(summary: Summary) -> dict[str, Any]:
    """Return the outcomes of a run for JSON."""
    return {
        "folder": str(summary.cohort),
        "n_recordings": summary.total,
        **{f"n_{status}": summary.count(status) for status in ("ok", "excluded", "failed")},
        "n_done_before": summary.done_before,
        "interrupted": summary.interrupted,
        "duration_s": summary.seconds,
        "notes": summary.notes,
        "recordings": [
            {
                "id": outcome.id,
                "name": outcome.name,
                "status": outcome.status,
                "reason": outcome.reason,
                "stored": outcome.stored,
                "size_bytes": outcome.n_bytes,
                "duration_s": outcome.seconds,
            }
            for outcome in summary.outcomes
        ],
    }


def _files(summary: Summary) -> Table:
    table = Table("file", "outcome", "reason, or what was stored", box=None, pad_edge=False)
    for outcome in sorted(summary.outcomes, key=lambda outcome: outcome.name):
        result = outcome.reason or outcome.stored
        table.add_row(Text(outcome.name), Text(outcome.status, _COLOURS[outcome.status]), Text(result))
    return table


def _reasons(summary: Summary) -> Table:
    table = Table("files", "outcome", "reason", "example", box=None, pad_edge=False)
    groups = alike([(outcome.status, outcome.reason, outcome.name) for outcome in summary.outcomes])
    for group in groups[:_LONGEST]:
        example = Text(group.example if group.reason else "")
        table.add_row(str(group.n), Text(group.status, _COLOURS[group.status]), Text(group.reason), example)
    if len(groups) > _LONGEST:
        table.add_row("", "", f"and {len(groups) - _LONGEST} more reasons: see the table outcomes", "")
    return table


def _rate(summary: Summary) -> str:
    if not summary.outcomes or summary.seconds <= 0:
        return ""
    n_bytes = sum(outcome.n_bytes for outcome in summary.outcomes)
    return f"{len(summary.outcomes) / summary.seconds:.2f} files/s, {size(n_bytes / summary.seconds)}/s"


def status_facts(status: dict[str, Any], groups: list[Reasons]) -> dict[str, Any]:
    """Return the state of a cohort for JSON: counts, and reasons; reasons that differ only in numbers are merged."""
    counts = {f"n_{key}": value for key, value in status.items() if isinstance(value, int)}
    counts["n_recordings"] = counts.pop("n_total")
    return {
        **counts,
        "reasons": [group._asdict() for group in groups],
        "not_given_ids": status.get("not_given_ids", []),
    }


def status_table(status: dict[str, Any], groups: list[Reasons], name: str) -> Table:
    """Show the outcomes of a cohort: the number of recordings with each status and each reason."""
    table = Table("recordings", "", title=Text(name), title_justify="left")
    for key in ("total", "ok", "excluded", "failed", "unfinished"):
        table.add_row(str(status[key]), Text(key, _COLOURS.get(key, "")))
    words = {
        "missing": "inputs without an outcome; run again with --resume",
        "passed_over": "files passed over",
        "not_given": "recordings whose file is no longer among the inputs",
    }
    for key, meaning in words.items():
        if status.get(key):
            named = f": {', '.join(status['not_given_ids'][:3])}" if key == "not_given" else ""
            table.add_row(str(status[key]), Text(f"{meaning}{named}"))
    for group in groups[:_LONGEST]:
        table.add_row(str(group.n), Text(f"{group.status}: {group.reason}"))
    return table


def bench_facts(results: list[Measurement]) -> list[dict[str, Any]]:
    """Return one job of `imuspec bench` for JSON: one row per library."""
    return [
        {
            "job": result.job,
            "library": result.contestant,
            "one_thread_s": result.one_thread_s,
            "all_threads_s": result.all_threads_s,
            "ratio": result.ratio,
            "window_s": result.window_s,
            "memory_bytes": result.memory,
        }
        for result in results
    ]


def bench_table(job: str, results: list[Measurement]) -> Table:
    """Show one job of `imuspec bench`: one row per library."""
    heads = ["", "1 thread, ms", "all threads, ms", "x imuspec"]
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


def cost_table(measured: list[Cost], phones: list[Cost]) -> Table:
    """Show `imuspec bench table3`: this machine, then the phones of the paper."""
    table = Table(
        "machine", "step", title="median of ten rounds (the paper: mean of ten runs), batch 1", title_justify="left"
    )
    for head in ("ms", "CPU, % of one core", "memory, MB"):
        table.add_column(head, justify="right")
    for group in (measured, phones):
        for cost in group:
            memory = "" if cost.memory_mb is None else f"{cost.memory_mb:.3g}"
            table.add_row(Text(cost.machine), cost.step, f"{cost.ms:.4g}", f"{cost.cpu_percent:.0f}", memory)
        table.add_section()
    return table
