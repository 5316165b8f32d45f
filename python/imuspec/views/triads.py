"""Views of several triads of axes, or of their pictures, with the same draws for all triads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

__all__ = ["Triads"]


class Triads:
    """A view generator on each triad of a batch, with the same draws for all triads, noise included.

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
        """Return the views ``[B, triad, 3, ...]`` of a batch ``[B, triad, 3, ...]``."""
        before = generator.get_state()
        views_of_triads = []
        for triad in batch.unbind(1):
            generator.set_state(before)
            views_of_triads.append(self.views(triad, generator))
        return tuple(torch.stack(parts, 1) for parts in zip(*views_of_triads, strict=True))
