"""Which rows of a table are compared: encoders with the statistics of the window, pre-training with random weights."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imuspec.evaluation import holm

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "PICTURES",
    "Difference",
    "corrected",
    "difference",
    "figure",
    "frozen_row",
    "is_free",
    "joins_moments",
    "kind_of_experiment",
    "of_signals",
    "opposed",
    "opposed_rows",
    "planned",
    "random_row",
    "reference_row",
    "score_of",
    "with_set_names",
]

PICTURES = "encoder of pictures"
_LIMIT = 0.05  # of p
_SCORES = ("macro_f1", "balanced_accuracy", "kappa")
_REFERENCES = ("statistics of the window", "statistics, head only")
_FREE = (*_REFERENCES, "signed means and log deviations", "means of the picture's rows")
_SIGNALS = ("LIMU-BERT", "SimCLR (HAR)", "Multi-task (HAR)", "CPC (HAR)", "CPC", "Randomly-init. (1D)", "random (1D)")
_LITE = "ImageNet-supervised (EfficientNet-Lite0)"
_RANDOM_LITE = "Randomly-init. (EfficientNet-Lite0)"
_JOINED = "last+moments"
_DEFAULT = "Hue perm"  # of img2imu-options
_OPPOSED = {
    "IMG2IMU": ("MoCo",),
    "IMG2IMU from ImageNet (EfficientNet-Lite0)": (_LITE, "MoCo from ImageNet (EfficientNet-Lite0)"),
    "MoCo from ImageNet (EfficientNet-Lite0)": (_LITE,),
    "LMM + mean N 32": ("LMM N 32", "MSE"),
    "all four": ("no Hue", "no Jitter", "no PermuteX", "no TranslateX"),
    **dict.fromkeys(
        ("Hue mix", "Hue hsv", "no Hue", "temperature .07", "cascade", "jitter .5", "queue 4096"), (_DEFAULT,)
    ),
}
_KINDS = {
    "img2imu": PICTURES,
    "single-axis": PICTURES,
    "fine-tuning": PICTURES,
    "lmm": "masked auto-encoder",
    "signal-objectives": "encoder of signals",
    "fusion": "encoder of signals",
}


@dataclass(frozen=True)
class Difference:
    """The difference of two rows of a table in one column.

    Attributes
    ----------
    column, first, second : str
        Column, and the rows.
    value, low, high : float
        Mean of first - second over the splits, and its 95 % interval; NaN where it cannot be computed.
    p : float
        Two-sided p; of `conclusions` and `verdict` after Holm's correction over the comparisons of a question in a column.
    n_splits : int
        Distinct splits that both rows have.
    """

    column: str
    first: str
    second: str
    value: float
    low: float
    high: float
    p: float
    n_splits: int

    @property
    def clear(self) -> bool:
        """Whether p is below .05."""
        return self.p < _LIMIT

    def __str__(self) -> str:
        if math.isnan(self.low):
            return f"{figure(self.value, signed=True)} without an interval"
        return f"{figure(self.value, signed=True)} [{figure(self.low, signed=True)}, {figure(self.high, signed=True)}]"


def figure(value: float, *, signed: bool = False) -> str:
    """Return a score with three digits and without the zero before the point; "-" for NaN.

    Parameters
    ----------
    value : float
        Score or difference.
    signed : bool, default False
        Whether a plus is shown.
    """
    if math.isnan(value):
        return "-"
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def score_of(name: str) -> str:
    """Return the score on which an experiment is judged: balanced accuracy as in the paper on LMM, else macro-F1.

    Parameters
    ----------
    name : str
        Name of the experiment.
    """
    return "balanced_accuracy" if name.startswith("lmm") else "macro_f1"


def with_set_names(table: pd.DataFrame, sets: Collection[str]) -> pd.DataFrame:
    """Return scores or differences with the name of the only set where a column has the name of a score.

    Parameters
    ----------
    table : DataFrame
        Scores or paired differences with ``column``.
    sets : collection of str
        Names of the data sets.
    """
    if len(sets) != 1:
        return table
    (name,) = sets
    label = re.split("[@,]", name)[0]
    return table.assign(column=table["column"].where(~table["column"].isin(_SCORES), label))


def difference(
    paired: pd.DataFrame, column: str, first: str, second: str, score: str = "macro_f1"
) -> Difference | None:
    """Return the difference of two rows, in whichever order the table has them; None if it has no such pair.

    Parameters
    ----------
    paired : DataFrame
        From `imuspec.experiments.evidence.paired_table`.
    column, first, second : str
        Column of the scores, and the rows.
    score : str, default "macro_f1"
        Score that is compared.
    """
    rows = paired[(paired["column"] == column) & (paired["score"] == score)]
    for one, other, sign in ((first, second, 1), (second, first, -1)):
        for line in rows[(rows["first"] == one) & (rows["second"] == other)].to_dict("records"):
            low, high = sorted((sign * line["low"], sign * line["high"]))
            value, p = sign * float(line["difference"]), float(line["p"])
            return Difference(column, first, second, value, low, high, p, int(line["n_splits"]))
    return None


def reference_row(row: str, rows: Iterable[str]) -> str | None:
    """Return the row of plain statistics that a row is compared with: the one on the same axes, sensors or share of labels.

    Parameters
    ----------
    row : str
        Row of a table.
    rows : iterable of str
        All rows.
    """
    pairs = [(each, name) for each in rows for name in _REFERENCES if name in each]
    for each, name in pairs:
        before, after = each.split(name, 1)
        if row.startswith(before) and row.endswith(after):
            return each
    return None


def random_row(row: str, rows: Iterable[str]) -> str | None:
    """Return the row with random weights, of the same layer and head, that a pre-trained row is compared with; None without one.

    Parameters
    ----------
    row : str
        Row of a table.
    rows : iterable of str
        All rows.
    """
    base, comma, rest = row.partition(", ")
    parts, known = row.split(", "), list(rows)
    dimension = "1D" if base in _SIGNALS else "2D"
    starts = [_RANDOM_LITE] if base.endswith("(EfficientNet-Lite0)") else []
    starts += ["random weights", f"random ({dimension})", f"Randomly-init. ({dimension})"]
    if row.startswith((*starts, "Randomly", "random")) or "random" in parts:
        return None
    same = ", ".join("random" if part == "pre-trained" else part for part in parts)
    names = [same, f"{row}, random", f"{base}, random{comma}{rest}", *(f"{start}{comma}{rest}" for start in starts)]
    return next((name for name in names if name in known and name != row), None)


def frozen_row(row: str, rows: Iterable[str]) -> str | None:
    """Return the row of the head alone that a fine-tuned row is compared with; None for other rows.

    Parameters
    ----------
    row : str
        Row of a table.
    rows : iterable of str
        All rows.
    """
    base, _, weights = row.rpartition(", ")
    frozen = f"{base}, head only"
    return frozen if weights in ("last block", "all weights") and frozen in rows else None


def opposed_rows(row: str, rows: Iterable[str]) -> list[str]:
    """Return the rows that a row is set against: the other views, the other loss, the same start, the recipe's default.

    With the layer ``last+moments`` these are the same layer of the others, and the six numbers alone.

    Parameters
    ----------
    row : str
        Row of a table.
    rows : iterable of str
        All rows.
    """
    base, comma, rest = row.partition(", ")
    names = [f"{other}{comma}{rest}" for other in _OPPOSED.get(base, ())]
    names += [_FREE[2]] if joins_moments(row) else []
    known = set(rows)
    return [name for name in names if name in known]


def opposed(name: str, judged: pd.DataFrame, paired: pd.DataFrame) -> list[Difference]:
    """Return the differences of rows and those that they are set against, p corrected within a column.

    Parameters
    ----------
    name : str
        Name of the experiment.
    judged, paired : DataFrame
        As for `planned`.
    """
    rows, columns = list(dict.fromkeys(judged["row"])), list(dict.fromkeys(judged["column"]))
    pairs = [(row, other) for row in rows for other in opposed_rows(row, rows)]
    each = (difference(paired, column, *pair, score_of(name)) for column in columns for pair in pairs)
    return corrected([one for one in each if one is not None])


def is_free(row: str) -> bool:
    """Whether a row has features without parameters."""
    return any(name in row for name in _FREE)


def joins_moments(row: str) -> bool:
    """Whether a row has the six numbers behind an encoder's features."""
    return _JOINED in row.split(", ")


def _kind(name: str, row: str) -> str:
    """What a row is, for a sentence; empty for rows without parameters and for those that had all labels."""
    if is_free(row) or row.startswith(("Fully-supervised", "from scratch")):
        return ""
    return "encoder of signals" if of_signals(row) else kind_of_experiment(name) or "encoder"


def kind_of_experiment(name: str) -> str:
    """Return the kind of encoder that an experiment is about, signals apart; empty where it is another."""
    return next((kind for start, kind in _KINDS.items() if name.startswith(start)), "")


def of_signals(row: str) -> bool:
    """Whether a row is an encoder of signals."""
    return row.partition(", ")[0] in (*_SIGNALS, "Fully-supervised (1D)")


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """Return the comparisons of one question with p corrected by Holm within each column.

    Parameters
    ----------
    differences : sequence of Difference
        Comparisons with uncorrected p.
    """
    by_column: dict[str, list[Difference]] = {}
    for each in differences:
        by_column.setdefault(each.column, []).append(each)
    return [
        replace(each, p=float(p))
        for part in by_column.values()
        for each, p in zip(part, holm([each.p for each in part]), strict=True)
    ]


def planned(
    name: str, judged: pd.DataFrame, paired: pd.DataFrame
) -> tuple[dict[str, list[Difference]], list[Difference], list[Difference]]:
    """Return the comparisons that a table is made for: with the statistics of the window, with random weights, with a head alone.

    Parameters
    ----------
    name : str
        Name of the experiment.
    judged : DataFrame
        Scores of each row, column, split and draw of the weights.
    paired : DataFrame
        Their paired differences, from `imuspec.experiments.evidence.paired_table`.

    Returns
    -------
    dict of str to list of Difference
        Kind of encoder -> differences from the statistics, p corrected within a column.
    list of Difference
        Pre-trained rows less their random weights, in the same way.
    list of Difference
        Fine-tuned rows less the head alone on the same encoder.
    """
    score, rows = score_of(name), list(dict.fromkeys(judged["row"]))
    by_kind: dict[str, list[Difference]] = {}
    trained: list[Difference] = []
    tuned: list[Difference] = []
    for column in dict.fromkeys(judged["column"]):
        for row in rows:
            reference, initial = reference_row(row, rows), random_row(row, rows)
            if not (kind := _kind(name, row)):
                continue
            part = by_kind.setdefault(kind, [])
            for other, question in ((reference, part), (initial, trained), (frozen_row(row, rows), tuned)):
                each = None if other is None else difference(paired, column, row, other, score)
                question.extend([] if each is None else [each])
    kinds = sorted(filter(by_kind.get, by_kind), key=lambda kind: kind != kind_of_experiment(name))
    return {kind: corrected(by_kind[kind]) for kind in kinds}, corrected(trained), corrected(tuned)
