"""Operations of self-supervised learning on signals ``[B, axes, time]``.

Every operation draws for each window independently, from the generator and on the device of the batch. It returns a new tensor
of the same shape and type. Magnitudes are in the unit of the batch: g, or standard deviations of a standardised batch.
``OPERATIONS`` lists all operations.
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
    """Return ``x + N(0, sd)``, with a draw for each sample and axis."""
    return x + sd * _normal(x, generator, *x.shape)


def scale(x: Tensor, generator: Generator, *, sd: float = 0.1) -> Tensor:
    """Multiply each axis by ``N(1, sd)``."""
    return x * (1 + sd * _normal(x, generator, *x.shape[:2], 1))


def scale_clearly(
    x: Tensor, generator: Generator, *, low: float = 0.5, high: float = 1.5, least: float = 0.15
) -> Tensor:
    """Multiply each axis by ``U(low, high)`` outside ``(1 - least, 1 + least)``, so that the change can be recognised."""
    below, above = 1 - least - low, high - 1 - least
    if below < 0 or above < 0 or below + above == 0:
        raise ValueError(f"least: expected at most {min(1 - low, high - 1):g}, got {least:g}")
    draw = (below + above) * _uniform(x, generator, *x.shape[:2], 1)
    return x * torch.where(draw < below, low + draw, 1 + least + draw - below)


def random_rotations(n: int, generator: Generator, *, like: Tensor) -> Tensor:
    """Return rotations ``[n, 3, 3]`` about a normalised axis ``U(-1, 1)^3`` by an angle ``U(-pi, pi)``.

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
    """Rotate each window at random; all triads of ``[B, 3 k, time]`` by the same rotation."""
    if x.shape[1] % 3:
        raise ValueError(f"x: expected three axes or a multiple, got {list(x.shape)}")
    turn = random_rotations(len(x), generator, like=x)
    triads = x.reshape(len(x), -1, 3, x.shape[-1])  # [B, triad, 3, time]
    return (turn[:, None] @ triads).flatten(1, 2)


def negate(x: Tensor, generator: Generator) -> Tensor:  # noqa: ARG001 - nothing is drawn
    """Return ``-x``."""
    return -x


def reverse(x: Tensor, generator: Generator) -> Tensor:  # noqa: ARG001 - nothing is drawn
    """Reverse time."""
    return x.flip(-1)


def permute(x: Tensor, generator: Generator, *, n_segments: int = 4, min_length: int = 10) -> Tensor:
    """Cut a window at random positions, and put the segments into another order.

    Cuts are uniform over all cuts with segments of at least ``min_length`` samples. All axes move together.

    Raises
    ------
    ValueError
        If a window is shorter than ``n_segments * min_length``, or there are fewer than two segments.
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
    """Return uniform random orders ``[B, n]`` without the identity, by their number in the factorial number system."""
    number = 1 + (_uniform(x, generator, len(x)) * (math.factorial(n) - 1)).long().clamp_max(math.factorial(n) - 2)
    remaining = torch.arange(n, device=x.device).expand(len(x), n).clone()
    order = []
    for size in range(n, 0, -1):
        digit = (number // math.factorial(size - 1))[:, None]
        number = number % math.factorial(size - 1)
        order.append(remaining.gather(1, digit))
        keep = torch.arange(size - 1, device=x.device).expand(len(x), -1)
        remaining = remaining.gather(1, keep + (keep >= digit))
    return torch.cat(order, 1)


@functools.lru_cache(maxsize=32)
def _spline_matrix(n: int, n_knots: int) -> Tensor:
    """Return [n, n_knots + 2], from values at evenly spaced knots (ends included) to their cubic spline at 0..n-1."""
    knots = np.linspace(0, n - 1, n_knots + 2)
    return torch.from_numpy(CubicSpline(knots, np.eye(n_knots + 2))(np.arange(n)))


def _smooth_curves(x: Tensor, generator: Generator, n_rows: int, sd: float, n_knots: int) -> Tensor:
    """Return cubic splines [B, n_rows, time] through ``N(1, sd)`` at ``n_knots`` inner knots and both ends."""
    values = 1 + sd * _normal(x, generator, len(x), n_rows, n_knots + 2)
    return values @ _spline_matrix(x.shape[-1], n_knots).to(x).T


def magnitude_warp(x: Tensor, generator: Generator, *, sd: float = 0.2, n_knots: int = 4) -> Tensor:
    """Multiply each axis by a smooth curve: a cubic spline through ``N(1, sd)`` (Um et al. 2017)."""
    return x * _smooth_curves(x, generator, x.shape[1], sd, n_knots)


def time_warp(x: Tensor, generator: Generator, *, sd: float = 0.2, n_knots: int = 4, each_axis: bool = False) -> Tensor:
    """Warp time by a smooth pace around 1, with fixed ends (Um et al. 2017).

    The warped clock is the cumulative sum of a cubic spline through ``N(1, sd)``, limited to at least 0.05, so that time does
    not run backwards. Sample ``t`` is the linear interpolation of the signal where the warped clock is ``t``.

    Parameters
    ----------
    x : Tensor
        Batch ``[B, axes, time]``.
    generator : Generator
        Source of the draws.
    sd : float, default 0.2
        Standard deviation of the pace.
    n_knots : int, default 4
        Number of inner knots.
    each_axis : bool, default False
        Whether each axis has its own clock, as in the published code. One clock for all axes is a movement that slows down.
    """
    n = x.shape[-1]
    pace = _smooth_curves(x, generator, x.shape[1] if each_axis else 1, sd, n_knots).clamp_min(0.05)
    clock = pace.cumsum(-1)
    clock = clock - clock[..., :1]
    clock = (clock * ((n - 1) / clock[..., -1:])).expand(-1, x.shape[1], -1)
    return _interpolate(x, clock)


def _interpolate(x: Tensor, clock: Tensor) -> Tensor:
    """Interpolate ``(clock, x)``, both ``[B, axes, time]``, linearly at 0..n-1; the clock increases."""
    n = x.shape[-1]
    steps = torch.arange(n, device=x.device, dtype=x.dtype).expand_as(x).contiguous()
    above = torch.searchsorted(clock.contiguous(), steps).clamp(1, n - 1)
    left, right = clock.gather(2, above - 1), clock.gather(2, above)
    share = ((steps - left) / (right - left)).clamp(0, 1)
    return torch.lerp(x.gather(2, above - 1), x.gather(2, above), share)


def resample_at_random(x: Tensor, generator: Generator, *, keep: float = 0.5) -> Tensor:
    """Drop random samples, and interpolate them linearly (Um et al. 2017).

    Each sample is retained with probability `keep`, the first and the last always. The samples are the same for all axes.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep: expected a share above 0 and at most 1, got {keep:g}")
    n = x.shape[-1]
    retained = _uniform(x, generator, len(x), n) < keep
    retained[:, 0] = retained[:, -1] = True
    time = torch.arange(n, device=x.device).expand(len(x), n)
    before = time.where(retained, torch.zeros_like(time)).cummax(1).values
    after = time.where(retained, torch.full_like(time, n)).flip(1).cummin(1).values.flip(1)
    share = (time - before).to(x.dtype) / (after - before).clamp_min(1)
    left, right = (x.gather(2, index[:, None].expand_as(x)) for index in (before, after))
    return torch.lerp(left, right, share[:, None])


def shuffle_axes(x: Tensor, generator: Generator) -> Tensor:
    """Permute the axes at random, all triads in the same way."""
    if x.shape[1] % 3:
        raise ValueError(f"x: expected three axes or a multiple, got {list(x.shape)}")
    order = _uniform(x, generator, len(x), 3).argsort(1)  # [B, 3]
    triads = x.reshape(len(x), -1, 3, x.shape[-1])
    return triads.gather(2, order[:, None, :, None].expand_as(triads)).flatten(1, 2)


# The first eight are of SimCLR for activities and of the multi-task method, the others of Um et al. and HARNet.
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
