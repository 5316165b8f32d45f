"""Fine-tuning: the encoder is trained from the head that was fitted on its frozen features.

Blocks nearer the input have smaller rates. All rates rise over the first tenth of the steps and then fall to zero along a cosine
(Loshchilov and Hutter, 2017), without which the first steps spoil the fitted head. Training stops when the validation people's
macro-F1 no longer rises, and takes the epoch where it was highest; epoch 0 is the frozen encoder.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from imuspec.errors import unknown_name
from imuspec.evaluation import confusion_matrix, metrics, most_probable
from imuspec.prediction.network import Network, blocks_of
from imuspec.probing.fitting import checked_step
from imuspec.probing.patch_heads import class_weights
from imuspec.recipe.fitting import TuningSettings
from imuspec.views.signal import OPERATIONS

__all__ = ["Batches", "augmented", "logits_of", "parameter_groups", "share_of_rate", "tune"]

_WARM_UP = 0.1  # share of the steps in which the rates rise
_RATE, _PICTURE_RATE = 1e-3, 1e-4  # at 1e-3 an encoder of pictures forgets in one epoch what its head was fitted to


@dataclass(frozen=True, eq=False)
class Batches:
    """The items of a fine-tuning.

    Attributes
    ----------
    inputs : callable
        ``inputs(index, generator)`` returns the network's input of some items, augmented if there is a generator.
    labels : callable
        ``labels(index)`` returns int64 [n] or [n, patches]; -1 does not count.
    n_classes : int
        Number of classes.
    scored_together : int, default 64
        Items of a pass without training.
    """

    inputs: Callable[[NDArray[np.int64], torch.Generator | None], Tensor]
    labels: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    n_classes: int
    scored_together: int = 64


def augmented(x: Tensor, names: Sequence[str], generator: torch.Generator) -> Tensor:
    """Return windows [B, 3, time] on half of which each operation was applied, in order.

    Raises
    ------
    ValueError
        If a name is not an operation of `imuspec.views.signal`.
    """
    for name in names:
        if name not in OPERATIONS:
            raise ValueError(unknown_name("tuning.augmentations", name, OPERATIONS))
        changed = torch.rand((len(x), 1, 1), generator=generator) < 0.5
        x = torch.where(changed, OPERATIONS[name](x, generator), x)
    return x


def parameter_groups(network: Network, settings: TuningSettings) -> list[dict[str, Any]]:
    """Return AdamW's groups: the head, then the blocks of the encoder from the last down, each with its rate.

    The last block goes down to the last weights with two or more dimensions, so that a norm is no block of its own.
    """
    rate = settings.learning_rate or (_PICTURE_RATE if network.front.kind == "image" else _RATE)
    groups: list[dict[str, Any]] = [{"params": list(network.head.parameters()), "lr": rate}]
    if settings.train == "head":
        return groups
    top: list[nn.Parameter] = []
    blocks = blocks_of(network.encoder)
    while blocks:
        block = blocks.pop()
        top = block + top
        if any(parameter.ndim > 1 for parameter in block):
            break
    stack = [*blocks, top] if settings.train == "all" else [top]
    for depth, block in enumerate(reversed(stack), 1):
        groups.append({"params": block, "lr": rate * settings.block_decay**depth})
    return groups


def share_of_rate(step: int, n_steps: int) -> float:
    """Return the share of the full learning rate at a step, counted from 0.

    Parameters
    ----------
    step : int
        The step.
    n_steps : int
        Steps of the whole training.
    """
    return min(1.0, (step + 1) / max(1.0, _WARM_UP * n_steps)) * (1 + math.cos(math.pi * min(1.0, step / n_steps))) / 2


def tune(
    network: Network,
    batches: Batches,
    train: NDArray[np.int64],
    validation: NDArray[np.int64] | None,
    settings: TuningSettings,
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "cpu",
) -> tuple[Network, int]:
    """Return a trained copy of a network, in eval mode on the CPU, and its epoch.

    Parameters
    ----------
    network : Network
        Encoder and fitted head; it does not change.
    batches : Batches
        Items and labels.
    train : array of int64
        Items that train.
    validation : array of int64, optional
        Items that choose the epoch; without them all `epochs` are done.
    settings : TuningSettings
        Rates, augmentation and stopping.
    seed : int, default 0
        Seed of orders and augmentation.
    epochs : int, optional
        Epochs that are done, by default the most of the settings. The rates follow those of the settings.
    device : str, default "cpu"
        Device of the training.

    Raises
    ------
    ValueError
        If loss or gradient is not finite.
    """
    tuned = copy.deepcopy(network).to(device)
    groups = parameter_groups(tuned, settings)
    tuned.requires_grad_(False)
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    n_steps = settings.epochs * -(-len(train) // settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: share_of_rate(step, n_steps))
    weight = None
    if settings.class_weights:
        known = np.concatenate([np.ravel(batches.labels(train[i : i + 256])) for i in range(0, len(train), 256)])
        weight = torch.from_numpy(class_weights(known, batches.n_classes)).to(device)
    generator = torch.Generator().manual_seed(seed)
    best, best_epoch = -1.0, 0
    state: dict[str, Tensor] = {}
    for epoch in range((settings.epochs if epochs is None else epochs) + 1):
        if epoch:
            _one_epoch(tuned, optimiser, schedule, batches, train, weight, settings, generator)
        if validation is None:
            best_epoch = epoch
            continue
        figure = _macro_f1(tuned, batches, validation)
        if figure > best:
            best, best_epoch = figure, epoch
            state = {key: value.clone() for key, value in tuned.state_dict().items()}
        if epoch - best_epoch >= settings.patience:
            break
    if state:
        tuned.load_state_dict(state)
    tuned.requires_grad_(True)
    return tuned.cpu().eval(), best_epoch


def _one_epoch(
    network: Network,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    batches: Batches,
    train: NDArray[np.int64],
    weight: Tensor | None,
    settings: TuningSettings,
    generator: torch.Generator,
) -> None:
    network.train()
    _hold(network.encoder)
    device = next(network.parameters()).device
    order = train[torch.randperm(len(train), generator=generator).numpy()]
    for start in range(0, len(order), settings.batch):
        index = order[start : start + settings.batch]
        label = torch.from_numpy(batches.labels(index)).to(device)
        if not bool((label >= 0).any()):
            continue
        logits = network(batches.inputs(index, generator).to(device)).flatten(0, -2)
        loss = functional.cross_entropy(logits, label.flatten(), weight, ignore_index=-1)
        checked_step(loss, optimiser, "tuning.learning_rate")
        schedule.step()


def _hold(encoder: nn.Module) -> None:
    """Turn dropout off, and keep the statistics of batch norms.

    The head was fitted to features without dropout, normalised by the statistics of pre-training. A maximum over time is larger
    with dropout, and each batch has other statistics, so that a few steps would adapt head and encoder to features that no
    prediction has.
    """
    for module in encoder.modules():
        if isinstance(module, nn.RNNBase):  # it has gradients on a GPU in training mode alone
            module.dropout = 0.0
        else:
            module.training = False


@torch.inference_mode()
def logits_of(network: Network, batches: Batches, index: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Return the logits of items, those of each batch as one array; the network is put in eval mode."""
    network.eval()
    device, batch = next(network.parameters()).device, batches.scored_together
    return [
        network(batches.inputs(index[i : i + batch], None).to(device)).float().cpu().numpy()
        for i in range(0, len(index), batch)
    ]


def _macro_f1(network: Network, batches: Batches, index: NDArray[np.int64]) -> float:
    logits, batch = logits_of(network, batches, index), batches.scored_together
    labels = [batches.labels(index[i : i + batch]) for i in range(0, len(index), batch)]
    truth = np.concatenate([np.ravel(part) for part in labels])
    guess = np.concatenate([np.ravel(most_probable(part)) for part in logits])
    known = truth >= 0
    return float(metrics(confusion_matrix(truth[known], guess[known], batches.n_classes))["macro_f1"])
