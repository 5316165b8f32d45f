"""Why recordings were excluded or failed, counted: reasons that differ in figures alone are one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Reasons", "alike", "counted"]

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
    """Return how many recordings there are, and how many came out how, in words.

    Examples
    --------
    >>> from imuspec.preparation.reasons import counted
    >>> counted(["excluded"])
    '1 recording: 0 kept, 1 excluded'
    """
    counts = Counter(statuses)
    total = sum(counts.values())
    parts = [f"{counts['ok']} kept"]
    parts += [f"{counts[status]} {status}" for status in ("excluded", "failed") if counts[status]]
    return f"{total} recording{'' if total == 1 else 's'}: {', '.join(parts)}"
