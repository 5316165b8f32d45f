"""What self-supervised learning does to a window of signal: operations on a batch ``[B, axes, time]``.

Every operation draws for each window by itself, from the generator alone and on the batch's device, and returns a new
tensor of the same shape and type. Magnitudes are in the unit of the batch: g, or standard deviations of a standardised
one. ``OPERATIONS`` names them all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Generator, Tensor

__all__ = [
    "OPERATIONS",
    "magnitude_warp",
    "negate",
    "noise",
    "permute",
    "random_rotations",
    "resample_at_random",
    "reverse",
    "rotate",
    "scale",
    "scale_clearly",
    "shuffle_axes",
    "time_warp",
]

Operation = Callable[[Tensor, Generator], Tensor]


def _normal(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)


def _uniform(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)


def noise(x: Tensor, generator: Generator, *, sd: float = 0.05) -> Tensor:
    """``x + N(0, sd)`` for each sample and axis."""
    return x + sd * _normal(x, generator, *x.shape)


def scale(x: Tensor, generator: Generator, *, sd: float = 0.1) -> Tensor:
    """Each axis times its own ``N(1, sd)``."""
    return x * (1 + sd * _normal(x, generator, *x.shape[:2], 1))


def scale_clearly(
    x: Tensor, generator: Generator, *, low: float = 0.5, high: float = 1.5, least: float = 0.15
) -> Tensor:
    """Each axis times its own ``U(low, high)`` outside ``(1 - least, 1 + least)``: a change that can be recognised."""
    below, above = 1 - least - low, high - 1 - least
    if below < 0 or above < 0 or below + above == 0:
        raise ValueError(f"least: expected at most {min(1 - low, high - 1):g}, got {least:g}")
    place = (below + above) * _uniform(x, generator, *x.shape[:2], 1)
    return x * torch.where(place < below, low + place, 1 + least + place - below)


def random_rotations(n: int, generator: Generator, *, like: Tensor) -> Tensor:
    """Rotations ``[n, 3, 3]``: an axis from ``U(-1, 1)^3`` made unit length, an angle from ``U(-pi, pi)``.

    ``R = I + sin(a) K + (1 - cos(a)) K^2`` with ``K`` the cross product with the axis (Rodrigues).
    """
    axis = 2 * _uniform(like, generator, n, 3) - 1
    x, y, z = (axis / axis.norm(dim=1, keepdim=True).clamp_min(1e-12)).unbind(1)
    angle = math.pi * (2 * _uniform(like, generator, n, 1, 1) - 1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(n, 3, 3)
    eye = torch.eye(3, device=like.device, dtype=like.dtype)
    turns: Tensor = eye + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
    return turns


def rotate(x: Tensor, generator: Generator) -> Tensor:
    """Turn each window by one random rotation; of several triads ``[B, 3 k, time]`` all by the same."""
    if x.shape[1] % 3:
        raise ValueError(f"x: expected three axes or a multiple, got {list(x.shape)}")
    turn = random_rotations(len(x), generator, like=x)
    triads = x.reshape(len(x), -1, 3, x.shape[-1])  # [B, triad, 3, time]
    return (turn[:, None] @ triads).flatten(1, 2)


def negate(x: Tensor, generator: Generator) -> Tensor:  # noqa: ARG001 - nothing is drawn
    """``-x``."""
    return -x


def reverse(x: Tensor, generator: Generator) -> Tensor:  # noqa: ARG001 - nothing is drawn
    """The window from its end to its start."""
    return x.flip(-1)


def permute(x: Tensor, generator: Generator, *, n_segments: int = 4, min_length: int = 10) -> Tensor:
    """Cut a window at random places and put the segments in another order, never the one they had.

    Cuts are uniform over those that leave each segment ``min_length`` samples; all axes move together.

    Raises
    ------
    ValueError
        For a window shorter than ``n_segments min_length``, or fewer than two segments.
    """
    n_windows, _, n = x.shape
    slack = n - n_segments * min_length
    if n_segments < 2 or slack < 0:
        raise ValueError(f"x: expected windows of {n_segments} segments of {min_length} samples, got {n} samples")
    cuts = (_uniform(x, generator, n_windows, n_segments - 1) * (slack + 1)).floor().sort(1).values
    cuts = cuts + min_length * torch.arange(1, n_segments, device=x.device)  # [B, n_segments - 1]
    order = _other_orders(x, generator, n_segments)
    time = torch.arange(n, device=x.device)
    segment = (time >= cuts[..., None]).sum(1)  # [B, time]: segment of each sample
    source = (order.gather(1, segment) * n + time).argsort(1)  # [B, time]
    return x.gather(2, source[:, None].expand_as(x))


def _other_orders(x: Tensor, generator: Generator, n: int) -> Tensor:
    """Random orders ``[B, n]`` other than the identity, uniform: one of the n! - 1 by its number (factorial digits)."""
    number = 1 + (_uniform(x, generator, len(x)) * (math.factorial(n) - 1)).long().clamp_max(math.factorial(n) - 2)
    left = torch.arange(n, device=x.device).expand(len(x), n).clone()
    order = []
    for place in range(n, 0, -1):
        digit = (number // math.factorial(place - 1))[:, None]
        number = number % math.factorial(place - 1)
        order.append(left.gather(1, digit))
        keep = torch.arange(place - 1, device=x.device).expand(len(x), -1)
        left = left.gather(1, keep + (keep >= digit))
    return torch.cat(order, 1)


@functools.lru_cache(maxsize=32)
def _spline_matrix(n: int, n_knots: int) -> Tensor:
    """[n, n_knots + 2]: values at evenly spaced knots, ends included, to the cubic spline through them at 0..n-1."""
    knots = np.linspace(0, n - 1, n_knots + 2)
    return torch.from_numpy(CubicSpline(knots, np.eye(n_knots + 2))(np.arange(n)))


def _smooth_curves(x: Tensor, generator: Generator, n_rows: int, sd: float, n_knots: int) -> Tensor:
    """[B, n_rows, time]: cubic splines through ``N(1, sd)`` at ``n_knots`` inner knots and both ends."""
    values = 1 + sd * _normal(x, generator, len(x), n_rows, n_knots + 2)
    return values @ _spline_matrix(x.shape[-1], n_knots).to(x).T


def magnitude_warp(x: Tensor, generator: Generator, *, sd: float = 0.2, n_knots: int = 4) -> Tensor:
    """Each axis times its own smooth curve around 1: a cubic spline through ``N(1, sd)`` (Um et al. 2017)."""
    return x * _smooth_curves(x, generator, x.shape[1], sd, n_knots)


def time_warp(x: Tensor, generator: Generator, *, sd: float = 0.2, n_knots: int = 4, each_axis: bool = False) -> Tensor:
    """Run the clock unevenly: its pace is a smooth curve around 1, its ends stay (Um et al. 2017).

    Sample ``t`` is the value, linear between samples, where the warped clock shows ``t``; the clock is the sum of a
    cubic spline through ``N(1, sd)``, kept above 0.05 so that time never turns back.

    Parameters
    ----------
    x : Tensor
        Batch ``[B, axes, time]`` and the source of chance.
    generator : Generator
        Batch ``[B, axes, time]`` and the source of chance.
    sd : float, default 0.2
        Spread of the pace, and its inner knots.
    n_knots : int, default 4
        Spread of the pace, and its inner knots.
    each_axis : bool, default False
        A clock for each axis, as the published code has it; else one for all, as a movement that slows down has.
    """
    n = x.shape[-1]
    pace = _smooth_curves(x, generator, x.shape[1] if each_axis else 1, sd, n_knots).clamp_min(0.05)
    clock = pace.cumsum(-1)
    clock = clock - clock[..., :1]
    clock = (clock * ((n - 1) / clock[..., -1:])).expand(-1, x.shape[1], -1)
    return _interpolate(x, clock)


def _interpolate(x: Tensor, clock: Tensor) -> Tensor:
    """Values at 0..n-1 of the straight lines through ``(clock, x)``, both ``[B, axes, time]``, the clock rising."""
    n = x.shape[-1]
    at = torch.arange(n, device=x.device, dtype=x.dtype).expand_as(x).contiguous()
    above = torch.searchsorted(clock.contiguous(), at).clamp(1, n - 1)
    left, right = clock.gather(2, above - 1), clock.gather(2, above)
    share = ((at - left) / (right - left)).clamp(0, 1)
    return torch.lerp(x.gather(2, above - 1), x.gather(2, above), share)


def resample_at_random(x: Tensor, generator: Generator, *, keep: float = 0.5) -> Tensor:
    """Keep a random share of the samples, ends included, and draw straight lines between them (Um et al. 2017).

    All axes keep the same samples. A sample that goes is read off the line between its kept neighbours.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep: expected a share above 0 and at most 1, got {keep:g}")
    n = x.shape[-1]
    kept = _uniform(x, generator, len(x), n) < keep
    kept[:, 0] = kept[:, -1] = True
    time = torch.arange(n, device=x.device).expand(len(x), n)
    before = time.where(kept, torch.zeros_like(time)).cummax(1).values
    after = time.where(kept, torch.full_like(time, n)).flip(1).cummin(1).values.flip(1)
    share = (time - before).to(x.dtype) / (after - before).clamp_min(1)
    left, right = (x.gather(2, index[:, None].expand_as(x)) for index in (before, after))
    return torch.lerp(left, right, share[:, None])


def shuffle_axes(x: Tensor, generator: Generator) -> Tensor:
    """The axes in a random order, each of the orders equally likely; of several triads all in the same."""
    if x.shape[1] % 3:
        raise ValueError(f"x: expected three axes or a multiple, got {list(x.shape)}")
    order = _uniform(x, generator, len(x), 3).argsort(1)  # [B, 3]
    triads = x.reshape(len(x), -1, 3, x.shape[-1])
    return triads.gather(2, order[:, None, :, None].expand_as(triads)).flatten(1, 2)


# The first eight are SimCLR's for activities and multi-task's; the others Um et al.'s and HARNet's.
OPERATIONS: dict[str, Operation] = {
    "noise": noise,
    "scale": scale,
    "rotate": rotate,
    "negate": negate,
    "reverse": reverse,
    "permute": permute,
    "time_warp": time_warp,
    "shuffle_axes": shuffle_axes,
    "magnitude_warp": magnitude_warp,
    "resample_at_random": resample_at_random,
    "scale_clearly": scale_clearly,
}
