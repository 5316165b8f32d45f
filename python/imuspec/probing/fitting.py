"""The loop that fits every head and classifier: Adam, a new order each epoch, the epoch chosen on the validation part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["Chosen", "DivergedError", "checked_step", "fit_epochs", "seeded"]

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Chosen:
    """The epoch whose weights a fit took, and its figure on the validation part; -1 without one."""

    epoch: int
    figure: float


def seeded(build: Callable[[], Module], seed: int) -> Module:
    """Build a module whose random weights depend on the seed alone; torch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


class DivergedError(ValueError):
    """The loss or the gradient of a training is not finite."""


def checked_step(loss: Tensor, optimiser: torch.optim.Optimizer, setting: str) -> None:
    """Take a step of an optimiser, unless loss or gradient is not finite: the weights are then as they were.

    Parameters
    ----------
    loss : Tensor
        The loss of a batch.
    optimiser : torch.optim.Optimizer
        Optimiser of the parameters.
    setting : str
        Name of the learning rate, for the message.

    Raises
    ------
    DivergedError
        If the loss or the norm of its gradient is not finite.
    """
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    for name, value in (("loss", loss.detach()), ("gradient", norm)):
        if not bool(torch.isfinite(value)):
            raise DivergedError(f"{setting}: expected a finite {name}, got {float(value)}: try a smaller rate")
    optimiser.step()


def fit_epochs(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor | None],
    n: int,
    *,
    epochs: int,
    batch: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    seed: int = 0,
    figure: Callable[[], float] | None = None,
    choose: Literal["best", "last"] = "best",
) -> Chosen:
    """Fit a model in place by Adam at a constant rate; its weights are then those of the chosen epoch.

    Parameters
    ----------
    model : nn.Module
        Model to fit; it is left in eval mode.
    loss : callable
        ``loss(index)``, the loss of a batch of items; None leaves the batch out.
    n : int
        Number of items.
    epochs, batch : int
        Passes over the items; items of a step.
    learning_rate, weight_decay : float
        Those of ``torch.optim.Adam``.
    seed : int, default 0
        Seed of the orders.
    figure : callable, optional
        Figure on the validation part, greater is better; without it the last epoch is taken.
    choose : {"best", "last"}, default "best"
        Epoch with the greatest figure, of equals the earliest; or the last one.

    Returns
    -------
    Chosen

    Raises
    ------
    DivergedError
        If loss or gradient is not finite.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(seed)
    best = Chosen(epochs, -1.0)
    state: dict[str, Tensor] = {}
    for epoch in range(1, epochs + 1):
        model.train()
        order = torch.randperm(n, generator=generator)
        for start in range(0, n, batch):
            value = loss(order[start : start + batch])
            if value is not None:
                checked_step(value, optimiser, "learning_rate")
        if figure is None or (choose == "last" and epoch < epochs):
            continue
        model.eval()
        now = figure()
        if choose == "last" or now > best.figure:
            best = Chosen(epoch, now)
            state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    if state:
        model.load_state_dict(state)
    model.eval()
    return best
