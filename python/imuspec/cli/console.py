"""Tables and progress of the commands, for a terminal and for a pipe."""

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
_NAMED = 40  # with more files than this the summary counts reasons instead of naming files
_LONGEST = 12  # reasons shown


class _Display:
    """The progress of a command, on the console that its options ask for."""

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
    """The progress of a run over files: a bar with rate and failures on a terminal; elsewhere a line for each file."""

    def __init__(self, console: Console | None = None, *, doing: str = "preparing") -> None:
        super().__init__(doing, console)

    def update(self, summary: Summary, outcome: Outcome | None) -> None:
        """Show one more file; None at the start and when the run is to stop."""
        if outcome is None and summary.interrupted:
            self._progress.say("stopping: what is under way is finished first; Ctrl-C again ends at once")
            return
        if outcome is not None:
            what = f"{outcome.status}: {outcome.reason or outcome.stored}"
            line = f"{summary.n_done}/{summary.total} {outcome.name}: {what} ({outcome.seconds:.1f} s)"
        else:
            line = f"{summary.done_before} of {summary.total} were done before" if summary.done_before else ""
        counts = ", ".join(f"{summary.count(status)} {status}" for status in ("excluded", "failed"))
        text = f"{_rate(summary)}; {counts}".removeprefix("; ")
        self._progress.update(summary.n_done, total=summary.total, text=text, line=line)


class ShareDisplay(_Display):
    """The progress of one long job: a bar of percent on a terminal; elsewhere a line for each quarter."""

    def __init__(self, doing: str, console: Console | None = None) -> None:
        self._doing, self._quarters = doing, 0
        super().__init__(doing, console, total=100)

    def update(self, share: float) -> None:
        """Show how much of the job is done, 0 to 1."""
        line = f"{self._doing}: {25 * int(share * 4)} %" if int(share * 4) > self._quarters else ""
        self._quarters = max(self._quarters, int(share * 4))
        self._progress.update(round(100 * share), line=line)


def summary_lines(summary: Summary, *, named: bool = True) -> Iterator[RenderableType]:
    """Show the outcomes of a run: of few files each one, of many the number with each reason.

    Parameters
    ----------
    summary : Summary
        Of the run.
    named : bool, default True
        Whether few files are named; False where a line for each was printed before.
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
        yield Text("nothing is kept: no recording of this run meets the recipe")


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
                "kept": outcome.stored,
                "size_bytes": outcome.n_bytes,
                "duration_s": outcome.seconds,
            }
            for outcome in summary.outcomes
        ],
    }


def _files(summary: Summary) -> Table:
    table = Table("file", "outcome", "why, or what is kept", box=None, pad_edge=False)
    for outcome in sorted(summary.outcomes, key=lambda outcome: outcome.name):
        what = outcome.reason or outcome.stored
        table.add_row(Text(outcome.name), Text(outcome.status, _COLOURS[outcome.status]), Text(what))
    return table


def _reasons(summary: Summary) -> Table:
    table = Table("files", "outcome", "why", "for example", box=None, pad_edge=False)
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
    """Return the state of a cohort for JSON: counts, and reasons that differ in figures alone as one."""
    counts = {f"n_{key}": value for key, value in status.items() if isinstance(value, int)}
    counts["n_recordings"] = counts.pop("n_total")
    return {
        **counts,
        "reasons": [group._asdict() for group in groups],
        "not_given_ids": status.get("not_given_ids", []),
    }


def status_table(status: dict[str, Any], groups: list[Reasons], name: str) -> Table:
    """Show how many recordings of a cohort came out how, and why."""
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
    for group in groups[:_LONGEST]:
        table.add_row(str(group.n), Text(f"{group.status}: {group.reason}"))
    return table


def bench_facts(results: list[Measurement]) -> list[dict[str, Any]]:
    """Return one job of `imuspec bench` for JSON: a row for each library."""
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
