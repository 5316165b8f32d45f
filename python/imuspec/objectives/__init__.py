"""Objectives: an encoder and views to a loss, by name.

An objective is a `torch.nn.Module` with ``encoder`` and ``forward(*views) -> (loss, figures)``, the figures being scalar
tensors for the log. Optional: ``after_step()``, called after each optimiser step; ``parameter_groups()`` for the
optimiser; ``sync_norm``, whether several GPUs share the statistics of batch norm. All that a resume needs is in its state
dict. To add one, give its maker ``(encoder, **settings)`` a name in `REGISTRY`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, cast

from torch import nn

__all__ = ["REGISTRY", "build", "maker", "names"]

# name -> module and maker, imported when asked for
REGISTRY: dict[str, tuple[str, str]] = {
    "cpc": ("imuspec.objectives.predictive", "PredictFrames"),
    "cpc_original": ("imuspec.objectives.predictive", "PredictFramesOriginal"),
    "harnet_tasks": ("imuspec.objectives.multitask", "HarnetTasks"),
    "limu_bert": ("imuspec.objectives.reconstruction", "MaskedReconstruction"),
    "mae": ("imuspec.objectives.mae", "MaskedAutoencoder"),
    "masked": ("imuspec.objectives.masked", "MaskedAutoencoder"),
    "moco": ("imuspec.objectives.moco", "MoCo"),
    "moco_v3": ("imuspec.objectives.moco_v3", "MocoV3"),
    "multitask": ("imuspec.objectives.multitask", "MultiTask"),
    "simclr": ("imuspec.objectives.simclr", "SimClr"),
    "simsiam": ("imuspec.objectives.simsiam", "SimSiam"),
    "supervised": ("imuspec.objectives.supervised", "Supervised"),
}


def names() -> list[str]:
    """Names that `build` knows."""
    return sorted(REGISTRY)


def maker(name: str) -> Callable[..., nn.Module]:
    """Return what builds an objective: ``(encoder, **settings)``.

    Raises
    ------
    ValueError
        A name that is none.
    """
    if name not in REGISTRY:
        raise ValueError(f"objective: expected one of {', '.join(names())}, got {name!r}")
    module, attribute = REGISTRY[name]
    return cast("Callable[..., nn.Module]", getattr(importlib.import_module(module), attribute))


def build(name: str, encoder: nn.Module, **settings: Any) -> nn.Module:
    """Return an objective on an encoder.

    Raises
    ------
    ValueError
        A name that is none, or a setting that this objective does not have; the message says which there are.
    """
    make = maker(name)
    known = list(inspect.signature(make).parameters)[1:]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(f"objective {name}: expected settings of {', '.join(known)}, got {', '.join(unknown)}")
    return make(encoder, **settings)
