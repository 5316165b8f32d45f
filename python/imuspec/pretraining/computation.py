"""How a training computes on its device: number format, compilation, and kernels that give the same bits each time."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from imuspec.recipe import TrainingSettings

__all__ = ["LEAST_STEPS", "computing", "differences", "facts_of", "resolve"]

LEAST_STEPS = 2000  # a shorter training does not win back the minute of compilation
_TENSOR_CORES = (8, 0)  # compute capability from which a GPU multiplies bfloat16


def resolve(settings: TrainingSettings, *, n_steps: int, one_graph: bool, world: int = 1) -> TrainingSettings:
    """Return settings without "auto", for the device of the training.

    Parameters
    ----------
    settings : TrainingSettings
        The settings of a recipe.
    n_steps : int
        Optimiser steps of the whole training.
    one_graph : bool
        Whether the objective compiles as one graph.
    world : int, default 1
        Number of processes.

    Returns
    -------
    TrainingSettings
        On a GPU with bfloat16, the precision is bf16-mixed, and an objective of one graph is compiled if the training has at
        least 2,000 steps. Elsewhere the precision is 32-true, and nothing is compiled.

    Raises
    ------
    ValueError
        If the machine does not have the device; or if a graph is requested without a GPU, with several processes, or with the
        precision 16-mixed.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device, True):
        raise ValueError(f"training.device: expected auto or cpu, as this machine has no {device}, got {device}")
    on_gpu = device == "cuda"
    precision, compiled = settings.precision, settings.compile
    if precision == "auto":
        halves = on_gpu and torch.cuda.get_device_capability() >= _TENSOR_CORES
        precision = "bf16-mixed" if halves else "32-true"
    if compiled == "auto":
        compiled = on_gpu and one_graph and n_steps >= LEAST_STEPS
    if settings.graph:
        if not on_gpu:
            raise ValueError(f"training.graph: expected false, as only a GPU has graphs, got true on {device}")
        if world > 1:
            raise ValueError(f"training.graph: expected false, or one process, got true and {world} processes")
        if precision == "16-mixed":
            raise ValueError(
                "training.graph: expected false, or precision 32-true or bf16-mixed, got true and 16-mixed"
            )
    return settings.model_copy(update={"device": device, "precision": precision, "compile": compiled})


@contextmanager
def computing(settings: TrainingSettings) -> Iterator[None]:
    """Set the rules of a GPU for TF32 and for the choice of kernels, and restore them at the end.

    Matrix products of float32 never have TF32's ten bits, as spectra and the losses on them need all of float32.

    Parameters
    ----------
    settings : TrainingSettings
        A result of `resolve`.
    """
    if settings.device != "cuda":
        yield
        return
    backends = torch.backends
    uninitialised: Any = torch.utils.deterministic
    before = (
        backends.cudnn.allow_tf32,
        backends.cuda.matmul.allow_tf32,
        backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        uninitialised.fill_uninitialized_memory,
    )
    backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32 = settings.tf32, False
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        backends.cudnn.deterministic = True
        torch.use_deterministic_algorithms(True, warn_only=True)
        uninitialised.fill_uninitialized_memory = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation")
            yield
    finally:
        backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32, backends.cudnn.deterministic = before[:3]
        torch.use_deterministic_algorithms(before[3], warn_only=before[4])
        uninitialised.fill_uninitialized_memory = before[5]


def facts_of(settings: TrainingSettings, world: int) -> dict[str, Any]:
    """Return how a training computes, for ``computation.json`` of its run.

    Parameters
    ----------
    settings : TrainingSettings
        A result of `resolve`.
    world : int
        Number of processes.
    """
    names = ("device", "precision", "compile", "channels_last", "tf32", "deterministic", "graph")
    card = torch.cuda.get_device_name() if settings.device == "cuda" else None
    return {**{name: getattr(settings, name) for name in names}, "card": card, "processes": world}


def differences(earlier: str, facts: dict[str, Any]) -> list[str]:
    """Return what a resumed training computes in another way than the one before.

    Parameters
    ----------
    earlier : str
        Text of the earlier ``computation.json``.
    facts : dict
        A result of `facts_of`.
    """
    before: dict[str, Any] = json.loads(earlier)
    return [
        f"{name}: {before.get(name)} then, {value} now" for name, value in facts.items() if before.get(name) != value
    ]
