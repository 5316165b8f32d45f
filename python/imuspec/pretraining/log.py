"""The log of a training: means of the metrics over steps and processes, and errors for losses that are not finite."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from imuspec.pretraining.rates import peak_flop
from imuspec.pretraining.schedule import learning_rate
from imuspec.progress import Progress
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run

__all__ = ["CollapseError", "Log", "NonFiniteLossError"]

_COLLAPSED_LINES = 20


def defers(norm: Tensor) -> bool:
    """Return whether the check of a gradient is deferred to the next line of the log: on a GPU."""
    return norm.device.type == "cuda"


class NonFiniteLossError(RuntimeError):
    """The loss or the gradient became NaN or infinite. The last checkpoint was saved before that."""


class CollapseError(RuntimeError):
    """The features of all items became nearly the same. A contrastive training does not recover from that."""


class Log:
    """The log of a training. It collects the metrics of each step, and writes their means as lines.

    Lines go to ``metrics.jsonl``, to TensorBoard if it is installed, and to `progress`.

    Parameters
    ----------
    fabric : Fabric
        The processes of the training. The first process writes.
    run : Run
        The run whose ``metrics.jsonl`` gets the lines.
    settings : TrainingSettings
        Steps between lines, smallest spread, learning rates.
    steps_per_epoch : int
        Optimiser steps in an epoch.
    progress : Progress
        Display of the lines.

    Attributes
    ----------
    flop : int, optional
        Arithmetic of a step of all processes, FLOP; None before it is counted, 0 if it is not known. With it a line has
        ``tflop_per_s``, and on a known card ``mfu``, the share of its peak.
    """

    def __init__(
        self, fabric: Fabric, run: Run, settings: TrainingSettings, *, steps_per_epoch: int, progress: Progress
    ) -> None:
        self.fabric, self.run, self.settings, self.progress = fabric, run, settings, progress
        self.n, self.total = steps_per_epoch, settings.epochs * steps_per_epoch
        self.rate = learning_rate(settings)
        self.pending: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []  # loss, gradient norm, metrics of each step
        self.low_lines = 0  # consecutive lines with a spread below the limit
        self.flop: int | None = None
        card = torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else ""
        self.peak = fabric.world_size * (peak_flop(card) or 0.0)
        self._last_line = (0.0, 0)  # time, s, and step
        self._board: Any = None

    @contextmanager
    def writing(self, step: int) -> Iterator[None]:
        """Open the log, and close it at the end.

        Parameters
        ----------
        step : int
            Number of steps that earlier processes took.
        """
        self._last_line = (time.monotonic(), step)
        if self.fabric.is_global_zero and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=step + 1)
        try:
            yield
        finally:
            if self._board is not None:
                self._board.close()

    def add(self, loss: Tensor, norm: Tensor, metrics: dict[str, Tensor]) -> None:
        """Add a step to the next line.

        Parameters
        ----------
        loss, norm : Tensor
            Loss, and norm of the gradient, scalars.
        metrics : dict of str to Tensor
            Metrics of the objective, scalars.
        """
        self.pending.append((loss.detach(), norm, metrics))

    def check_gradient(self, norm: Tensor, step: int, optimizer: torch.optim.Optimizer) -> None:
        """Keep a gradient that is not finite from the weights.

        On a CPU it is an error at once. A GPU would have to finish the step first, so there the optimiser skips the steps
        whose gradient is not finite, and the error is raised by the next `write` or `state`.

        Parameters
        ----------
        norm : Tensor
            Norm of the gradient, a scalar, the same in all processes.
        step : int
            Number of the step, for the message.
        optimizer : torch.optim.Optimizer
            A fused optimiser, which skips a step if its ``found_inf`` is above 0.

        Raises
        ------
        NonFiniteLossError
            If the norm is NaN or infinite. With the precision ``16-mixed`` Fabric skips such steps, and there is no error.
        """
        if self.settings.precision == "16-mixed":
            return
        if defers(norm):
            optimizer.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]  # of fused optimisers
        elif not bool(torch.isfinite(norm)):
            self._raise_not_finite("gradient", float(norm), step)

    def write(self, step: int) -> None:
        """Write the means over the steps since the last line and over all processes.

        Parameters
        ----------
        step : int
            Number of the last step.

        Raises
        ------
        NonFiniteLossError
            If a loss or a gradient is NaN or infinite.
        CollapseError
            If the spread was below the limit in 20 consecutive lines.
        """
        if not self.pending:
            return
        self._check_pending(step)
        losses = torch.stack([loss for loss, _, _ in self.pending]).float()  # [steps]
        means = {"loss": losses.mean()}
        for key in self.pending[0][2]:
            means[key] = torch.stack([metrics[key].detach().float() for _, _, metrics in self.pending]).mean()
        means["grad_norm"] = torch.stack([norm for _, norm, _ in self.pending]).float().mean()
        if self.fabric.world_size > 1:
            means = {key: cast("Tensor", self.fabric.all_reduce(value)) for key, value in means.items()}
        self._check_spread(means, step)
        now = time.monotonic()
        seconds, steps = now - self._last_line[0], step - self._last_line[1]
        self._last_line = (now, step)
        self.pending.clear()
        self.write_line(
            {
                "step": step,
                "epoch": step / self.n,
                **{key: float(value) for key, value in means.items()},
                "lr": self.rate(step - 1, self.n),
                "per_s": steps * self.settings.batch / max(seconds, 1e-9),
                **self._arithmetic(steps / max(seconds, 1e-9)),
            }
        )

    def _arithmetic(self, steps_per_s: float) -> dict[str, float]:
        """Return the rate of arithmetic, TFLOP/s, and its share of the peak of the cards, where they are known."""
        if not self.flop:
            return {}
        rate = self.flop * steps_per_s
        return {"tflop_per_s": rate / 1e12, **({"mfu": rate / self.peak} if self.peak else {})}

    def write_line(self, line: dict[str, float]) -> None:
        """Write a line.

        Parameters
        ----------
        line : dict of str to float
            Metrics, with ``step`` and ``epoch``.
        """
        step = int(line["step"])
        metrics = {key: value for key, value in line.items() if key != "step"}
        if self.fabric.is_global_zero:
            self.run.log(**line)
        if self._board is not None:
            for key, value in metrics.items():
                self._board.add_scalar(key, value, step)
        text = ", ".join(f"{key} {value:.4g}" for key, value in metrics.items() if key not in ("epoch", "grad_norm"))
        self.progress.update(step, text=text, line=f"step {step}/{self.total} epoch {line['epoch']:.2f}: {text}")

    def state(self, step: int) -> dict[str, Any]:
        """Return the state that a resumed training needs: the steps since the last line, as means over the processes.

        Parameters
        ----------
        step : int
            Number of the last step, for messages.

        Raises
        ------
        NonFiniteLossError
            If a loss or a gradient is NaN or infinite.
        """
        if self.pending:
            self._check_pending(step)

        def mean(value: Tensor) -> Tensor:
            value = value.detach()
            return value if self.fabric.world_size == 1 else cast("Tensor", self.fabric.all_reduce(value.float()))

        pending = [
            (mean(loss), mean(norm), {key: mean(value) for key, value in metrics.items()})
            for loss, norm, metrics in self.pending
        ]
        return {"pending": pending, "low_lines": self.low_lines}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore an earlier result of `state`."""
        self.pending, self.low_lines = self.fabric.to_device(state["pending"]), int(state["low_lines"])

    def _check_pending(self, step: int) -> None:
        """Raise an error if a loss of any process, or a gradient, of the steps up to `step` is not finite."""
        losses = torch.stack([loss for loss, _, _ in self.pending]).float()  # [steps]
        norms = torch.stack([norm for _, norm, _ in self.pending]).float()  # [steps]
        finite = torch.isfinite(losses)
        if self.fabric.world_size > 1:
            finite = cast("Tensor", self.fabric.all_reduce(finite.float(), reduce_op="sum")) >= self.fabric.world_size
        finite_norms = torch.isfinite(norms) | (self.settings.precision == "16-mixed")
        for name, values, good in (("loss", losses, finite), ("gradient", norms, finite_norms)):
            bad = (~good).nonzero()
            if len(bad):
                first = int(bad[0])
                self._raise_not_finite(name, float(values[first]), step - len(values) + first + 1)

    def _check_spread(self, means: dict[str, Tensor], step: int) -> None:
        """Raise an error if the spread was below the limit in 20 consecutive lines."""
        low = "spread" in means and float(means["spread"]) < self.settings.collapse_spread
        self.low_lines = self.low_lines + 1 if low else 0
        if self.low_lines >= _COLLAPSED_LINES:
            raise CollapseError(
                f"features: expected a spread of at least {self.settings.collapse_spread} (1: uniform directions, 0: all the "
                f"same), got less in {self.low_lines} consecutive lines of the log up to step {step}: collapsed; another "
                f"training.base_lr, objective or views may help, training.collapse_spread=0 turns this check off"
            )

    def _raise_not_finite(self, name: str, value: float, step: int) -> None:
        checkpoint = self.run.checkpoint_path
        saved = f"; the checkpoint {checkpoint} was saved before" if checkpoint.exists() else ""
        raise NonFiniteLossError(
            f"{name}: expected a finite number, got {value} at step {step} "
            f"(learning rate {self.rate(step - 1, self.n):.3g}): a lower training.base_lr, "
            f"a warm-up or training.clip may help{saved}"
        )
