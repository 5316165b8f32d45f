"""What a table of scores allows to conclude, in sentences that name test set, splits, draws and interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imuspec.evaluation import split_unit
from imuspec.experiments.comparisons import (
    PICTURES,
    Difference,
    corrected,
    difference,
    figure,
    is_free,
    joins_moments,
    kind_of_experiment,
    of_signals,
    opposed,
    planned,
    score_of,
    with_set_names,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["conclusions", "verdict"]

_NAMES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "kappa": "kappa"}


def conclusions(
    name: str,
    judged: pd.DataFrame,
    paired: pd.DataFrame,
    options: Mapping[str, Any] | None = None,
    sets: Mapping[str, Mapping[str, Any]] | None = None,
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
        Options of the experiment; ``shots`` and ``max_judged`` are named.
    sets : mapping, optional
        Data set -> numbers of its ``windows`` and ``subjects``. A column that has the name of a score is named by the only set.

    Returns
    -------
    list of str
        Whether encoders of each kind pass the statistics, whether pre-training differs from random weights and fine-tuning from
        the head alone, which rows differ from those that they are set against, and last the evidence: score, interval, splits,
        subjects, draws, rows with a single draw, sets. Empty where a table has no such rows.
    """
    judged, paired = with_set_names(judged, sets or {}), with_set_names(paired, sets or {})
    columns = list(dict.fromkeys(judged["column"]))
    by_kind, trained, tuned = planned(name, judged, paired)
    shots = (options or {}).get("shots")
    named = any(word in column for column in columns for word in ("label", "shots", "a class"))
    labels = f" with {shots} labelled windows a class" if isinstance(shots, int) and shots and not named else ""
    sentences = [f"{_passing(kind, part, labels)}. {_best(part)}." for kind, part in by_kind.items()]
    sentences += [f"{_compared(trained, 'Pre-training', 'random weights')}{labels}."] if trained else []
    if tuned:
        sentences.append(f"{_compared(tuned, 'Fine-tuning', 'the head alone')}{labels}.{_epochs(judged, tuned)}")
    if against := opposed(name, judged, paired):
        sentences.append(f"{_set_against(against)}{labels}.")
    evidence = _evidence(judged, columns, score_of(name), sets or {}, (options or {}).get("max_judged") or 0)
    return [*sentences, evidence] if sentences else []


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
    return f"The highest mean less theirs is {_listed(parts)}"


def _compared(differences: Sequence[Difference], subject: str, other: str) -> str:
    """Which rows differ from those that they are compared with."""
    parts = []
    for title, sign in ((f"is above {other} for", 1), (f"is below {other} for", -1)):
        clear = [each for each in differences if each.clear and each.value * sign > 0]
        if clear:
            parts.append(f"{title} {_listed([f'{each.first} on {each.column} ({each})' for each in clear])}")
    n = len(differences)
    if not parts:
        return f"{subject} is not shown to differ from {other} in any of {n} comparisons"
    n_open = sum(not each.clear for each in differences)
    others = f", and is not shown to differ in {n_open} of {n} comparisons" if n_open else ""
    return f"{subject} {_listed(parts)}{others}"


def _set_against(differences: Sequence[Difference]) -> str:
    """Which rows differ from those that they are set against."""
    clear = [f"{each.first} less {each.second} on {each.column} ({each})" for each in differences if each.clear]
    if not clear:
        return f"Rows set against each other are not shown to differ in any of {len(differences)} comparisons"
    return f"Rows set against each other are shown to differ in {len(clear)} of {len(differences)} comparisons: {_listed(clear)}"


def _epochs(judged: pd.DataFrame, tuned: Sequence[Difference]) -> str:
    """How often validation took no epoch of the fine-tuning."""
    if "epoch" not in judged:
        return ""
    epochs = judged.loc[judged["row"].isin({each.first for each in tuned}), "epoch"]
    return f" In {int((epochs == 0).sum())} of {len(epochs)} fine-tunings validation takes epoch 0, the frozen encoder."


def _evidence(
    judged: pd.DataFrame, columns: Sequence[str], score: str, sets: Mapping[str, Mapping[str, Any]], most: int
) -> str:
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
        unit = split_unit(part, "recording", "subject")
        fact = (
            f"{part['seed'].nunique()} distinct splits by {unit}, {len(subjects)} test subjects, at least "
            f"{int(part['n_rarest'].min())} test windows of the rarest class, {draws} a row"
        )
        by_fact.setdefault(fact, []).append(column)
    facts = " ".join(f"On {_listed(names)}: {fact}." for fact, names in by_fact.items())
    sizes = [f"{label}, {each['windows']} windows of {each['subjects']} subjects" for label, each in sets.items()]
    named = f" Test sets: {'; '.join(sizes)}." if sizes else ""
    capped = f" At most {most} test windows of a class of a split are scored." if most else ""
    return (
        f"This rests on {_NAMES[score]}, differences over splits with 95 % intervals of the corrected resampled t test (Nadeau and "
        "Bengio), and p after Holm's correction over the rows of a question in a column, not over columns, questions or tables. "
        f"{facts}{capped}{_single(judged)}{named}"
    )


def _single(judged: pd.DataFrame) -> str:
    """Name the encoders with a single draw of the weights or a single pre-training, which say nothing of others."""
    rows = [row for row in dict.fromkeys(judged["row"]) if not is_free(row)]
    several: set[str] = set()
    if "weights_seed" in judged:
        several = {str(row) for row, part in judged.groupby("row") if part["weights_seed"].nunique() > 1}
    single = [row for row in rows if row not in several]
    if not single:
        return ""
    if single == rows:
        return " Each row has one draw of the weights or one pre-training, which says nothing of others."
    families = {row: row.partition(", ")[0] for row in rows}
    mixed = {families[row] for row in several if row in families}
    names = dict.fromkeys(row if families[row] in mixed else families[row] for row in single)
    return f" With one draw of the weights or one pre-training, which says nothing of others: {_listed(list(names))}."


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
        Rows. ``*`` stands for every row with the features of an encoder of the table's kind alone.
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
        encoders = [
            row
            for row in rows
            if not is_free(row)
            and not joins_moments(row)
            and not (kind_of_experiment(name) == PICTURES and of_signals(row))
        ]
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
