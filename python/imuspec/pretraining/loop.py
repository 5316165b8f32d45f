"""One loop, read from top to bottom: batch, views, loss, step, figures, checkpoint.

On several processes start it with ``torchrun --nproc-per-node N -m imuspec.cli pretrain ...``: Fabric reads torchrun's
variables, gradients are averaged by DDP (nccl on GPUs, gloo on CPUs).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from imuspec.interrupts import Interrupted, stop_on_signal
from imuspec.objectives import Objective
from imuspec.pretraining.log import CollapseError, Log, NonFiniteLossError
from imuspec.pretraining.processes import average_norms, start_processes
from imuspec.pretraining.schedule import learning_rate, peak_rate
from imuspec.pretraining.source import BatchSource, Validate
from imuspec.progress import Progress
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run

__all__ = ["CollapseError", "NonFiniteLossError", "train"]

Views = Callable[[Any, torch.Generator], tuple[Tensor, ...]]

_LINES_S = 10.0  # shortest time between lines where there is no bar


def train(
    objective: Objective,
    source: BatchSource,
    *,
    views: Views | None = None,
    settings: TrainingSettings,
    run: Run,
    resume: bool = False,
    validate: Validate | None = None,
) -> Run:
    """Train an objective; write figures, checkpoints and the encoder to a run.

    A training that was stopped and resumed gives the same bits as one that was not, on the same machine and libraries:
    every draw follows from (seed, step, rank), and the checkpoint holds the rest.

    Parameters
    ----------
    objective : Objective
        The encoder and what trains it.
    source : BatchSource
        The batches.
    views : callable, optional
        (batch, generator) -> what the objective sees, drawn on the batch's device; by default the batch itself.
    settings : TrainingSettings
        Optimiser, learning rates, precision, checkpoints.
    run : Run
        Where everything goes.
    resume : bool, default False
        Whether to continue from the run's checkpoint. Without a checkpoint the training starts anew.
    validate : callable, optional
        Called with the objective and the epoch after each epoch, in each process; its figures are logged.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    NonFiniteLossError
        If the gradient is not finite, before its step is taken, or the loss, at the next line of the log; parameters
        from then on are not saved.
    CollapseError
        If the features are nearly the same for all items over 20 lines of the log.
    imuspec.interrupts.Interrupted
        On Ctrl-C or SIGTERM: the current step is finished and a checkpoint saved.
    ValueError
        If the checkpoint is of another architecture.
    """
    fabric = start_processes(settings)
    images = settings.channels_last and objective.encoder.kind == "image"
    if images:
        objective.to(memory_format=torch.channels_last)
    if fabric.world_size > 1 and fabric.device.type == "cuda" and objective.sync_norm:
        objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
    optimizer = _optimizer(objective, settings, fabric.device)
    model, stepper = fabric.setup(objective, optimizer)
    if settings.compile:
        model.compile()
    n, total = source.steps_per_epoch, settings.epochs * source.steps_per_epoch
    rate, generator = learning_rate(settings), torch.Generator(device=fabric.device)
    progress = Progress("training", total=total, every_s=_LINES_S, silent=not fabric.is_global_zero)
    log = Log(fabric, run, settings, steps_per_epoch=n, progress=progress)
    step = _restore(fabric, run, objective, optimizer, log) if resume else 0
    saved_at = time.monotonic()
    with progress, log.writing(step), stop_on_signal() as stop, _forked_draws(fabric.device):
        objective.train()
        for epoch in range(step // n, settings.epochs):
            for stored in source.epoch(epoch, step % n):
                for group in optimizer.param_groups:
                    group["lr"] = peak_rate(settings) if group.get("fixed_lr") else rate(step, n)
                _seed(settings.seed, step, fabric.global_rank, generator)
                batch = fabric.to_device(stored)
                shown = views(batch, generator) if views else batch if isinstance(batch, tuple) else (batch,)
                if images:
                    shown = tuple(v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v for v in shown)

                loss, figures = model(*shown)
                stepper.zero_grad()
                fabric.backward(loss)
                norm = _clip(objective, settings.clip or math.inf)
                log.check_gradient(norm, step + 1)
                stepper.step()
                step += 1
                objective.after_step()

                log.add(loss, norm, figures)
                logs = step % settings.log_steps == 0
                if logs:
                    log.write(step)
                due = bool(settings.checkpoint_steps) and step % settings.checkpoint_steps == 0
                late = time.monotonic() - saved_at >= 60 * settings.checkpoint_minutes
                if due or _agreed(fabric, late, ask=logs):
                    _save(fabric, run, objective, optimizer, log, step)
                    saved_at = time.monotonic()
                if _agreed(fabric, stop.is_set(), ask=logs):
                    _save(fabric, run, objective, optimizer, log, step)
                    raise Interrupted(f"stopped after step {step} of {total}: resume goes on", stop.signum)
            log.write(step)
            if validate is not None:
                objective.eval()
                with torch.no_grad():
                    validated = validate(objective, epoch)
                objective.train()
                if validated:
                    numbers = {key: float(value) for key, value in validated.items()}
                    log.write_line({"step": step, "epoch": float(epoch + 1), **numbers})
        _save(fabric, run, objective, optimizer, log, step)
    return run


def _optimizer(objective: Objective, settings: TrainingSettings, device: torch.device) -> torch.optim.Optimizer:
    groups = objective.parameter_groups()
    decay, lr = settings.weight_decay, settings.base_lr
    fused = device.type in ("cpu", "cuda")
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=fused)
    maker = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return maker(groups, lr=lr, betas=(settings.beta1, settings.beta2), weight_decay=decay, fused=fused)


def _forked_draws(device: torch.device) -> Any:
    """Leave torch's generators as they were when the training ends."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def _seed(seed: int, step: int, rank: int, generator: torch.Generator) -> None:
    """Seed every draw of a step from (seed, step, rank), so that a resume needs no generator's past."""
    words = np.random.SeedSequence([seed, step, rank]).generate_state(2, np.uint64)
    torch.manual_seed(int(words[0] >> 1))
    generator.manual_seed(int(words[1] >> 1))


def _clip(objective: Objective, largest: float) -> Tensor:
    """Scale the gradient down to the largest norm, and return its norm before."""
    parameters = [parameter for parameter in objective.parameters() if parameter.grad is not None]
    return nn.utils.clip_grad_norm_(parameters, largest, foreach=True).detach()


def _agreed(fabric: Fabric, mine: bool, *, ask: bool) -> bool:
    """Whether the processes stop or save now: one decides alone; several ask the first, at the steps of a line."""
    if fabric.world_size == 1:
        return mine
    return ask and bool(fabric.broadcast(mine))


def _save(
    fabric: Fabric, run: Run, objective: Objective, optimizer: torch.optim.Optimizer, log: Log, step: int
) -> None:
    """Write the checkpoint, and the encoder as it is now."""
    logged = log.state(step)
    average_norms(fabric, objective)
    if fabric.is_global_zero:
        weights, moments = objective.state_dict(), optimizer.state_dict()
        run.save_checkpoint({"step": step, "objective": weights, "optimizer": moments, **logged})
        if objective.encoder.spec is not None:
            run.save_encoder(objective.encoder)
    fabric.barrier()


def _restore(fabric: Fabric, run: Run, objective: Objective, optimizer: torch.optim.Optimizer, log: Log) -> int:
    """Load the run's checkpoint, if it has one, and return its step."""
    state = run.load_checkpoint()
    step = 0 if state is None else int(state["step"])
    if state is not None:
        try:
            objective.load_state_dict(state["objective"])
            optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError) as error:
            problem = " ".join(str(error).split())[:300]
            raise ValueError(
                f"{run.checkpoint_path}: expected a checkpoint of this objective and encoder, got another's: {problem}"
            ) from error
        log.load_state(state)
    if fabric.is_global_zero:
        run.truncate_metrics(step)
    return step
