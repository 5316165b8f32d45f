"""One display of long runs: a bar where there is a terminal, lines where there is none."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from imuspec.progress import Progress


def test_without_a_terminal_lines_go_to_the_standard_error_and_the_last_is_always_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Progress("training", total=4, every_s=1000.0) as progress:
        for step in range(1, 5):
            progress.update(step, text=f"loss {step}", line=f"step {step}/4")
    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["step 1/4", "step 4/4"]
    assert shown.out == ""


def test_a_terminal_gets_a_bar_with_counts_and_figures() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Progress("embedding", console=console) as progress:
        progress.update(3, total=7, text="2.5 files/s", line="never shown")
        progress.say("[stopping]")
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(part in shown for part in ("embedding", "3/7", "2.5 files/s", "[stopping]"))
    assert "never shown" not in shown


def test_a_silent_progress_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("training", total=1, silent=True) as progress:
        progress.update(1, line="step 1/1")
        progress.say("stopping")
    assert capsys.readouterr() == ("", "")
