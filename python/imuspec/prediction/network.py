"""An encoder and its head as one network, and the order of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from imuspec.prediction.front_end import FrontEnd, stillness_of
from imuspec.probing.sources import layers_of

if TYPE_CHECKING:
    from imuspec.encoders import Encoder
    from imuspec.probing.patch_heads import Head

__all__ = ["Network", "blocks_of"]


class Network(nn.Module):
    """The logits of windows ``[B, 3, time]`` in g, of their pictures, or of each patch of windows.

    Parameters
    ----------
    encoder : Encoder
        Encoder of the model.
    head : Head
        Head on its features.
    front : FrontEnd
        Layer and stillness of the features.
    """

    def __init__(self, encoder: Encoder, head: Head, front: FrontEnd) -> None:
        super().__init__()
        self.encoder, self.head, self.front = encoder, head, front

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[B, C]``; of patches ``[B, patches, C]``."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Return the features that the head takes."""
        if self.front.kind != "patches":
            return layers_of(self.encoder, x, (self.front.layer,))[self.front.layer]
        states: Tensor = self.encoder(x)
        if not self.front.stillness:
            return states
        return torch.cat((states, stillness_of(x, self.front.n_samples)), -1)


def blocks_of(module: nn.Module) -> list[list[nn.Parameter]]:
    """Return the weights of a network by blocks, from its input to its output.

    Containers and wrappers are opened; a block is a module that is neither.

    Parameters
    ----------
    module : nn.Module
        Network whose modules are registered in the order of their use.
    """
    own = list(module.parameters(recurse=False))
    children = [child for child in module.children() if any(True for _ in child.parameters())]
    blocks = [own] if own else []
    for child in children:
        opened = len(children) == 1 or isinstance(child, nn.ModuleList | nn.Sequential)
        blocks += blocks_of(child) if opened else [list(child.parameters())]
    return blocks
