"""Arithmetic of a training step, and the peak of a card that it is compared with."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from imuspec.objectives import Objective

__all__ = ["PEAKS", "peak_flop", "step_flop"]

PEAKS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "H200 NVL": 835e12,
    "GH200": 989e12,
    "A100": 312e12,
    "A40": 150e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L4": 121e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""Dense peak of matrix products in half precision by part of the card's name, FLOP/s, as its maker states."""


def peak_flop(card: str) -> float | None:
    """Return the peak of a card, FLOP/s; None if it is not in `PEAKS`.

    Parameters
    ----------
    card : str
        Name of the card, as CUDA states it.
    """
    words = card.replace("-", " ").split()
    matches = [name for name in PEAKS if set(name.split()) <= set(words)]
    return PEAKS[max(matches, key=len)] if matches else None


def step_flop(objective: Objective, inputs: Sequence[Tensor]) -> int:
    """Return the arithmetic of a step, FLOP: matrix products, convolutions and attention, forward and backward.

    A copy of the objective computes the step, so that its weights, statistics and queues stay as they are.

    Parameters
    ----------
    objective : Objective
        The objective.
    inputs : sequence of Tensor
        Inputs of a step.
    """
    trial = copy.deepcopy(objective)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(trial(*inputs)[0])
    return int(counter.get_total_flops())
