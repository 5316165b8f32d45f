"""View generators of the methods on signals: callables ``(batch, generator) -> views``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from imuspec.errors import unknown_name
from imuspec.views import signal

__all__ = ["SignalPair", "SpanMask", "TransformCopies", "TransformLabels", "Unchanged"]

_EIGHT = ("noise", "scale", "rotate", "negate", "reverse", "permute", "time_warp", "shuffle_axes")
_FOUR = ("reverse", "permute", "scale_clearly", "time_warp")


def _operations(names: Sequence[str]) -> list[signal.Operation]:
    unknown = [name for name in names if name not in signal.OPERATIONS]
    if not names:
        raise ValueError("operations: expected one or more, got an empty sequence")
    if unknown:
        raise ValueError(unknown_name("operations", unknown[0], signal.OPERATIONS))
    return [signal.OPERATIONS[name] for name in names]


class Unchanged:
    """The batch as the source gives it, for objectives that need no view or hide parts themselves."""

    def __call__(self, batch: Tensor | tuple[Tensor, ...], generator: Generator) -> tuple[Tensor, ...]:
        """Return the tensors of a batch."""
        del generator
        return batch if isinstance(batch, tuple) else (batch,)


class SignalPair:
    """Two views of each window, drawn independently.

    Parameters
    ----------
    operations : sequence of str, default ('rotate',)
        Names in :data:`imuspec.views.signal.OPERATIONS`. "rotate" was the authors' best single operation.
    compose : {"all", "one"}, default "all"
        "all": all operations in order. "one": one random operation for each window.

    Examples
    --------
    >>> import torch
    >>> from imuspec.views.pretext import SignalPair
    >>> first, second = SignalPair()(torch.ones(4, 3, 50), torch.Generator().manual_seed(0))
    >>> first.shape, bool((first == second).all())
    (torch.Size([4, 3, 50]), False)
    """

    def __init__(self, operations: Sequence[str] = ("rotate",), *, compose: Literal["all", "one"] = "all") -> None:
        if compose not in ("all", "one"):
            raise ValueError(f"compose: expected all or one, got {compose!r}")
        self.operations, self.compose = _operations(operations), compose

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return two views of a batch [B, axes, time], in its shape."""
        return self._view(batch, generator), self._view(batch, generator)

    def _view(self, x: Tensor, generator: Generator) -> Tensor:
        if self.compose == "all":
            for operation in self.operations:
                x = operation(x, generator)
            return x
        drawn = torch.randint(len(self.operations), (len(x),), generator=generator, device=x.device)
        out = x.clone()
        for i, operation in enumerate(self.operations):
            chosen = drawn == i
            if chosen.any():
                out[chosen] = operation(x[chosen], generator)
        return out


class TransformCopies:
    """Each window and a copy per operation, for recognition of the applied operation (Saeed et al. 2019).

    Parameters
    ----------
    operations : sequence of str, default _EIGHT
        Names in :data:`imuspec.views.signal.OPERATIONS`. The default is eight operations.
    """

    def __init__(self, operations: Sequence[str] = _EIGHT) -> None:
        self.operations = _operations(operations)

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return windows ``[(1 + T) B, axes, time]``, and labels ``[(1 + T) B, T]``: 1 for the applied operation."""
        windows = torch.cat([batch, *(operation(batch, generator) for operation in self.operations)])
        n_tasks = len(self.operations)
        rows = torch.cat([batch.new_zeros(1, n_tasks), torch.eye(n_tasks, device=batch.device, dtype=batch.dtype)])
        return windows, rows.repeat_interleave(len(batch), 0)


class TransformLabels:
    """Each window with some operations applied, and labels of the applied operations (HARNet).

    Parameters
    ----------
    operations : sequence of str, default _FOUR
        Names in :data:`imuspec.views.signal.OPERATIONS`, in the order of their application. The default is HARNet's four
        tasks.
    probability : float, default 0.5
        Probability of each operation, independently.
    turned : bool, default True
        Whether each window is first rotated at random and its axes are shuffled, so that the encoder does not rely on the
        orientation of the device.
    """

    def __init__(self, operations: Sequence[str] = _FOUR, *, probability: float = 0.5, turned: bool = True) -> None:
        if not 0 < probability < 1:
            raise ValueError(f"probability: expected a number between 0 and 1, got {probability}")
        self.operations, self.probability, self.turned = _operations(operations), probability, turned

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return windows in the shape of the batch, and labels ``[B, T]``: 1 for each applied operation."""
        x = batch
        if self.turned:
            x = signal.shuffle_axes(signal.rotate(x, generator), generator)
        draws = torch.rand(len(x), len(self.operations), generator=generator, device=x.device)
        labels = draws < self.probability
        for i, operation in enumerate(self.operations):
            x = torch.where(labels[:, i, None, None], operation(x, generator), x)
        return x, labels.to(batch.dtype)


class SpanMask:
    """Hide spans of each window, which the network reconstructs (LIMU-BERT).

    Spans are drawn until ``max(1, round(share n))`` steps are chosen; the last span is cut to this number. The length of a
    span is geometric and its start uniform. The defaults are the authors' numbers.

    Parameters
    ----------
    share : float, default 0.15
        Share of the steps to choose.
    longest : int, default 10
        Longest span, steps.
    stop : float, default 0.2
        Probability that a span ends at a step.
    hidden : float, default 0.8
        Probability that the chosen steps of a window are set to 0; else the window is unchanged. The chosen steps are
        reconstructed in both cases.
    """

    def __init__(self, *, share: float = 0.15, longest: int = 10, stop: float = 0.2, hidden: float = 0.8) -> None:
        if not 0 < share < 1:
            raise ValueError(f"share: expected a number between 0 and 1, got {share}")
        self.share, self.longest, self.stop, self.hidden = share, longest, stop, hidden

    def __call__(self, batch: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return the masked batch, the batch, and the chosen steps (bool ``[B, time]``)."""
        chosen = self.steps(len(batch), batch.shape[-1], generator)
        hide = torch.rand(len(batch), generator=generator, device=batch.device) < self.hidden
        shown = batch.masked_fill((chosen & hide[:, None])[:, None], 0.0)
        return shown, batch, chosen

    def steps(self, n_windows: int, n_steps: int, generator: Generator) -> Tensor:
        """Return the chosen steps, bool ``[n_windows, n_steps]``, the same number in each window."""
        n_chosen = max(1, round(self.share * n_steps))
        n_spans = 4 * n_chosen  # always enough: each span chooses at least one step, rarely one that is chosen already
        device = generator.device
        lengths = torch.arange(1, min(self.longest, n_steps) + 1, device=device)
        weights = self.stop * (1 - self.stop) ** (lengths - 1).double()
        drawn = torch.multinomial(weights, n_windows * n_spans, True, generator=generator)
        length = (drawn + 1).view(n_windows, n_spans, 1)
        start = torch.rand(n_windows, n_spans, 1, generator=generator, device=device, dtype=torch.float64)
        start = (start * (n_steps - length + 1)).floor()
        time = torch.arange(n_steps, device=device)
        inside = (time >= start) & (time < start + length)  # [windows, spans, steps]
        # Steps are ordered by their first span, then by time; the first of them are chosen.
        first = torch.where(inside.any(1), inside.int().argmax(1), n_spans)
        turn = first * n_steps + time
        earliest = turn.argsort(1)[:, :n_chosen]
        return torch.zeros(n_windows, n_steps, dtype=torch.bool, device=device).scatter_(1, earliest, value=True)
