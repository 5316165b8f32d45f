"""The base class of objectives."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from imuspec.encoders import Encoder

__all__ = ["Metrics", "Objective"]

Metrics = dict[str, Tensor]
"""Name of a metric -> scalar tensor, for the log."""


class Objective(nn.Module):
    """An encoder, its heads and its loss: ``forward(*views)`` returns the loss, a scalar, and metrics for the log.

    The training loop gives `parameter_groups` to the optimiser, and calls `after_step` after each of its steps. The state
    dict must hold all that a resumed training needs.

    Parameters
    ----------
    encoder : Encoder
        The encoder to train.

    Attributes
    ----------
    sync_norm : bool
        Whether batch norm computes its statistics over all GPUs.
    one_graph : bool
        Whether `torch.compile` makes one graph of it. The tests compile each objective that is one.
    """

    sync_norm: ClassVar[bool] = False
    one_graph: ClassVar[bool] = False
    encoder: Encoder

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the parameters to train as the optimiser's parameter groups.

        A group with ``fixed_lr=True`` always has the learning rate of the end of the warm-up.
        """
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def after_step(self) -> None:
        """Update what changes after an optimiser step, such as a key encoder or a queue. By default do nothing."""
