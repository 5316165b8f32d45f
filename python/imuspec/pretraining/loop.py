"""One loop, read from top to bottom: batch, views, loss, step, figures, checkpoint.

On several processes start it with ``torchrun --nproc-per-node N -m imuspec.cli pretrain ...``: Fabric reads torchrun's
variables, gradients are averaged by DDP (nccl on GPUs, gloo on CPUs).
"""

from __future__ import annotations

import atexit
import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from imuspec.interrupts import Interrupted, stop_on_signal
from imuspec.pretraining.processes import place
from imuspec.pretraining.progress import Progress
from imuspec.pretraining.schedule import learning_rate
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run

__all__ = ["BatchSource", "CollapseError", "NonFiniteLossError", "train"]

_COLLAPSED_LINES = 20

Batch = Tensor | tuple[Tensor, ...]
Views = Callable[[Any, torch.Generator], tuple[Tensor, ...]]
Validate = Callable[[nn.Module, int], dict[str, float]]


class BatchSource(Protocol):
    """Batches of this process, a function of (seed, epoch, step, rank, world) alone."""

    steps_per_epoch: int

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch from `first_step` on: a tensor or a tuple of tensors each."""
        ...


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the last checkpoint is from before."""


class CollapseError(RuntimeError):
    """Features of all items have become the same, from which a contrastive training does not come back."""


def train(
    objective: nn.Module,
    source: BatchSource,
    *,
    views: Views | None = None,
    settings: TrainingSettings,
    run: Run,
    resume: bool = False,
    validate: Validate | None = None,
) -> Run:
    """Train an objective and keep figures, checkpoints and the encoder in a Run.

    A training that was stopped and resumed gives the same bits as one that was not, on the same machine and libraries:
    every draw follows from (seed, step, rank), and the checkpoint holds all that has a past.

    Parameters
    ----------
    objective
        A module with ``encoder`` and ``forward(*views) -> (loss, figures)``; ``after_step()`` is called after each
        optimiser step if there is one, and ``parameter_groups()`` says which parameters are trained how if there is one
        (a group with ``fixed_lr`` keeps the rate of the end of the warm-up).
    source
        The batches.
    views
        What is shown of a batch, drawn on the batch's device; None hands the batch itself to the objective.
    settings
        Optimiser, learning rates, precision, checkpoints.
    run
        Where everything goes.
    resume
        Go on from the run's checkpoint, from the start when there is none.
    validate
        Called with the objective and the epoch after each epoch, in each process; its figures are logged.

    Returns
    -------
    The run.

    Raises
    ------
    NonFiniteLossError
        The gradient is not finite, found before its step is taken, or the loss, found at the next line of the log;
        parameters from then on are not kept.
    CollapseError
        The features have been nearly the same for all items over 20 lines of the log.
    imuspec.interrupts.Interrupted
        Ctrl-C or SIGTERM: the step under way is finished and a checkpoint kept.
    ValueError
        A checkpoint of another architecture.
    """
    training = _Training(objective, source, views, settings, run)
    if resume:
        training.restore()
    training.fit(validate)
    return run


class _Training:
    def __init__(
        self, objective: nn.Module, source: BatchSource, views: Views | None, settings: TrainingSettings, run: Run
    ) -> None:
        self.settings, self.source, self.views, self.run = settings, source, views, run
        self.fabric = _fabric(settings)
        self.rate = learning_rate(settings)
        self.step = 0
        self.low_lines = 0
        self.pending: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []
        self.images = settings.channels_last and getattr(objective.encoder, "kind", "") == "image"
        if self.images:
            objective.to(memory_format=torch.channels_last)
        if self.fabric.world_size > 1 and self.fabric.device.type == "cuda" and getattr(objective, "sync_norm", False):
            objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
        self.objective = objective
        self.optimizer = _optimizer(objective, settings, self.fabric.device)
        self.model, self.stepper = self.fabric.setup(objective, self.optimizer)
        if settings.compile:
            self.model.compile()
        self.generator = torch.Generator(device=self.fabric.device)

    @property
    def total(self) -> int:
        return self.settings.epochs * self.source.steps_per_epoch

    def fit(self, validate: Validate | None) -> None:
        folder = self.run.path / "tensorboard"
        silent = not self.fabric.is_global_zero
        self.kept_at = time.monotonic()
        with (
            Progress(self.total, self.step, folder, silent=silent) as progress,
            stop_on_signal() as stop,
            torch.random.fork_rng(devices=[self.fabric.device] if self.fabric.device.type == "cuda" else []),
        ):
            self.progress = progress
            self.timed = (time.monotonic(), self.step)
            self.objective.train()
            for epoch in range(self.step // self.source.steps_per_epoch, self.settings.epochs):
                for batch in self.source.epoch(epoch, self.step % self.source.steps_per_epoch):
                    self._one_step(batch)
                    if self._agreed(stop.is_set()):
                        self.keep()
                        raise Interrupted(
                            f"stopped after step {self.step} of {self.total}: resume goes on", stop.signum
                        )
                self._flush()
                if validate is not None:
                    self._validated(validate, epoch)
            self.keep()

    def _one_step(self, batch: Batch) -> None:
        rate = self.rate(self.step, self.source.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate_at_peak if group.get("fixed_lr") else rate
        self._seed()
        batch = self.fabric.to_device(batch)
        shown = (
            (batch if isinstance(batch, tuple) else (batch,))
            if self.views is None
            else self.views(batch, self.generator)
        )
        if self.images:
            shown = tuple(v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in shown)
        loss, figures = self.model(*shown)
        self.stepper.zero_grad()
        self.fabric.backward(loss)
        norm = self._clipped()
        self._check_gradient(norm)
        self.stepper.step()
        self.step += 1
        after_step = getattr(self.objective, "after_step", None)
        if after_step is not None:
            after_step()
        self.pending.append((loss.detach(), norm, figures))
        if self.step % self.settings.log_steps == 0:
            self._flush()
        every = self.settings.checkpoint_steps
        late = time.monotonic() - self.kept_at >= 60 * self.settings.checkpoint_minutes
        if (every and self.step % every == 0) or self._agreed(late):
            self.keep()

    @property
    def rate_at_peak(self) -> float:
        scale = self.settings.batch / 256 if self.settings.scale_lr else 1.0
        return scale * self.settings.base_lr

    def _seed(self) -> None:
        """Every draw of a step follows from (seed, step, rank), so that a resume needs no generator's past."""
        words = np.random.SeedSequence([self.settings.seed, self.step, self.fabric.global_rank]).generate_state(
            2, np.uint64
        )
        torch.manual_seed(int(words[0] >> 1))
        self.generator.manual_seed(int(words[1] >> 1))

    def _clipped(self) -> Tensor:
        parameters = [p for p in self.objective.parameters() if p.grad is not None]
        largest = self.settings.clip or math.inf
        return nn.utils.clip_grad_norm_(parameters, largest, foreach=True).detach()

    def _check_gradient(self, norm: Tensor) -> None:
        """Refuse a gradient that is not finite before it reaches the weights; it is the same in every process."""
        if self.settings.precision != "16-mixed" and not bool(
            torch.isfinite(norm)
        ):  # 16-mixed scales and skips such steps
            self._refuse("gradient", float(norm), self.step + 1)

    def _refuse(self, name: str, value: float, step: int) -> None:
        checkpoint = self.run.checkpoint_path
        where = f"; the checkpoint in {checkpoint} is from before" if checkpoint.exists() else ""
        raise NonFiniteLossError(
            f"{name}: expected a finite number, got {value} at step {step} "
            f"(learning rate {self.rate(step - 1, self.source.steps_per_epoch):.3g}): a lower training.base_lr, "
            f"a warm-up or training.clip may help{where}"
        )

    def _agreed(self, mine: bool) -> bool:
        """Whether the processes stop or keep now: one asks itself, several ask the first one when they log anyway."""
        if self.fabric.world_size == 1:
            return mine
        if self.step % self.settings.log_steps:
            return False
        return bool(self.fabric.broadcast(mine))

    def _flush(self) -> None:
        """Log the mean of the steps since the last line, once all their losses are known to be finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for loss, _, _ in self.pending]).float()
        self._check(losses)
        means = {"loss": losses.mean()}
        for key in self.pending[0][2]:
            means[key] = torch.stack([figures[key].detach().float() for _, _, figures in self.pending]).mean()
        means["grad_norm"] = torch.stack([norm for _, norm, _ in self.pending]).float().mean()
        if self.fabric.world_size > 1:
            means = {key: cast("Tensor", self.fabric.all_reduce(value)) for key, value in means.items()}
        self._check_spread(means)
        now = time.monotonic()
        seconds, steps = now - self.timed[0], self.step - self.timed[1]
        self.timed = (now, self.step)
        self.pending.clear()
        self._log(
            {
                "step": self.step,
                "epoch": self.step / self.source.steps_per_epoch,
                **{key: float(value) for key, value in means.items()},
                "lr": self.rate(self.step - 1, self.source.steps_per_epoch),
                "per_s": steps * self.settings.batch / max(seconds, 1e-9),
            }
        )

    def _check(self, losses: Tensor) -> None:
        finite = torch.isfinite(losses)
        if self.fabric.world_size > 1:
            finite = cast("Tensor", self.fabric.all_reduce(finite.float(), reduce_op="sum")) >= self.fabric.world_size
        bad = (~finite).nonzero()
        if len(bad):
            first = int(bad[0])
            self._refuse("loss", float(losses[first]), self.step - len(losses) + first + 1)

    def _check_spread(self, means: dict[str, Tensor]) -> None:
        low = "spread" in means and float(means["spread"]) < self.settings.collapse_spread
        self.low_lines = self.low_lines + 1 if low else 0
        if self.low_lines >= _COLLAPSED_LINES:
            raise CollapseError(
                f"features: expected a spread of at least {self.settings.collapse_spread} (1: spread evenly, 0: all the "
                f"same), got less in {self.low_lines} lines of the log up to step {self.step}: collapsed; another "
                f"training.base_lr, objective or views may help, training.collapse_spread=0 goes on"
            )

    def _log(self, line: dict[str, float]) -> None:
        if self.fabric.is_global_zero:
            self.run.log(**line)
        self.progress.update(line)

    def _validated(self, validate: Validate, epoch: int) -> None:
        self.objective.eval()
        with torch.no_grad():
            figures = validate(self.objective, epoch)
        self.objective.train()
        if figures:
            self._log({"step": self.step, "epoch": float(epoch + 1), **{key: float(v) for key, v in figures.items()}})

    def keep(self) -> None:
        """Write the checkpoint and the encoder as it is now; the steps since the last line wait for theirs in it."""
        pending = self._pending_means()
        self._average_norms()
        if self.fabric.is_global_zero:
            self.run.save_checkpoint(
                {
                    "step": self.step,
                    "objective": self.objective.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "pending": pending,
                    "low_lines": self.low_lines,
                }
            )
            if hasattr(self.objective.encoder, "_built_as"):
                self.run.save_encoder(cast("nn.Module", self.objective.encoder))
        self.fabric.barrier()
        self.kept_at = time.monotonic()

    def _pending_means(self) -> list[tuple[Tensor, Tensor, dict[str, Tensor]]]:
        """Return loss, gradient norm and figures of each step since the last line, all finite, means of the processes."""
        if self.pending:
            self._check(torch.stack([loss for loss, _, _ in self.pending]).float())

        def mean(value: Tensor) -> Tensor:
            value = value.detach()
            return value if self.fabric.world_size == 1 else cast("Tensor", self.fabric.all_reduce(value.float()))

        return [
            (mean(loss), mean(norm), {key: mean(value) for key, value in figures.items()})
            for loss, norm, figures in self.pending
        ]

    def _average_norms(self) -> None:
        """Give every process the mean of the norms' running figures, each having seen its own batches alone."""
        if self.fabric.world_size == 1:
            return
        for name, buffer in self.objective.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.copy_(cast("Tensor", self.fabric.all_reduce(buffer)))

    def restore(self) -> None:
        """Go on from the run's checkpoint, if it has one."""
        state = self.run.load_checkpoint()
        if state is None:
            if self.fabric.is_global_zero:
                self.run.forget_after(0)
            return
        try:
            self.objective.load_state_dict(state["objective"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            problem = " ".join(str(error).split())[:300]
            raise ValueError(
                f"{self.run.checkpoint_path}: expected a checkpoint of this objective and encoder, got another's: {problem}"
            ) from error
        self.step, self.low_lines = int(state["step"]), int(state["low_lines"])
        self.pending = self.fabric.to_device(state["pending"])
        if self.fabric.is_global_zero:
            self.run.forget_after(self.step)


def _fabric(settings: TrainingSettings) -> Fabric:
    world = place()[1]
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    fabric = Fabric(
        accelerator=settings.device,
        devices=here,
        num_nodes=world // here,
        strategy=DDPStrategy(broadcast_buffers=False) if world > 1 else "auto",
        precision=settings.precision,
    )
    fabric.launch()
    if world > 1:
        atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """End gloo's threads: a process that exits while they run may abort after all its work is done."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _optimizer(objective: nn.Module, settings: TrainingSettings, device: torch.device) -> torch.optim.Optimizer:
    if hasattr(objective, "parameter_groups"):
        groups = list(cast("Any", objective).parameter_groups())
    else:
        groups = [{"params": [parameter for parameter in objective.parameters() if parameter.requires_grad]}]
    decay, lr = settings.weight_decay, settings.base_lr
    fused = device.type in ("cpu", "cuda")
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=fused)
    maker = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return maker(groups, lr=lr, betas=(settings.beta1, settings.beta2), weight_decay=decay, fused=fused)
