"""The log of a training: means of its figures over steps and processes, and what stops it when they go wrong."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from imuspec.pretraining.schedule import learning_rate
from imuspec.progress import Progress
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run

__all__ = ["CollapseError", "Log", "NonFiniteLossError"]

_COLLAPSED_LINES = 20


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the last checkpoint is from before."""


class CollapseError(RuntimeError):
    """The features of all items became the same, from which a contrastive training does not recover."""


class Log:
    """Losses and figures of the steps since the last line, and the lines in ``metrics.jsonl``, TensorBoard and `progress`.

    Parameters
    ----------
    fabric : Fabric
        The processes; the first one writes.
    run : Run
        Where lines go.
    settings : TrainingSettings
        Steps between lines, spread that counts as collapse, learning rates.
    steps_per_epoch : int
        Optimiser steps of an epoch.
    progress : Progress
        Shows each line.
    """

    def __init__(
        self, fabric: Fabric, run: Run, settings: TrainingSettings, *, steps_per_epoch: int, progress: Progress
    ) -> None:
        self.fabric, self.run, self.settings, self.progress = fabric, run, settings, progress
        self.n, self.total = steps_per_epoch, settings.epochs * steps_per_epoch
        self.rate = learning_rate(settings)
        self.pending: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []  # loss, gradient norm, figures of each step
        self.low_lines = 0
        self._timed = (0.0, 0)
        self._board: Any = None

    @contextmanager
    def writing(self, step: int) -> Iterator[None]:
        """Start the clock at a step, and write TensorBoard's files where it is installed."""
        self._timed = (time.monotonic(), step)
        if self.fabric.is_global_zero and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=step + 1)
        try:
            yield
        finally:
            if self._board is not None:
                self._board.close()

    def add(self, loss: Tensor, norm: Tensor, figures: dict[str, Tensor]) -> None:
        """Keep the loss, the norm of the gradient and the figures of a step, all scalars, for the next line."""
        self.pending.append((loss.detach(), norm, figures))

    def check_gradient(self, norm: Tensor, step: int) -> None:
        """Raise `NonFiniteLossError` before a gradient that is not finite reaches the weights of any process."""
        # 16-mixed scales the loss and skips such steps itself
        if self.settings.precision != "16-mixed" and not bool(torch.isfinite(norm)):
            self._refuse("gradient", float(norm), step)

    def write(self, step: int) -> None:
        """Write the mean of the steps since the last line, once all their losses are known to be finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for loss, _, _ in self.pending]).float()  # [steps]
        self._check_losses(losses, step)
        means = {"loss": losses.mean()}
        for key in self.pending[0][2]:
            means[key] = torch.stack([figures[key].detach().float() for _, _, figures in self.pending]).mean()
        means["grad_norm"] = torch.stack([norm for _, norm, _ in self.pending]).float().mean()
        if self.fabric.world_size > 1:
            means = {key: cast("Tensor", self.fabric.all_reduce(value)) for key, value in means.items()}
        self._check_spread(means, step)
        now = time.monotonic()
        seconds, steps = now - self._timed[0], step - self._timed[1]
        self._timed = (now, step)
        self.pending.clear()
        self.write_line(
            {
                "step": step,
                "epoch": step / self.n,
                **{key: float(value) for key, value in means.items()},
                "lr": self.rate(step - 1, self.n),
                "per_s": steps * self.settings.batch / max(seconds, 1e-9),
            }
        )

    def write_line(self, line: dict[str, float]) -> None:
        """Write a line of figures with its ``step`` and ``epoch``."""
        step = int(line["step"])
        figures = {key: value for key, value in line.items() if key != "step"}
        if self.fabric.is_global_zero:
            self.run.log(**line)
        if self._board is not None:
            for key, value in figures.items():
                self._board.add_scalar(key, value, step)
        text = ", ".join(f"{key} {value:.4g}" for key, value in figures.items() if key not in ("epoch", "grad_norm"))
        self.progress.update(step, text=text, line=f"step {step}/{self.total} epoch {line['epoch']:.2f}: {text}")

    def state(self, step: int) -> dict[str, Any]:
        """Return what a resumed training needs: the steps since the last line, all finite, as means of the processes."""
        if self.pending:
            self._check_losses(torch.stack([loss for loss, _, _ in self.pending]).float(), step)

        def mean(value: Tensor) -> Tensor:
            value = value.detach()
            return value if self.fabric.world_size == 1 else cast("Tensor", self.fabric.all_reduce(value.float()))

        pending = [
            (mean(loss), mean(norm), {key: mean(value) for key, value in figures.items()})
            for loss, norm, figures in self.pending
        ]
        return {"pending": pending, "low_lines": self.low_lines}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.pending, self.low_lines = self.fabric.to_device(state["pending"]), int(state["low_lines"])

    def _check_losses(self, losses: Tensor, step: int) -> None:
        """Raise if a loss ``[steps]`` of the steps up to `step` is not finite in any process."""
        finite = torch.isfinite(losses)
        if self.fabric.world_size > 1:
            finite = cast("Tensor", self.fabric.all_reduce(finite.float(), reduce_op="sum")) >= self.fabric.world_size
        bad = (~finite).nonzero()
        if len(bad):
            first = int(bad[0])
            self._refuse("loss", float(losses[first]), step - len(losses) + first + 1)

    def _check_spread(self, means: dict[str, Tensor], step: int) -> None:
        low = "spread" in means and float(means["spread"]) < self.settings.collapse_spread
        self.low_lines = self.low_lines + 1 if low else 0
        if self.low_lines >= _COLLAPSED_LINES:
            raise CollapseError(
                f"features: expected a spread of at least {self.settings.collapse_spread} (1: spread evenly, 0: all the "
                f"same), got less in {self.low_lines} lines of the log up to step {step}: collapsed; another "
                f"training.base_lr, objective or views may help, training.collapse_spread=0 goes on"
            )

    def _refuse(self, name: str, value: float, step: int) -> None:
        checkpoint = self.run.checkpoint_path
        where = f"; the checkpoint in {checkpoint} is from before" if checkpoint.exists() else ""
        raise NonFiniteLossError(
            f"{name}: expected a finite number, got {value} at step {step} "
            f"(learning rate {self.rate(step - 1, self.n):.3g}): a lower training.base_lr, "
            f"a warm-up or training.clip may help{where}"
        )
