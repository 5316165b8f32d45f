"""What a table rests on: splits, test subjects, windows of the rarest class, and differences that pair."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from imuspec.evaluation import paired_differences, split_unit
from imuspec.evaluation.comparison import MEMBERS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["evidence_notes", "paired_table", "splits_table"]

_REQUIRED = {"row", "column", "seed", "macro_f1", "balanced_accuracy", "test_over_train", "n_rarest", "test_subjects"}
_SCORES = ("macro_f1", "balanced_accuracy", "kappa")


def paired_table(judged: pd.DataFrame) -> pd.DataFrame | None:
    """Return the paired differences of all rows of an experiment, or None where it has no scores of several rows.

    Parameters
    ----------
    judged : DataFrame
        Scores of each row, column, split and draw of the weights.

    Returns
    -------
    DataFrame or None
        As `imuspec.evaluation.paired_differences`, with the score in ``score``.
    """
    if not set(judged.columns) >= _REQUIRED or judged["row"].nunique() < 2:
        return None
    import pandas as pd

    parts = [paired_differences(judged, value=name).assign(score=name) for name in _SCORES if name in judged]
    return pd.concat(parts, ignore_index=True)


def splits_table(judged: pd.DataFrame) -> pd.DataFrame | None:
    """Return who trained, validated and tested in each split, or None where the scores do not say it.

    Parameters
    ----------
    judged : DataFrame
        Scores of each row, column, split and draw of the weights, with the members of the parts in ``split_members``.

    Returns
    -------
    DataFrame or None
        ``set``, ``seed``, ``part``, ``n`` members, ``members`` with semicolons between, and ``rows``: all, or those with this split
        where the rows of a set have several.
    """
    import pandas as pd

    if MEMBERS not in judged or judged[MEMBERS].isna().all():
        return None
    known = judged[judged[MEMBERS].notna()]
    known = known.assign(set=known["set"] if "set" in known else known["column"])
    lines = []
    for (name, seed), part in known.groupby(["set", "seed"], sort=False):
        several = part[MEMBERS].nunique() > 1
        for text, same in part.groupby(MEMBERS, sort=False):
            rows = "; ".join(dict.fromkeys(map(str, same["row"]))) if several else "all"
            lines += [
                {
                    "set": name,
                    "seed": seed,
                    "part": key,
                    "n": len(who),
                    "members": "; ".join(map(str, who)),
                    "rows": rows,
                }
                for key, who in json.loads(str(text)).items()
            ]
    return pd.DataFrame(lines)


def _fewer_labels(part: pd.DataFrame) -> str:
    """Say in how many splits there were fewer labelled windows than asked for; empty where there were not."""
    if not {"shots", "n_train"} <= set(part.columns):
        return ""
    if "n_fewest" in part:
        drawn = part[part["shots"] > 0]
        short = drawn[drawn["n_fewest"] < drawn["shots"]].sort_values("n_fewest", kind="stable")
        if short.empty:
            return ""
        return (
            f"fewer labelled windows of a class than asked for in {short['seed'].nunique()} of {drawn['seed'].nunique()} splits, "
            f"{int(short['n_fewest'].iloc[0])} in place of {int(short['shots'].iloc[0])} at least"
        )
    # a table that was stored before rows had the number of the rarest class
    few = part[part["shots"] > 0].drop_duplicates(["seed", "shots", "n_train"])
    required = few["shots"] * np.ceil(few["n_train"].groupby(few["shots"]).transform("max") / few["shots"])
    short = few[few["n_train"] < required]
    if short.empty:
        return ""
    return (
        f"fewer labelled windows of a class than asked for in {short['seed'].nunique()} of {few['seed'].nunique()} splits, "
        f"{int(short['n_train'].min())} in all at least"
    )


def evidence_notes(judged: pd.DataFrame, paired: pd.DataFrame | None, score: str = "macro_f1") -> list[str]:
    """Return what a reader must know beside the numbers, in sentences.

    Parameters
    ----------
    judged : DataFrame
        Scores of each row, column, split and draw of the weights.
    paired : DataFrame or None
        From `paired_table`.
    score : str, default "macro_f1"
        Score of the differences.

    Returns
    -------
    list of str
    """
    if not set(judged.columns) >= _REQUIRED:
        return []
    notes = [
        "± is the standard deviation over splits (n - 1); macro-F1 is over the classes that occur in the test part"
    ]
    columns_of: dict[str, list[str]] = {}
    for column, part in judged.groupby("column", sort=False):
        subjects = {name for text in part["test_subjects"] for name in str(text).split("; ")}
        fact = (
            f"{part['seed'].nunique()} distinct splits{split_unit(part, ' by recording')}, {len(subjects)} test subjects, "
            f"{int(part['n_rarest'].min())} test windows of the rarest class at least"
        )
        columns_of.setdefault(fact, []).append(str(column))
        if "n_test" in part and (unlike := part.groupby("seed")["n_test"].nunique().gt(1)).any():
            counts = part[part["seed"] == unlike.idxmax()].groupby("row", sort=False)["n_test"].first()
            shown = ", ".join(f"{row} {int(n)}" for row, n in counts.items())
            notes.append(
                f"{column}: rows have unlike test windows, so that their differences pair by subjects alone: {shown}"
            )
        if fewer := _fewer_labels(part):
            notes.append(f"{column}: {fewer}")
    notes[1:1] = [f"{'; '.join(columns)}: {fact}" for fact, columns in columns_of.items()]
    if paired is not None:
        clear = paired[(paired["score"] == score) & (paired["p_holm"] < 0.05)]
        pairs = "; ".join(
            f"{line.column}: {line.first} - {line.second} {line.difference:+.3f} [{line.low:+.3f}, {line.high:+.3f}]"
            for line in clear.itertuples()
        )
        notes.append(
            "paired.csv: differences over splits with 95 % intervals (corrected resampled t test). Of "
            f"{score.replace('_', ' ').replace('f1', 'F1')}, below .05 after Holm's correction within a column: {pairs or 'none'}"
        )
    return notes
