"""Objectives: an encoder and its views to a loss, by name.

An objective is an `imuspec.objectives.Objective`. To add one, subclass it and add it to `REGISTRY`, and its settings to
`imuspec.recipe`: a section that names the views, the encoders and the source that it takes, and what it needs of them.
"""

from __future__ import annotations

from typing import Any

from imuspec.encoders import Encoder
from imuspec.objectives.objective import Objective
from imuspec.recipe.registry import Registry

__all__ = ["REGISTRY", "Objective", "build", "names"]

REGISTRY: Registry[Objective] = Registry(
    "objective",
    {
        "cpc": "imuspec.objectives.predictive:PredictFrames",
        "cpc_original": "imuspec.objectives.predictive:PredictFramesOriginal",
        "harnet_tasks": "imuspec.objectives.multitask:HarnetTasks",
        "limu_bert": "imuspec.objectives.reconstruction:MaskedReconstruction",
        "mae": "imuspec.objectives.mae:MaskedImageAutoencoder",
        "masked": "imuspec.objectives.masked:MaskedSignalAutoencoder",
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


def build(name: str, encoder: Encoder, **settings: Any) -> Objective:
    """Return an objective on an encoder.

    Parameters
    ----------
    name : str
        A name of `names`.
    encoder : Encoder
        The encoder to train.
    **settings
        Settings of the objective's class.

    Raises
    ------
    ValueError
        If no objective has that name, or it has no such setting.
    """
    return REGISTRY.build(name, encoder, **settings)
