"""One display of a long run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress"]


class Progress:
    """A bar with counts and time left on a terminal; elsewhere lines on the standard error.

    Parameters
    ----------
    doing : str
        What is done, in a word, before the bar.
    total : int, optional
        Number of items, files or steps; it may come with `update`.
    done : int, default 0
        Number that was done before.
    every_s : float, default 0
        Shortest time between two lines, s; the line of the last item is always shown.
    silent : bool, default False
        Whether to show nothing.
    console : rich.console.Console, optional
        Where to show it; by default the standard error.
    """

    def __init__(
        self,
        doing: str,
        *,
        total: int | None = None,
        done: int = 0,
        every_s: float = 0.0,
        silent: bool = False,
        console: Console | None = None,
    ) -> None:
        self._doing, self._total, self._done = doing, total, done
        self._every_s, self._silent, self._console = every_s, silent, console
        self._last_line = -float("inf")
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self._silent or (self._console is None and not sys.stderr.isatty()):
            return self
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        console = self._console or Console(stderr=True, emoji=False)  # a name with colons is no emoji
        if console.is_terminal:
            columns = (TextColumn(self._doing), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Bar(*columns, TimeRemainingColumn(), console=console)
            self._task = self._bar.add_task("", total=self._total, completed=self._done, text="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, *, total: int | None = None, text: str = "", line: str = "") -> None:
        """Show how far the run is.

        Parameters
        ----------
        done : int
            Number of items that are done.
        total : int, optional
            Number of items, where it was not known before.
        text : str, default ""
            Shown behind the bar.
        line : str, default ""
            Shown where there is no bar; empty shows none.
        """
        self._total = self._total if total is None else total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self._total, text=text)
            return
        last = self._total is not None and done >= self._total
        if line and (last or time.monotonic() - self._last_line >= self._every_s):
            self._last_line = time.monotonic()
            self.say(line)

    def say(self, text: str) -> None:
        """Show a line, above the bar if there is one."""
        if self._silent:
            return
        console = self._bar.console if self._bar is not None else self._console
        if console is not None:
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)
