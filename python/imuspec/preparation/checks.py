"""Plausibility of a recording: the rules of a recipe's section ``checks``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imuspec.recipe import Recipe
    from imuspec.recording.quality import Quality

__all__ = ["below", "damage", "doubt"]


def damage(recipe: Recipe, header: Mapping[str, Any]) -> str:
    """Return the reason why a file is too damaged, or "".

    Parameters
    ----------
    recipe : Recipe
        ``checks.damaged_max`` is the bound.
    header : mapping
        ``damaged_share``, 0 to 1.
    """
    share, allowed = header.get("damaged_share") or 0.0, recipe.checks.damaged_max
    if not share > allowed:
        return ""
    percent = "an unknown part" if share >= 1 else f"{100 * share:.3g} %"
    return f"damaged: {percent} of the file could not be read; the recipe allows {100 * allowed:g} % (--set checks.damaged_max=1)"


def doubt(recipe: Recipe, header: Mapping[str, Any], quality: Quality, n_samples: int) -> str:
    """Return the reason why the samples cannot be acceleration at a usable rate, or "".

    Parameters
    ----------
    recipe : Recipe
        ``checks`` are the bounds.
    header : mapping
        ``still_norm`` in g, ``sample_rate`` and ``nominal_rate`` in Hz; NaN if not known.
    quality : Quality
        Events of the recording.
    n_samples : int
        Samples of the recording, those without a number on some axis included.
    """
    checks = recipe.checks
    missing = quality.counts.get("missing_values", 0)
    if missing > checks.missing_max * n_samples:
        return (
            f"values: expected a number on every axis, got none on some axis in {missing} of {n_samples} samples "
            "(--set checks.missing_max=1)"
        )
    norm = header.get("still_norm", math.nan)
    if norm < checks.norm_min_g or norm > checks.norm_max_g:
        return (
            f"gravity: expected {checks.norm_min_g:g} to {checks.norm_max_g:g} g at rest, got {norm:.3g}: the samples are "
            "hardly in g (--set checks.norm_min_g, checks.norm_max_g)"
        )
    constant = max((event.value for event in quality.events("constant_axis")), default=0.0)
    if constant > checks.constant_axis_max:
        return (
            f"axes: expected three that change together, got one that keeps its value through {100 * constant:.3g} % of the "
            "seconds while the device turns (--set checks.constant_axis_max=1)"
        )
    equal = max((event.value for event in quality.events("equal_axes")), default=0.0)
    if equal > checks.constant_axis_max:
        return (
            f"axes: expected three that differ, got two with the same values through {100 * equal:.3g} % of the seconds "
            "(--set checks.constant_axis_max=1)"
        )
    rate = header.get("sample_rate", math.nan)
    if not math.isfinite(rate):
        rate = header.get("nominal_rate") or math.nan
    if rate < checks.rate_min_hz:
        return (
            f"too slow: expected {checks.rate_min_hz:g} Hz and more, got {rate:.4g} Hz: between two samples nothing is "
            f"known (--set checks.rate_min_hz={rate:.2g})"
        )
    if rate > checks.rate_max_hz:
        return f"rate: expected {checks.rate_max_hz:g} Hz at most, got {rate:.4g} Hz (--set checks.rate_max_hz)"
    if checks.assumed_date_order == "exclude" and quality.counts.get("assumed_date_order"):
        return "dates: expected an order of day and month that the file settles, got an assumed one"
    return ""


def below(value: float, bound: float) -> str:
    """Return a number below a bound with three digits, rounded down, so that 23.97 does not read as 24."""
    if not 0 < value < bound:
        return f"{value:g}"
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return f"{math.floor(value * scale * (1 + 1e-12)) / scale:.3g}"
