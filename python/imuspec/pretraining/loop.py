"""The training loop: batch, views, loss, optimiser step, log, checkpoint.

To train with N processes, start ``torchrun --nproc-per-node N -m imuspec.cli pretrain ...``. Fabric reads the environment
variables of torchrun, and DDP averages the gradients (nccl on GPUs, gloo on CPUs).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from imuspec.interrupts import Interrupted, stop_on_signal
from imuspec.objectives import Objective
from imuspec.pretraining.computation import computing, differences, facts_of, resolve
from imuspec.pretraining.log import CollapseError, Log, NonFiniteLossError
from imuspec.pretraining.prefetch import on_device
from imuspec.pretraining.processes import average_norms, rank_and_world, start_processes
from imuspec.pretraining.schedule import learning_rate, peak_rate
from imuspec.pretraining.source import BatchSource, Validate
from imuspec.pretraining.step import GraphedStep, TrainingStep
from imuspec.progress import Progress
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run

__all__ = ["CollapseError", "NonFiniteLossError", "train"]

Views = Callable[[Any, torch.Generator], tuple[Tensor, ...]]

_LINES_S = 10.0  # shortest time between two printed lines, if there is no progress bar


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
    """Train an objective, and write metrics, checkpoints and the encoder to a run.

    On the same machine and libraries, a training that was stopped and resumed gives the same bits as one that was not. The
    random numbers of a step depend only on (seed, step, rank), and the checkpoint holds all other state.

    Parameters
    ----------
    objective : Objective
        The objective with its encoder.
    source : BatchSource
        Source of the batches.
    views : callable, optional
        ``views(batch, generator)`` returns the inputs of the objective, computed on the batch's device; by default the batch
        is the input.
    settings : TrainingSettings
        Optimiser, learning rates, precision, log and checkpoints.
    run : Run
        The run to write to.
    resume : bool, default False
        Whether to continue from the run's checkpoint. Without a checkpoint the training starts from step 0.
    validate : callable, optional
        ``validate(objective, epoch)`` is called after each epoch in each process. The metrics that it returns are logged.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    NonFiniteLossError
        If the gradient is not finite, before the weights change (on a GPU the step is skipped, and the error comes with the
        next line of the log); or if the loss is not finite, at the next line of the log. No later weights are saved.
    CollapseError
        If the features of all items were nearly the same in 20 consecutive lines of the log.
    imuspec.interrupts.Interrupted
        On Ctrl-C or SIGTERM, after the current step and a checkpoint.
    ValueError
        If the checkpoint is of another architecture, or ``settings.graph`` is true and the training cannot have a graph.
    """
    n_steps = settings.epochs * source.steps_per_epoch
    settings = resolve(settings, n_steps=n_steps, one_graph=objective.one_graph, world=rank_and_world()[1])
    with computing(settings):
        return _train(objective, source, views=views, settings=settings, run=run, resume=resume, validate=validate)


def _train(
    objective: Objective,
    source: BatchSource,
    *,
    views: Views | None,
    settings: TrainingSettings,
    run: Run,
    resume: bool,
    validate: Validate | None,
) -> Run:
    """Train with settings that have no "auto"."""
    fabric = start_processes(settings)
    if settings.channels_last and objective.encoder.kind == "image":
        objective.to(memory_format=torch.channels_last)
    if fabric.world_size > 1 and fabric.device.type == "cuda" and objective.sync_norm:
        objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
    optimizer = _optimizer(objective, settings, fabric.device)
    model, stepper = fabric.setup(objective, optimizer)
    if settings.compile:
        model.compile()
    n = source.steps_per_epoch
    total = settings.epochs * n
    rate, generator = learning_rate(settings), torch.Generator(device=fabric.device)
    progress = Progress("training", total=total, every_s=_LINES_S, silent=not fabric.is_global_zero)
    log = Log(fabric, run, settings, steps_per_epoch=n, progress=progress)
    step = _restore(fabric, run, objective, optimizer, log) if resume else 0
    _write_computation(fabric, run, settings, resume=step > 0)
    train_on = TrainingStep(
        fabric,
        objective,
        model,
        optimizer,
        stepper,
        settings,
        views,
        generator,
        check=lambda norm: log.check_gradient(norm, step + 1, optimizer),
    )
    run_step = GraphedStep(train_on, generator) if settings.graph else train_on
    saved_at = time.monotonic()
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with progress, log.writing(step), stop_on_signal() as stop, torch.random.fork_rng(devices=gpus):
        objective.train()
        for epoch in range(step // n, settings.epochs):
            for batch in on_device(source.epoch(epoch, step % n), fabric.device):
                for group in optimizer.param_groups:
                    _set_rate(group, peak_rate(settings) if group.get("fixed_lr") else rate(step, n))
                if gpus and log.flop is None:
                    log.flop = fabric.world_size * train_on.flop(batch)
                _seed(settings.seed, step, fabric.global_rank, generator)
                loss, norm, metrics = run_step(batch)
                step += 1

                log.add(loss, norm, metrics)
                logged = step % settings.log_steps == 0
                if logged:
                    log.write(step)
                due_by_step = bool(settings.checkpoint_steps) and step % settings.checkpoint_steps == 0
                due_by_time = time.monotonic() - saved_at >= 60 * settings.checkpoint_minutes
                if due_by_step or _decide(fabric, due_by_time, together=logged):
                    _save(fabric, run, objective, optimizer, log, step)
                    saved_at = time.monotonic()
                if _decide(fabric, stop.is_set(), together=logged):
                    _save(fabric, run, objective, optimizer, log, step)
                    raise Interrupted(f"stopped after step {step} of {total}: resume to continue", stop.signum)
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
    decay, fused = settings.weight_decay, device.type in ("cpu", "cuda")
    lr: float | Tensor = settings.base_lr
    if settings.graph:
        lr = torch.tensor(lr, device=device)
        groups = [{**group, "lr": lr.clone()} for group in groups]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, weight_decay=decay, fused=fused)
    optimiser = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    betas = (settings.beta1, settings.beta2)
    return optimiser(groups, lr=lr, betas=betas, weight_decay=decay, fused=fused, capturable=settings.graph)


def _seed(seed: int, step: int, rank: int, generator: torch.Generator) -> None:
    """Seed torch's generator and that of the views with (seed, step, rank), so that a checkpoint needs no generator state."""
    words = np.random.SeedSequence([seed, step, rank]).generate_state(2, np.uint64)
    torch.manual_seed(int(words[0] >> 1))
    generator.manual_seed(int(words[1] >> 1))


def _set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of a parameter group. A graph reads it from a tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _write_computation(fabric: Fabric, run: Run, settings: TrainingSettings, *, resume: bool) -> None:
    """Write how the training computes, and print what differs from the training that it resumes."""
    if not fabric.is_global_zero:
        return
    facts = facts_of(settings, fabric.world_size)
    path = run.path / "computation.json"
    if resume and path.is_file():
        for line in differences(path.read_text("utf-8"), facts):
            print(f"{run.path}: resumed with another {line}: the bits are not those of one training", file=sys.stderr)
    run.write_text("computation.json", json.dumps(facts, indent=2) + "\n")


def _decide(fabric: Fabric, condition: bool, *, together: bool) -> bool:
    """Return the same decision in all processes: the condition of the first process, at steps where they communicate."""
    if fabric.world_size == 1:
        return condition
    return together and bool(fabric.broadcast(condition))


def _save(
    fabric: Fabric, run: Run, objective: Objective, optimizer: torch.optim.Optimizer, log: Log, step: int
) -> None:
    """Write the checkpoint and the encoder."""
    log_state = log.state(step)
    average_norms(fabric, objective)
    if fabric.is_global_zero:
        states = {"objective": objective.state_dict(), "optimizer": optimizer.state_dict()}
        run.save_checkpoint({"step": step, **states, **log_state})
        if objective.encoder.spec is not None:
            run.save_encoder(objective.encoder)
    fabric.barrier()


def _restore(fabric: Fabric, run: Run, objective: Objective, optimizer: torch.optim.Optimizer, log: Log) -> int:
    """Load the run's checkpoint, and return its step; 0 without a checkpoint."""
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
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # not moved with the state
                group["lr"] = group["lr"].to(fabric.device)
        log.load_state(state)
    if fabric.is_global_zero:
        run.truncate_metrics(step)
    return step
