"""Sensor-aware operations: changes of a spectrogram picture if the sensor is worn or timed differently.

The width of a picture is time and its three channels are the axes. So `translate_x` is a shift in time, `permute_x` a change
of order, `hue` another orientation of the sensor, and `jitter` noise. There is no flip, crop, rotation or blur. The IMG2IMU
paper does not state magnitudes; the defaults follow AutoAugment's TranslateX, Um et al. 2017, and the source at each.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from imuspec.views.choosing import Operation, by_chance, pairs, uniform
from imuspec.views.colour import turn_hue

__all__ = ["SensorViews", "hue", "jitter", "mixing_matrix", "permute_x", "translate_x"]

Fill = Literal["zero", "edge", "wrap", "mean"]
_MOST_CHUNKS = 8


def translate_x(pictures: Tensor, generator: torch.Generator, *, most: float = 0.45, fill: Fill = "zero") -> Tensor:
    """Shift each picture along its width by U(-most, most) of it, in whole columns.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]`` in 0..1.
    generator : torch.Generator
        Source of the shifts.
    most : float, default 0.45
        Largest shift as a fraction of the width; AutoAugment's largest is 150/331.
    fill : {"zero", "edge", "wrap", "mean"}, default "zero"
        Content of the empty columns: black, the edge column, the columns from the other side, or the mean of the picture.
    """
    return _filled(pictures, _shifted(pictures, generator, most), fill)


def _shifted(pictures: Tensor, generator: torch.Generator, most: float) -> Tensor:
    """Return the source column ``[B, columns]`` of a random shift, also outside the picture."""
    width = pictures.shape[3]
    shift = (uniform(len(pictures), -most, most, generator) * width).round().long().to(pictures.device)
    return torch.arange(width, device=pictures.device) - shift[:, None]


def _filled(pictures: Tensor, source: Tensor, fill: Fill) -> Tensor:
    """Return pictures of the source columns ``[B, columns]``, with `fill` for those outside the picture."""
    width = pictures.shape[3]
    if fill == "wrap":
        return _columns(pictures, source % width)
    shifted = _columns(pictures, source.clamp(0, width - 1))
    if fill == "edge":
        return shifted
    vacated = ((source < 0) | (source >= width))[:, None, None, :]
    if fill == "mean":
        return torch.where(vacated, pictures.mean((2, 3), keepdim=True), shifted)
    return shifted.masked_fill(vacated, 0.0)


def permute_x(
    pictures: Tensor,
    generator: torch.Generator,
    *,
    chunks: int = 4,
    min_columns: int = 10,
    cuts: Literal["random", "equal", "poisson"] = "random",
) -> Tensor:
    """Cut each picture into pieces along its width, and put them into another order.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]`` in 0..1.
    generator : torch.Generator
        Source of cuts and orders.
    chunks : int, default 4
        Number of pieces (Um et al. 2017: 4).
    min_columns : int, default 10
        Narrowest piece; all sets of cuts within this limit have the same probability.
    cuts : {"random", "equal", "poisson"}, default "random"
        "random"; "equal": pieces of the same width; "poisson": random cuts whose number is Poisson with mean
        ``chunks - 1``, at least 1 and at most 7 or what fits.

    Raises
    ------
    ValueError
        If the pieces do not fit into the width.
    """
    return _columns(pictures, _reordered(pictures, generator, chunks, min_columns, cuts))


def _reordered(pictures: Tensor, generator: torch.Generator, chunks: int, min_columns: int, cuts: str) -> Tensor:
    """Return the source column ``[B, columns]`` of each column of pieces in random order, as in `permute_x`."""
    n, width = len(pictures), pictures.shape[3]
    if chunks * min_columns > width:
        raise ValueError(f"permute_x: expected chunks * min_columns <= {width} columns, got {chunks} * {min_columns}")
    if cuts != "poisson":
        return _permuted(n, width, chunks, min_columns, generator, equal=cuts == "equal").to(pictures.device)
    most = min(_MOST_CHUNKS, width // min_columns)
    mean = torch.full((n,), chunks - 1.0, device=generator.device)
    number = 1 + torch.poisson(mean, generator=generator).clamp(1, most - 1).long()
    source = torch.zeros(n, width, dtype=torch.long, device=generator.device)
    for n_chunks in range(2, most + 1):
        drawn = _permuted(n, width, n_chunks, min_columns, generator, equal=False)
        source = torch.where((number == n_chunks)[:, None], drawn, source)
    return source.to(pictures.device)


def mixing_matrix(axis: Tensor, angle: Tensor) -> Tensor:
    """Return the element-wise square ``[..., 3, 3]`` of the rotation about ``axis [..., 3]`` by ``angle [...]``, radians.

    ``R = I + sin(angle) K + (1 - cos(angle)) K^2`` with ``K`` the cross product with the unit axis (Rodrigues). If the
    axes of a sensor are uncorrelated, turning it by R turns their *powers* by R∘R. Rows and columns sum to 1, so a
    pixel keeps R + G + B.
    """
    x, y, z = (axis / axis.norm(dim=-1, keepdim=True)).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*angle.shape, 3, 3)
    sine, cosine = torch.sin(angle)[..., None, None], torch.cos(angle)[..., None, None]
    rotation: Tensor = (
        torch.eye(3, dtype=axis.dtype, device=axis.device) + sine * cross + (1 - cosine) * (cross @ cross)
    )
    return rotation.square()


def hue(
    pictures: Tensor,
    generator: torch.Generator,
    *,
    kind: Literal["mix", "perm", "hsv"] = "perm",
    most: float = 0.5,
) -> Tensor:
    """Exchange or mix the channels of each picture, as another orientation of the sensor does with its axes.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]`` in 0..1.
    generator : torch.Generator
        Source of the rotations.
    kind : {"mix", "perm", "hsv"}, default "perm"
        "perm": the channels in one of the five other orders, which keeps brightness and contrast, as IMG2IMU's authors state
        of Hue; "mix": each pixel, a row vector, times the `mixing_matrix` of axis ~ U(-1, 1)^3 and angle ~ U(-pi, pi), which
        keeps brightness and on average 46 % of the energy of the colours; "hsv": hue turned by U(-most, most) of the circle,
        which keeps contrast, but not the mean of the channels.
    most : float, default 0.5
        Largest turn of "hsv".
    """
    if kind == "hsv":
        return turn_hue(pictures, uniform(len(pictures), -most, most, generator).to(pictures.device))
    return _mixed(pictures, _mixing(pictures, generator, kind)).clamp(0, 1)


def _mixing(pictures: Tensor, generator: torch.Generator, kind: str) -> Tensor:
    """Return the matrices ``[B, 3, 3]`` of `hue`, by which pixels, row vectors, are multiplied."""
    n, device = len(pictures), generator.device
    if kind == "perm":
        order = _order(torch.randint(1, 6, (n,), generator=generator, device=device), 3)  # [B, 3]
        matrix = (order[:, None, :] == torch.arange(3, device=device)[:, None]).float()
    else:
        axis = uniform(3 * n, -1, 1, generator).view(n, 3)
        matrix = mixing_matrix(axis, uniform(n, -math.pi, math.pi, generator))
    return matrix.to(pictures)


def _mixed(pictures: Tensor, matrix: Tensor) -> Tensor:
    """Return the product of each pixel, a row vector, and the matrix of its picture, ``[B, 3, 3]``, in full precision."""
    first, second, third = matrix[..., None, None].unbind(1)  # [B, 3, 1, 1] each: what a channel gives to the three
    red, green, blue = pictures.unbind(1)
    return torch.addcmul(torch.addcmul(red[:, None] * first, green[:, None], second), blue[:, None], third)


def jitter(
    pictures: Tensor,
    generator: torch.Generator,
    *,
    most: float = 0.1,
    noise: Literal["uniform", "gaussian"] = "uniform",
    shared: bool = False,
) -> Tensor:
    """Add noise to each pixel and channel, and clip.

    Parameters
    ----------
    pictures : Tensor
        ``[B, 3, rows, columns]`` in 0..1.
    generator : torch.Generator
        Source of the noise.
    most : float, default 0.1
        Largest deviation, as a fraction of the full scale.
    noise : {"uniform", "gaussian"}, default "uniform"
        "uniform": U(-most, most); "gaussian": of the same standard deviation, most / sqrt(3).
    shared : bool, default False
        Whether the three channels of a pixel have the same deviation.
    """
    return (pictures + most * _noise(pictures, generator, noise, shared=shared)).clamp(0, 1)


def _noise(pictures: Tensor, generator: torch.Generator, noise: str, *, shared: bool) -> Tensor:
    """Return noise of the standard deviation of U(-1, 1) for each pixel, and each channel if not `shared`."""
    shape = (len(pictures), 1 if shared else 3, *pictures.shape[2:])
    if noise == "gaussian":
        drawn = torch.randn(shape, generator=generator, device=generator.device).div_(math.sqrt(3))
    else:
        drawn = torch.rand(shape, generator=generator, device=generator.device).mul_(2).sub_(1)
    return drawn.to(pictures.device)


class _Magnitudes(NamedTuple):
    """The settings of the operations of `SensorViews`."""

    translate_max: float
    translate_fill: Fill
    permute_chunks: int
    permute_min_columns: int
    permute_cuts: str
    hue: str
    hue_max: float
    jitter_max: float
    jitter_noise: str
    jitter_shared: bool


class SensorViews:
    """Two views of each picture, each with one random sensor-aware operation.

    Parameters
    ----------
    operations : tuple of str, default ('translate_x', 'permute_x', 'hue', 'jitter')
        Operations to draw from; an ablation leaves one out.
    cascade : bool, default False
        Whether to apply each operation with a probability, one after the other, in place of exactly one.
    cascade_probability : float, default 0.5
        Probability of each operation with `cascade`.
    translate_max : float, default 0.45
        `most` of `translate_x`.
    translate_fill : {"zero", "edge", "wrap", "mean"}, default "zero"
        `fill` of `translate_x`.
    permute_chunks : int, default 4
        `chunks` of `permute_x`.
    permute_min_columns : int, default 10
        `min_columns` of `permute_x`.
    permute_cuts : {"random", "equal", "poisson"}, default "random"
        `cuts` of `permute_x`.
    hue : {"mix", "perm", "hsv"}, default "perm"
        `kind` of `hue`.
    hue_max : float, default 0.5
        `most` of `hue`.
    jitter_max : float, default 0.1
        `most` of `jitter`.
    jitter_noise : {"uniform", "gaussian"}, default "uniform"
        `noise` of `jitter`.
    jitter_shared : bool, default False
        `shared` of `jitter`.
    """

    def __init__(
        self,
        *,
        operations: tuple[str, ...] = ("translate_x", "permute_x", "hue", "jitter"),
        cascade: bool = False,
        cascade_probability: float = 0.5,
        translate_max: float = 0.45,
        translate_fill: Fill = "zero",
        permute_chunks: int = 4,
        permute_min_columns: int = 10,
        permute_cuts: Literal["random", "equal", "poisson"] = "random",
        hue: Literal["mix", "perm", "hsv"] = "perm",
        hue_max: float = 0.5,
        jitter_max: float = 0.1,
        jitter_noise: Literal["uniform", "gaussian"] = "uniform",
        jitter_shared: bool = False,
    ) -> None:
        known: dict[str, Operation] = {
            "translate_x": lambda x, g: translate_x(x, g, most=translate_max, fill=translate_fill),
            "permute_x": lambda x, g: permute_x(
                x, g, chunks=permute_chunks, min_columns=permute_min_columns, cuts=permute_cuts
            ),
            "hue": lambda x, g: _hue(x, g, kind=hue, most=hue_max),
            "jitter": lambda x, g: jitter(x, g, most=jitter_max, noise=jitter_noise, shared=jitter_shared),
        }
        unknown = [name for name in operations if name not in known]
        if unknown or not operations:
            raise ValueError(f"operations: expected some of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
        self.operations = {name: known[name] for name in operations}
        self.cascade, self.cascade_probability = cascade, cascade_probability
        self.settings = _Magnitudes(
            translate_max, translate_fill, permute_chunks, permute_min_columns, permute_cuts,
            hue, hue_max, jitter_max, jitter_noise, jitter_shared,
        )  # fmt: skip

    def one_view(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view of pictures in 0..1, not yet normalised."""
        if not self.cascade:
            return self._one_each(pictures, generator)
        for operation in self.operations.values():
            pictures = by_chance(pictures, operation, self.cascade_probability, generator)
        return pictures

    def _one_each(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Apply one random operation to each picture: one gather of columns, one mixing of channels, and noise, for all.

        A picture without an operation has the columns in order, the unit matrix, or no noise.
        """
        names, chosen = list(self.operations), self.settings
        choice = torch.randint(len(names), (len(pictures),), generator=generator, device=generator.device)
        choice = choice.to(pictures.device)
        by_name = {name: (choice == number)[:, None] for number, name in enumerate(names)}  # [B, 1] each
        if {"translate_x", "permute_x"} & set(names):
            source = torch.arange(pictures.shape[3], device=pictures.device).expand(len(pictures), -1)
            if "translate_x" in by_name:
                shifted = _shifted(pictures, generator, chosen.translate_max)
                source = torch.where(by_name["translate_x"], shifted, source)
            if "permute_x" in by_name:
                order = _reordered(
                    pictures, generator, chosen.permute_chunks, chosen.permute_min_columns, chosen.permute_cuts
                )
                source = torch.where(by_name["permute_x"], order, source)
            pictures = _filled(pictures, source, chosen.translate_fill)
        if "hue" in by_name and chosen.hue == "hsv":
            turned = hue(pictures, generator, kind="hsv", most=chosen.hue_max)
            pictures = torch.where(by_name["hue"][..., None, None], turned, pictures)
        elif "hue" in by_name:
            unit_matrix = torch.eye(3, device=pictures.device, dtype=pictures.dtype)
            mixing = _mixing(pictures, generator, chosen.hue)
            pictures = _mixed(pictures, torch.where(by_name["hue"][..., None], mixing, unit_matrix))
        if "jitter" in by_name:
            most = by_name["jitter"][..., None, None] * chosen.jitter_max
            drawn = _noise(pictures, generator, chosen.jitter_noise, shared=chosen.jitter_shared)
            pictures = torch.addcmul(pictures, drawn, most)
        return pictures.clamp(0, 1)

    def __call__(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return two normalised views ``[B, 3, rows, columns]``, drawn independently."""
        return pairs(self.one_view, batch, generator)


_hue = hue  # the class has a setting of the same name


def _columns(pictures: Tensor, source: Tensor) -> Tensor:
    """Return pictures whose column w is column ``source[b, w]`` of picture b."""
    index = source[:, None, None, :].expand(-1, pictures.shape[1], pictures.shape[2], -1)
    return torch.gather(pictures, 3, index)


def _permuted(n: int, width: int, chunks: int, min_columns: int, generator: torch.Generator, *, equal: bool) -> Tensor:
    """Return the source column of each column of the result, ``[n, width]``."""
    device = generator.device
    slack = width - chunks * min_columns
    if equal:
        ends = torch.arange(1, chunks + 1, device=device).mul(width).div(chunks, rounding_mode="floor").expand(n, -1)
    else:
        # Each choice of chunks - 1 of slack + chunks - 1 positions divides the slack among the pieces in one way.
        cut_positions = torch.rand(n, slack + chunks - 1, generator=generator, device=device).topk(chunks - 1).indices
        cuts = cut_positions.sort(1).values + torch.arange(chunks - 1, device=device) * (min_columns - 1) + min_columns
        ends = torch.cat([cuts, torch.full((n, 1), width, device=device)], 1)
    starts = torch.cat([torch.zeros(n, 1, dtype=ends.dtype, device=device), ends[:, :-1]], 1)
    order = _order(torch.randint(1, math.factorial(chunks), (n,), generator=generator, device=device), chunks)
    new_ends = (ends - starts).gather(1, order).cumsum(1)
    column = torch.arange(width, device=device).expand(n, -1).contiguous()
    chunk = torch.searchsorted(new_ends, column, right=True)
    begins = starts.gather(1, order) - torch.cat([torch.zeros_like(new_ends[:, :1]), new_ends[:, :-1]], 1)
    return column + begins.gather(1, chunk)


def _order(number: Tensor, n: int) -> Tensor:
    """Return the ``number``-th permutation of n in lexicographic order, 0 being the identity: ``[..., n]``."""
    remaining = torch.arange(n, device=number.device).expand(*number.shape, n)
    digits = []
    for size in range(n, 0, -1):
        digit = (number.div(math.factorial(size - 1), rounding_mode="floor") % size)[..., None]
        digits.append(remaining.gather(-1, digit))
        others = torch.arange(size - 1, device=number.device)
        remaining = remaining.gather(-1, others + (others >= digit))  # a mask would wait for its number of trues
    return torch.cat(digits, -1)
