"""The base class of objectives."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from imuspec.encoders import Encoder

__all__ = ["Figures", "Objective"]

Figures = dict[str, Tensor]
"""Scalars for the log, by name."""


class Objective(nn.Module):
    """An encoder with what trains it: ``forward(*views)`` returns the loss, a scalar, and figures for the log.

    The training loop calls `after_step` after each optimiser step and gives the optimiser `parameter_groups`. All that a
    resumed training needs is in the state dict.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.

    Attributes
    ----------
    sync_norm : bool
        Whether several GPUs share the statistics of batch norm.
    """

    sync_norm: ClassVar[bool] = False
    encoder: Encoder

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters to train, in groups of the optimiser's settings.

        A group with ``fixed_lr`` true keeps the learning rate of the end of the warm-up.
        """
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def after_step(self) -> None:
        """Update what follows the weights: a slow copy, a queue. By default nothing."""
