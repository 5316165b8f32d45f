"""Scores of a probe: a row for each seed and condition, with confusion matrices, heads and splits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.evaluation import METRICS, Scores, split_unit, summary
from imuspec.evaluation.comparison import MEMBERS

if TYPE_CHECKING:
    import pandas as pd

    from imuspec.probing.heads import Fitted

__all__ = ["KEY", "ProbeResult", "row_of"]

KEY = ("layer", "shots", "seed", "test")


@dataclass(frozen=True)
class ProbeResult:
    """Result of a probe.

    Attributes
    ----------
    table : DataFrame
        A row for each layer, number of shots, seed and test set: scores, their interval, the test subjects, the number of test
        windows of the rarest class (``n_rarest``), the members of each part of the split (``split_members``, JSON), and the
        choices of the validation part.
    scores : mapping
        (layer, shots, seed, test set) -> `Scores` with confusion matrix and per-class F1.
    heads : mapping
        (layer, shots, seed) -> the chosen head; empty for a classifier of which all parameters were fitted.
    class_names : tuple of str
        The classes.
    members : mapping
        Seed -> subjects or recordings of each part of its split.
    """

    table: pd.DataFrame
    scores: Mapping[tuple[str, int, int, str], Scores]
    heads: Mapping[tuple[str, int, int], Fitted]
    class_names: tuple[str, ...]
    members: Mapping[int, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)

    def summary(self) -> pd.DataFrame:
        """Return mean and sd over seeds, a row for each layer, number of shots and test set, and what they rest on.

        ``n_test_subjects`` counts the test people of all seeds together; ``n_rarest``, and ``n_fewest`` of a probe of windows, are
        those of the seed that has fewest.
        """
        keys = ["layer", "shots", "test"]
        table = summary(self.table, keys)
        groups = self.table.groupby(keys, sort=False, dropna=False)
        people = groups["test_subjects"].agg(lambda texts: len({name for text in texts for name in text.split("; ")}))
        table["n_test_subjects"] = people.to_numpy()
        for name in ("n_rarest", "n_fewest"):
            if name in self.table:
                table[name] = groups[name].min().to_numpy()
        return table

    def evidence(self) -> str:
        """Return the number of splits, of test subjects in all of them, and of test windows of the rarest class, in words."""
        table = self.summary()
        unit = split_unit(self.table, " by recording")
        return (
            f"{int(table['n'].max())} distinct splits{unit}, {int(table['n_test_subjects'].max())} test subjects, "
            f"{int(table['n_rarest'].min())} test windows of the rarest class at least"
        )

    def confusion(self, layer: str, shots: int, test: str = "clean") -> NDArray[np.int64]:
        """Return the confusion matrix [C, C] summed over seeds."""
        key = (layer, shots, test)
        matches = [s.confusion for (name, n, _, part), s in self.scores.items() if (name, n, part) == key]
        if not matches:
            raise ValueError(f"layer, shots, test: expected a row of the table, got {layer!r}, {shots}, {test!r}")
        return np.asarray(np.sum(matches, axis=0), np.int64)

    def per_class(self) -> pd.DataFrame:
        """Return F1 of each class: a row for each layer, shots, seed and test set, a column for each class."""
        import pandas as pd

        return pd.DataFrame([{**dict(zip(KEY, key, strict=True)), **scores.f1} for key, scores in self.scores.items()])


def row_of(
    key: tuple[str, int, int, str],
    scores: Scores,
    members: Mapping[str, Sequence[Any]],
    subjects: NDArray[Any],
    **columns: Any,
) -> dict[str, Any]:
    """Return a row of `ProbeResult.table`.

    Parameters
    ----------
    key : tuple
        Layer, number of shots, seed and test set.
    scores : Scores
        Scores on the test set.
    members : mapping
        Members of each part of the split.
    subjects : sequence
        Subject of each test window.
    **columns : object
        Further columns.

    Returns
    -------
    dict
        The key, the scores, the interval of macro-F1, the test subjects, their number, the number of test windows of the rarest
        class, the test members of the split per training member, the members of each part as JSON, and `columns`.
    """
    low, high = scores.interval["macro_f1"]
    values = {name: scores.values[name] for name in METRICS}
    tested, of_class = np.unique(subjects).tolist(), scores.confusion.sum(1)
    facts = {
        "test_subjects": "; ".join(map(str, tested)),
        "n_test_subjects": len(tested),
        "n_rarest": int(of_class[of_class > 0].min(initial=of_class.max(initial=0))),
        "test_over_train": len(members.get("test", members["validation"])) / len(members["train"]),
        MEMBERS: json.dumps({part: list(names) for part, names in members.items()}, default=str),
    }
    interval = {"macro_f1_low": low, "macro_f1_high": high}
    return {**dict(zip(KEY, key, strict=True)), **values, **interval, **facts, **columns}
