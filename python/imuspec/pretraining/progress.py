"""What a training shows: a bar on a terminal, elsewhere a line now and then, TensorBoard's files where it is installed."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Progress"]

_BETWEEN_LINES_S = 10.0


class Progress:
    """Show logged figures; silent in every process but the first.

    Parameters
    ----------
    total
        Steps of the whole training.
    done
        Steps done before.
    folder
        Where TensorBoard's files go; None writes none.
    silent
        Show nothing.
    """

    def __init__(self, total: int, done: int, folder: Path | None, *, silent: bool) -> None:
        self._total, self._done, self._silent = total, done, silent
        self._bar: Any = None
        self._task: Any = None
        self._said = -float("inf")
        self._writer: Any = None
        if folder is not None and not silent and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=done + 1)

    def __enter__(self) -> Self:
        if not self._silent and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("training"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=self._total, completed=self._done, figures="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._writer is not None:
            self._writer.close()

    def update(self, line: dict[str, float]) -> None:
        """Show one line of metrics."""
        step = int(line["step"])
        if self._writer is not None:
            for key, value in line.items():
                if key != "step":
                    self._writer.add_scalar(key, value, step)
        if self._silent:
            return
        text = ", ".join(
            f"{key} {value:.4g}" for key, value in line.items() if key not in ("step", "epoch", "grad_norm")
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=step, figures=text)
        elif time.monotonic() - self._said >= _BETWEEN_LINES_S or step >= self._total:
            self._said = time.monotonic()
            print(f"step {step}/{self._total} epoch {line['epoch']:.2f}: {text}", file=sys.stderr, flush=True)
