"""One step of a training: views, loss, gradient, optimiser; on a GPU optionally as a graph that is launched at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from imuspec.objectives import Objective
from imuspec.pretraining.rates import step_flop
from imuspec.recipe import TrainingSettings

__all__ = ["Figures", "GraphedStep", "TrainingStep"]

Figures = tuple[Tensor, Tensor, dict[str, Tensor]]
"""Loss, norm of the gradient, and metrics of a step, scalars."""

_WARM_UP = 3  # steps before a graph is captured: libraries choose kernels and reserve memory in them


@dataclass(frozen=True)
class TrainingStep:
    """A training step on a batch.

    Parameters
    ----------
    fabric : Fabric
        The processes of the training.
    objective : Objective
        The objective.
    model : torch.nn.Module
        The objective, as `fabric` runs it.
    optimizer : torch.optim.Optimizer
        Its optimiser.
    stepper : object
        The optimiser, as `fabric` runs it.
    settings : TrainingSettings
        Memory layout, and largest norm of the gradient.
    views : callable, optional
        ``views(batch, generator)`` returns the inputs of the objective; by default the batch is the input.
    generator : torch.Generator
        Source of the draws of the views.
    check : callable
        ``check(norm)`` keeps a gradient that is not finite from the weights.
    """

    fabric: Fabric
    objective: Objective
    model: nn.Module
    optimizer: torch.optim.Optimizer
    stepper: Any
    settings: TrainingSettings
    views: Callable[[Any, torch.Generator], tuple[Tensor, ...]] | None
    generator: torch.Generator
    check: Callable[[Tensor], None]

    def __call__(self, batch: Any) -> Figures:
        """Train on a batch on the device, and return the figures of the step."""
        loss, metrics = self.model(*self.inputs(batch))
        self.stepper.zero_grad()
        self.fabric.backward(loss)
        norm = self._clip()
        self.check(norm)
        self.stepper.step()
        self.objective.after_step()
        return loss.detach(), norm, metrics

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        """Return the inputs of the objective: the views of a batch."""
        inputs = self.views(batch, self.generator) if self.views else batch if isinstance(batch, tuple) else (batch,)
        if self.settings.channels_last and self.objective.encoder.kind == "image":
            inputs = tuple(
                view.contiguous(memory_format=torch.channels_last) if view.ndim == 4 else view for view in inputs
            )
        return inputs

    def flop(self, batch: Any) -> int:
        """Return the arithmetic of a step on a batch, FLOP; 0 if a second step does not fit into the memory."""
        try:
            with self.fabric.autocast():
                return step_flop(self.objective, self.inputs(batch))
        except torch.OutOfMemoryError:  # a compiled step may need less
            return 0

    def _clip(self) -> Tensor:
        """Scale the gradient so that its norm is at most that of the settings, and return the norm before."""
        parameters = [parameter for parameter in self.objective.parameters() if parameter.grad is not None]
        return nn.utils.clip_grad_norm_(parameters, self.settings.clip or math.inf, foreach=True).detach()


class GraphedStep:
    """A step that is launched as one CUDA graph.

    The first three steps run as usual. Then the graph is captured, with the shapes of that batch, and replayed. A batch of
    other shapes runs as usual.

    Parameters
    ----------
    step : callable
        Takes a batch, and returns its figures. It must not wait for the GPU.
    generator : torch.Generator
        Generator that the step draws from, beside the one of the device.
    """

    def __init__(self, step: Callable[[Any], Figures], generator: torch.Generator) -> None:
        self.step, self.generator = step, generator
        self._n_before = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._outputs: tuple[Tensor, list[str]] = (torch.empty(0), [])

    def __call__(self, batch: Any) -> Figures:
        """Train on a batch on the GPU, and return the figures of the step."""
        tensors = batch if isinstance(batch, tuple) else (batch,)
        if self._graph is None and self._n_before >= _WARM_UP:
            self._capture(batch, tensors)
        if self._graph is None or [x.shape for x in tensors] != [x.shape for x in self._inputs]:
            self._n_before += 1
            return self._on_side_stream(batch)
        for static, tensor in zip(self._inputs, tensors, strict=True):
            static.copy_(tensor)
        self._graph.replay()
        values, names = self._outputs
        loss, norm, *metrics = values.clone().unbind()
        return loss, norm, dict(zip(names, metrics, strict=True))

    def _capture(self, batch: Any, tensors: tuple[Tensor, ...]) -> None:
        """Record the kernels of a step, without running them."""
        self._inputs = tuple(x.clone() for x in tensors)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        # the thread that reads batches may reserve memory meanwhile
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                loss, norm, metrics = self.step(self._inputs if isinstance(batch, tuple) else self._inputs[0])
                values = torch.stack([value.detach().float() for value in (loss, norm, *metrics.values())])
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise RuntimeError(
                f"training.graph: expected a step without a wait for the GPU, got one: {reason}"
            ) from error
        self._outputs = values, list(metrics)
        self._graph = graph

    def _on_side_stream(self, batch: Any) -> Figures:
        """Run a step on another stream, as a capture needs it."""
        now = torch.cuda.current_stream()
        stream = torch.cuda.Stream()
        stream.wait_stream(now)
        with torch.cuda.stream(stream):
            figures = self.step(batch)
        now.wait_stream(stream)
        return figures
