"""Activities of a wearer: a class for each window of a model, and minutes of each class and day with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.storage import atomic_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MISSING", "NONWEAR", "Activities", "prediction_table", "write_table"]

MISSING, NONWEAR = -1, -2
_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, eq=False, repr=False)
class Activities:
    """Activities over time.

    Attributes
    ----------
    time : array of int64 [n]
        Start of each window, ns since 1970 by the device's local clock.
    label : array of int64 [n]
        Index into `class_names`; -1 where samples are missing or excluded, -2 where the device was not worn.
    probability : array of float32 [n, C]
        Probabilities of each window before smoothing; NaN where there is no class.
    class_names : tuple of str
        The classes.
    step_s : float
        Length of a window, s.
    name : str
        Name of the recording.
    confusion : array of int64 [subjects, C, C], optional
        The model's predictions for people whom it had not seen, rows the truth. Intervals follow from it.
    notes : tuple of str
        Notes for the reader, for example that the recording was not calibrated.
    sets : array of bool [n, C], optional
        Classes in the prediction set of each window; no class where `label` is below 0.
    """

    time: NDArray[np.int64]
    label: NDArray[np.int64]
    probability: NDArray[np.float32]
    class_names: tuple[str, ...]
    step_s: float = 10.0
    name: str = ""
    confusion: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
    sets: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        hours = len(self) * self.step_s / 3600
        known = float((self.label >= 0).mean()) if len(self) else 0.0
        return f"Activities({self.name}: {hours:.1f} h, {known:.0%} of it known, {', '.join(self.class_names)})"

    def table(self) -> pd.DataFrame:
        """Return a row for each window: time, activity, confidence, probability of each class, and its set if there is one."""
        columns = {"time": self.time.astype("datetime64[ns]")}
        return prediction_table(columns, self.label, self.probability, self.class_names, self.sets)

    def days(self) -> NDArray[np.int64]:
        """Return the calendar day of each window, days since 1970."""
        return np.floor_divide(self.time, _DAY_NS)

    def minutes(self, *, n_draws: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Return minutes of each class and day, with 95 % intervals.

        ``minutes`` are the predicted ones. ``expected``, ``low`` and ``high`` allow for the model's errors: the predicted minutes
        of each class are divided among the true classes in the shares seen in people whom the model had not seen. Each draw of
        the interval takes those people with replacement. This assumes that the wearer mixes activities as those people did.

        Parameters
        ----------
        n_draws : int, default 1000
            Draws of the intervals.
        seed : int, default 0
            Seed of the draws.

        Returns
        -------
        DataFrame
            ``day``, ``activity``, ``minutes``, ``expected``, ``low``, ``high``; the last three are NaN without `confusion`.
            Non-wear and missing time have rows of their own.
        """
        import pandas as pd

        shares = None if self.confusion is None else _true_shares(self.confusion, n_draws, seed)
        days = self.days()
        rows: list[dict[str, Any]] = []
        for day in np.unique(days):
            of_day = self.label[days == day]
            counted = np.bincount(of_day[of_day >= 0], minlength=len(self.class_names)) * self.step_s / 60
            date = np.datetime64(int(day), "D").astype("datetime64[ns]")
            expected = low = high = np.full(len(counted), np.nan)
            if shares is not None:
                drawn = np.einsum("p,dpt->dt", counted, shares)
                expected, (low, high) = drawn[0], np.quantile(drawn[1:], [0.025, 0.975], axis=0)
            for i, name in enumerate(self.class_names):
                row = {"minutes": counted[i], "expected": expected[i], "low": low[i], "high": high[i]}
                rows.append({"day": date, "activity": name, **row})
            for name, code in (("nonwear", NONWEAR), ("missing", MISSING)):
                rows.append(
                    {"day": date, "activity": name, "minutes": float((of_day == code).sum()) * self.step_s / 60}
                )
        return pd.DataFrame(rows, columns=["day", "activity", "minutes", "expected", "low", "high"])

    def save(self, out: str | Path) -> list[Path]:
        """Write the table as Parquet or CSV, and the minutes as CSV beside it.

        Parameters
        ----------
        out : path
            File of the table, ``.parquet`` or ``.csv``.

        Returns
        -------
        list of Path
            The two files.

        Raises
        ------
        ValueError
            If the name ends neither in .parquet nor in .csv.
        """
        path = Path(out)
        write_table(self.table(), path)
        beside = path.with_name(f"{path.stem}.minutes.csv")
        with atomic_path(beside) as file:
            self.minutes().to_csv(file, index=False, float_format="%.1f", date_format="%Y-%m-%d")
        return [path, beside]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table of predictions as Parquet or CSV, whole or not at all.

    Parameters
    ----------
    table : DataFrame
        Table.
    path : Path
        File, ``.parquet`` or ``.csv``.

    Raises
    ------
    ValueError
        If the name ends neither in .parquet nor in .csv.
    """
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ValueError(f"out: expected a name in .parquet or .csv, got {path.name!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        with atomic_path(path) as file:
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False, nthreads=1), file, compression="zstd")
    else:
        with atomic_path(path) as file:
            table.to_csv(file, index=False, float_format="%.4f")


def prediction_table(
    columns: Mapping[str, NDArray[Any]],
    label: NDArray[np.int64],
    probability: NDArray[np.float32],
    class_names: tuple[str, ...],
    sets: NDArray[np.bool_] | None,
) -> pd.DataFrame:
    """Return a row for each window.

    Parameters
    ----------
    columns : mapping of str to array [n]
        First columns.
    label : array of int64 [n]
        Predicted class; -1 missing, -2 not worn.
    probability : array of float32 [n, C]
        Probability of each class.
    class_names : tuple of str
        The classes.
    sets : array of bool [n, C] or None
        Classes of each prediction set.

    Returns
    -------
    DataFrame
        `columns`, ``activity``, ``confidence``, ``p_CLASS`` of each class, and with sets ``set``, its classes joined by ``|``.
    """
    import pandas as pd

    names = np.array([*class_names, "nonwear", "missing"])
    known = label >= 0
    confidence = np.full(len(label), np.nan, np.float32)
    confidence[known] = probability[known, label[known]]
    shares = {f"p_{name}": probability[:, i] for i, name in enumerate(class_names)}
    joined = {}
    if sets is not None:
        joined["set"] = [
            "|".join(name for name, inside in zip(class_names, row, strict=True) if inside) for row in sets
        ]
    return pd.DataFrame({**columns, "activity": names[label], "confidence": confidence, **shares, **joined})


def _true_shares(confusion: NDArray[np.int64], n_draws: int, seed: int) -> NDArray[np.float64]:
    """P(true | predicted) as [1 + draws, predicted, true]: of all subjects, then of each draw of subjects."""
    n = len(confusion)
    draws = np.random.default_rng(seed).integers(0, n, (n_draws, n))
    counts = np.concatenate([confusion.sum(0)[None], confusion[draws].sum(1)]).astype(np.float64)
    counts = counts.swapaxes(1, 2)  # predicted, true
    total = counts.sum(2, keepdims=True)
    # The errors of a class that was never predicted are unknown: its predictions are taken as correct.
    never = np.broadcast_to(np.eye(counts.shape[1]), counts.shape)
    return np.where(total > 0, counts / np.maximum(total, 1), never)
