"""Reasons in words: why a recording has no calibration, and how many recordings share a reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from imuspec.recipe import Recipe

__all__ = ["Reasons", "alike", "calibration_failure", "counted", "uncalibrated"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
_ORDER = {"ok": 0, "excluded": 1, "failed": 2}


class Reasons(NamedTuple):
    """Recordings with one outcome: `n` of them, a figure of the `reason` that they do not share is an ellipsis."""

    status: str
    reason: str
    n: int
    example: str


def alike(outcomes: Iterable[tuple[str, str, str]]) -> list[Reasons]:
    """Count outcomes whose reasons are the same but for their figures.

    Parameters
    ----------
    outcomes : iterable of tuple
        Status (ok, excluded or failed), reason, and name of each recording.

    Returns
    -------
    list of Reasons
        ok first, then excluded, then failed; in each the most frequent first.

    Examples
    --------
    >>> from imuspec.preparation.reasons import alike
    >>> alike([("excluded", "wear is 4.5 h of 24 h", "a"), ("excluded", "wear is 3 h of 24 h", "b")])
    [Reasons(status='excluded', reason='wear is … h of 24 h', n=2, example='a')]
    """
    groups: dict[tuple[str, str], list[list[str]]] = {}
    first: dict[tuple[str, str], str] = {}
    for status, reason, name in outcomes:
        key = (status, _NUMBER.sub("\0", reason))
        groups.setdefault(key, []).append(_NUMBER.findall(reason))
        first.setdefault(key, name)
    counts = []
    for (status, pattern), values in groups.items():
        shared = [column[0] if len(set(column)) == 1 else "…" for column in zip(*values, strict=True)]
        pieces = pattern.split("\0")
        text = pieces[0] + "".join(figure + piece for figure, piece in zip(shared, pieces[1:], strict=True))
        counts.append(Reasons(status, text, len(values), first[status, pattern]))
    return sorted(counts, key=lambda group: (_ORDER.get(group.status, 3), -group.n, group.reason))


def counted(statuses: Iterable[str]) -> str:
    """Return the number of recordings, and the number with each status, in words.

    Examples
    --------
    >>> from imuspec.preparation.reasons import counted
    >>> counted(["excluded"])
    '1 recording: 0 ok, 1 excluded'
    """
    counts = Counter(statuses)
    total = sum(counts.values())
    parts = [f"{counts['ok']} ok"]
    parts += [f"{counts[status]} {status}" for status in ("excluded", "failed") if counts[status]]
    return f"{total} recording{'' if total == 1 else 's'}: {', '.join(parts)}"


def uncalibrated(recipe: Recipe, calibration: Mapping[str, Any]) -> str:
    """Return the reason why a recording could not be calibrated, in words.

    Parameters
    ----------
    recipe : Recipe
        ``calibration.min_windows`` is the number of still windows that it needs.
    calibration : mapping
        ``n_windows`` and ``reason`` of the fit.
    """
    n_windows, reason = int(calibration.get("n_windows") or 0), str(calibration.get("reason") or "no reason given")
    if "still windows" in reason and n_windows < recipe.calibration.min_windows:
        windows = "still window" if n_windows == 1 else "still windows"
        return f"{n_windows} {windows}; the recipe needs {recipe.calibration.min_windows}"
    return reason


def calibration_failure(recipe: Recipe, calibration: Mapping[str, Any], duration_s: float) -> str:
    """Return the reason of a recording that is excluded because it could not be calibrated, with what may help.

    Parameters
    ----------
    recipe : Recipe
        The recipe that was followed.
    calibration : mapping
        As in `uncalibrated`.
    duration_s : float
        Length of the recording, s.
    """
    settings = recipe.calibration
    n_windows = int(calibration.get("n_windows") or 0)
    advice = ["--set calibration.required=false to keep it as measured"]
    if 0 < n_windows < settings.min_windows:
        advice.insert(0, f"--set calibration.min_windows={n_windows}")
    reason, short = uncalibrated(recipe, calibration), ""
    if "still window" in reason and duration_s < settings.min_windows * settings.window_s:
        short = f", which last {settings.min_windows * settings.window_s:g} s; the recording lasts {duration_s:.0f} s"
    return f"calibration failed: {reason}{short} ({', or '.join(advice)})"
