"""Training objectives by name. An objective computes a loss from an encoder and the views of a batch.

To add an objective, subclass `Objective`, add the class to `REGISTRY`, and add a section with its settings to
`imuspec.recipe`. The section names the views, encoders and source that fit the objective, and the facts that it needs.
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
    """Return the names of all objectives, sorted."""
    return REGISTRY.names()


def build(name: str, encoder: Encoder, **settings: Any) -> Objective:
    """Return a new objective that trains an encoder.

    Parameters
    ----------
    name : str
        Name of the objective, one of `names`.
    encoder : Encoder
        The encoder to train.
    **settings : object
        Keyword arguments of the objective's class.

    Raises
    ------
    ValueError
        If `name` is not a known objective, or a setting is not one of its arguments.
    """
    return REGISTRY.build(name, encoder, **settings)
