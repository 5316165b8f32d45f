"""What a table of scores allows to conclude, in sentences that name test set, splits, draws and interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imuspec.evaluation import holm

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Difference",
    "conclusions",
    "corrected",
    "difference",
    "figure",
    "planned",
    "random_row",
    "reference_row",
    "score_of",
    "verdict",
]

_LIMIT = 0.05  # of p
_REFERENCES = ("statistics of the window", "statistics, head only")
_FREE = (*_REFERENCES, "signed means and log deviations", "means of the picture's rows")
_SIGNALS = ("LIMU-BERT", "SimCLR (HAR)", "Multi-task (HAR)", "CPC (HAR)", "CPC", "Randomly-init. (1D)", "random (1D)")
_LITE = "ImageNet-supervised (EfficientNet-Lite0)"
_PICTURES = "encoder of pictures"
_KINDS = {
    "img2imu": _PICTURES,
    "single-axis": _PICTURES,
    "lmm": "masked auto-encoder",
    "signal-objectives": "encoder of signals",
    "fusion": "encoder of signals",
}
_NAMES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "kappa": "kappa"}


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
    """Return the row with random weights that a pre-trained row is compared with; None where a table has none.

    Parameters
    ----------
    row : str
        Row of a table.
    rows : iterable of str
        All rows.
    """
    base, comma, rest = row.partition(", ")
    dimension = "1D" if base in _SIGNALS else "2D"
    starts = ["Randomly-init. (EfficientNet-Lite0)"] if base == _LITE else []
    starts += ["random weights", f"random ({dimension})", f"Randomly-init. ({dimension})"]
    names = [f"{row}, random", f"{base}, random", *(f"{start}{comma}{rest}" for start in starts), "random weights"]
    known = list(rows)
    if row.startswith((*starts, "Randomly", "random")) or row.endswith(", random"):
        return None
    return next((name for name in names if name in known and name != row), None)


def _is_free(row: str) -> bool:
    return any(name in row for name in _FREE)


def _kind(name: str, row: str) -> str:
    """What a row is, for a sentence; empty for rows without parameters and for those that had all labels."""
    if _is_free(row) or row.startswith(("Fully-supervised", "from scratch")):
        return ""
    return "encoder of signals" if _of_signals(row) else _own(name) or "encoder"


def _own(name: str) -> str:
    """The kind of encoder that an experiment is about; empty where it is about several."""
    return next((kind for start, kind in _KINDS.items() if name.startswith(start)), "")


def _of_signals(row: str) -> bool:
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
) -> tuple[dict[str, list[Difference]], list[Difference]]:
    """Return the comparisons that a table is made for: encoders with the statistics of the window, and with random weights.

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
    """
    score, rows = score_of(name), list(dict.fromkeys(judged["row"]))
    by_kind: dict[str, list[Difference]] = {}
    trained: list[Difference] = []
    for column in dict.fromkeys(judged["column"]):
        for row in rows:
            reference, initial = reference_row(row, rows), random_row(row, rows)
            if not (kind := _kind(name, row)):
                continue
            part = by_kind.setdefault(kind, [])
            for other, question in ((reference, part), (initial, trained)):
                each = None if other is None else difference(paired, column, row, other, score)
                question.extend([] if each is None else [each])
    kinds = sorted(filter(by_kind.get, by_kind), key=lambda kind: kind != _own(name))
    return {kind: corrected(by_kind[kind]) for kind in kinds}, corrected(trained)


def conclusions(
    name: str, judged: pd.DataFrame, paired: pd.DataFrame, options: Mapping[str, Any] | None = None
) -> list[str]:
    """Return what the scores of an experiment allow to conclude.

    An encoder passes the statistics of the window if its mean is higher and p of the paired difference is below .05, corrected for
    resampling and by Holm over the encoders of its kind in the column.

    Parameters
    ----------
    name : str
        Name of the experiment.
    judged, paired : DataFrame
        As for `planned`.
    options : mapping, optional
        Options of the experiment; ``shots`` is named.

    Returns
    -------
    list of str
        Whether encoders of each kind pass the statistics of the window, whether pre-training differs from random weights, and
        last the evidence: score, interval, test sets, splits, subjects and draws. Empty where a table has no such rows.
    """
    columns = list(dict.fromkeys(judged["column"]))
    by_kind, trained = planned(name, judged, paired)
    shots = (options or {}).get("shots")
    named = any(word in column for column in columns for word in ("label", "shots", "a class"))
    labels = f" with {shots} labelled windows a class" if isinstance(shots, int) and shots and not named else ""
    sentences = [f"{_passing(kind, part, labels)}. {_best(part)}." for kind, part in by_kind.items()]
    sentences += [f"{_trained(trained, labels)}."] if trained else []
    return [*sentences, _evidence(judged, columns, score_of(name))] if sentences else []


def _passing(kind: str, differences: Sequence[Difference], labels: str) -> str:
    """Whether encoders of a kind pass the statistics, and where."""
    columns = list(dict.fromkeys(each.column for each in differences))
    above = [each for each in differences if each.clear and each.value > 0]
    counts = {}
    for column in columns:
        part = [each for each in differences if each.column == column]
        counts[column] = f"{sum(each.clear and each.value < 0 for each in part)} of {len(part)}"
    same = len(set(counts.values())) == 1 < len(counts)
    shown = f"{counts[columns[0]]} on each" if same else _listed([f"{n} on {column}" for column, n in counts.items()])
    lower = f"Below them by p < .05 are {shown}"
    if not above:
        return f"No {kind} passes the statistics of the window on {_listed(columns, 'or')}{labels}. {lower}"
    parts = []
    for column in columns:
        names = [f"{each.first} ({each})" for each in above if each.column == column]
        parts.append(f"{_listed(names)} on {column}" if names else f"none on {column}")
    return f"Of each {kind}, these pass the statistics of the window{labels}: {'; '.join(parts)}. {lower}"


def _best(differences: Sequence[Difference]) -> str:
    """The highest mean of each column, and its difference from the statistics."""
    parts = []
    for column in dict.fromkeys(each.column for each in differences):
        best = max((each for each in differences if each.column == column), key=lambda each: each.value)
        p = "" if math.isnan(best.p) else f", p {figure(best.p)}" if best.p >= 0.001 else ", p < .001"
        parts.append(f"{best} on {column} ({best.first}{p})")
    return f"The highest differs from them by {_listed(parts)}"


def _trained(differences: Sequence[Difference], labels: str) -> str:
    """Which pre-trained rows differ from random weights."""
    parts = []
    for title, sign in (("is above random weights for", 1), ("is below them for", -1)):
        clear = [each for each in differences if each.clear and each.value * sign > 0]
        if clear:
            parts.append(f"{title} {_listed([f'{each.first} on {each.column} ({each})' for each in clear])}")
    n = sum(not each.clear for each in differences)
    if not parts:
        return f"In none of {len(differences)} comparisons does pre-training differ from random weights{labels}"
    return f"Pre-training {_listed(parts)}{labels}; {n} of {len(differences)} comparisons show no difference"


def _evidence(judged: pd.DataFrame, columns: Sequence[str], score: str) -> str:
    """Test set, splits, draws and interval behind the sentences."""
    by_fact: dict[str, list[str]] = {}
    for column in columns:
        part = judged[judged["column"] == column]
        subjects = {name for text in part["test_subjects"] for name in str(text).split("; ")}
        drawn = ["1"]
        if "weights_seed" in part:
            counts = part.groupby("row")["weights_seed"].nunique().clip(lower=1)
            drawn = list(dict.fromkeys((str(counts.min()), str(counts.max()))))
        draws = f"{' to '.join(drawn)} draw{'s' * (drawn != ['1'])} of the weights"
        fact = (
            f"{part['seed'].nunique()} distinct splits by subject, {len(subjects)} test subjects, at least "
            f"{int(part['n_rarest'].min())} test windows of the rarest class, {draws} a row"
        )
        by_fact.setdefault(fact, []).append(column)
    facts = "; ".join(f"{', '.join(names)}: {fact}" for fact, names in by_fact.items())
    return (
        f"This rests on {_NAMES[score]}, differences over splits with 95 % intervals of the corrected resampled t test (Nadeau and "
        f"Bengio), and p after Holm's correction over the rows of a question in a column. {facts}."
    )


def _listed(parts: Sequence[str], word: str = "and") -> str:
    comma = "; " if any("," in part for part in parts) else ", "
    return f" {word} ".join(filter(None, (comma.join(parts[:-1]), parts[-1])))


def verdict(
    pairs: Iterable[tuple[str, str]],
    tables: Iterable[tuple[str, pd.DataFrame]],
    columns: Iterable[str] = (),
    *,
    not_above: bool = False,
) -> tuple[str, list[Difference]]:
    """Judge an earlier conclusion, that the first row of each pair is above the second, by tables of paired differences.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Rows. ``*`` stands for every row with an encoder of the table's kind.
    tables : iterable of (str, DataFrame)
        Name of an experiment, and its paired differences.
    columns : iterable of str
        Columns that the conclusion is about; all by default.
    not_above : bool, default False
        Whether the conclusion is that the first row is not above the second.

    Returns
    -------
    str
        ``kept`` if every difference is above 0 with p below .05, by Holm within a column, or with `not_above` none is.
        ``withdrawn: the contrary`` if one is below 0 in the same way, or with `not_above` above it; ``withdrawn: not shown``
        otherwise; ``withdrawn: not measured again`` or ``withdrawn: without PAIR`` where tables lack the rows.
    list of Difference
        The differences that it rests on.
    """
    chosen, pairs, differences = set(columns), list(pairs), []
    for name, paired in tables:
        rows = list(dict.fromkeys((*paired["first"], *paired["second"])))
        encoders = [row for row in rows if not _is_free(row) and not (_own(name) == _PICTURES and _of_signals(row))]
        for column in dict.fromkeys(paired["column"]):
            if chosen and column.split(",")[0] not in chosen:
                continue
            for first, second in pairs:
                for one in encoders if first == "*" else [first]:
                    for other in encoders if second == "*" else [second]:
                        each = difference(paired, column, one, other, score_of(name))
                        differences += [each] if each is not None else []
    if not differences:
        return "withdrawn: not measured again", []
    measured = {(each.first, each.second) for each in differences}
    if missing := [pair for pair in pairs if "*" not in pair and pair not in measured]:
        return f"withdrawn: without {' and '.join(f'{one} less {other}' for one, other in missing)}", differences
    differences = corrected(differences)
    above = [each.clear and each.value > 0 for each in differences]
    below = [each.clear and each.value < 0 for each in differences]
    if not any(above) if not_above else all(above):
        return "kept", differences
    if not_above or any(below):
        return "withdrawn: the contrary", differences
    return "withdrawn: not shown", differences
