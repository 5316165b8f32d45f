"""Objectives: an encoder and views to a loss, by name.

An objective is a `torch.nn.Module` with ``encoder`` and ``forward(*views) -> (loss, figures)``, the figures being scalar
tensors for the log. Optional: ``after_step()``, called after each optimiser step; ``parameter_groups()`` for the
optimiser; ``sync_norm``, whether several GPUs share the statistics of batch norm. All that a resume needs is in its state
dict. To add one, give its maker ``(encoder, **settings)`` a name in `REGISTRY`.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from imuspec.recipe.registry import Registry

__all__ = ["REGISTRY", "build", "names"]

REGISTRY: Registry[nn.Module] = Registry(
    "objective",
    {
        "cpc": "imuspec.objectives.predictive:PredictFrames",
        "cpc_original": "imuspec.objectives.predictive:PredictFramesOriginal",
        "harnet_tasks": "imuspec.objectives.multitask:HarnetTasks",
        "limu_bert": "imuspec.objectives.reconstruction:MaskedReconstruction",
        "mae": "imuspec.objectives.mae:MaskedAutoencoder",
        "masked": "imuspec.objectives.masked:MaskedAutoencoder",
        "moco": "imuspec.objectives.moco:MoCo",
        "moco_v3": "imuspec.objectives.moco_v3:MocoV3",
        "multitask": "imuspec.objectives.multitask:MultiTask",
        "simclr": "imuspec.objectives.simclr:SimClr",
        "simsiam": "imuspec.objectives.simsiam:SimSiam",
        "supervised": "imuspec.objectives.supervised:Supervised",
    },
    listing="imuspec.objectives.names()",
)


def names() -> list[str]:
    """Return the names that `build` knows."""
    return REGISTRY.names()


def build(name: str, encoder: nn.Module, **settings: Any) -> nn.Module:
    """Return an objective on an encoder.

    Parameters
    ----------
    name : str
        A name of `names`.
    encoder : nn.Module
        The encoder to train.
    **settings
        Settings of the objective's class.

    Raises
    ------
    ValueError
        If no objective has that name, or it has no such setting.
    """
    return REGISTRY.build(name, encoder, **settings)
