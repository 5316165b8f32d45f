"""Several triads of axes, or their pictures, seen alike: one drawn operation, the same parameters, for all of a view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

__all__ = ["Triads"]


class Triads:
    """A view generator on each triad of a batch, all with the same draws.

    What is drawn for every sample or pixel (noise) is the same for all triads too.

    Parameters
    ----------
    views : callable
        A generator of views of one triad ``[B, 3, ...]``.

    Examples
    --------
    >>> import torch
    >>> from imuspec.views.pretext import SignalPair
    >>> from imuspec.views.triads import Triads
    >>> x = torch.randn(4, 1, 3, 50).expand(-1, 2, -1, -1)
    >>> first, second = Triads(SignalPair())(x, torch.Generator().manual_seed(0))
    >>> first.shape, bool(torch.equal(first[:, 0], first[:, 1]))
    (torch.Size([4, 2, 3, 50]), True)
    """

    def __init__(self, views: Callable[[Any, Generator], tuple[Tensor, ...]]) -> None:
        self.views = views

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """[B, triad, 3, ...] -> each view ``[B, triad, 3, ...]``."""
        before = generator.get_state()
        seen = []
        for triad in batch.unbind(1):
            generator.set_state(before)
            seen.append(self.views(triad, generator))
        return tuple(torch.stack(parts, 1) for parts in zip(*seen, strict=True))
