"""A cohort: a folder of prepared recordings, read by time and at random.

`imuspec.cohort.store` describes the files. Every recording is stored over its whole length, non-wear included. The table
``segments`` lists the wear that the recipe selects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from imuspec.cohort.arrays import StoredArrays
from imuspec.cohort.drawing import draw_stretch
from imuspec.cohort.parts import part_ids, read_part, read_regular
from imuspec.cohort.store import check_version, orphans, read_table, table_batches
from imuspec.cohort.tables import TABLES
from imuspec.cohort.verification import problems_of_cohort
from imuspec.preparation.clock import grid_times
from imuspec.preparation.reasons import counted
from imuspec.recipe import Recipe
from imuspec.storage import as_path, list_names

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from imuspec.preparation import Prepared

__all__ = ["Cohort", "Window"]


class Window(NamedTuple):
    """A stretch of one recording: float32 [3, time] g from `start_s` after the recording's first sample."""

    id: str
    start_s: float
    acceleration: NDArray[np.float32]


class Cohort:
    """Prepared recordings in a folder that ``imuspec prepare --out`` wrote.

    Parameters
    ----------
    path : path-like
        The folder, or its URL in an object store (``s3://bucket/cohort``). It may be read while a run writes to it: a
        recording appears when it is complete.

    Raises
    ------
    ValueError
        If the folder is not a cohort, or a cohort of another version.

    Examples
    --------
    >>> import imuspec
    >>> cohort = imuspec.Cohort("cohort")  # doctest: +SKIP
    >>> cohort.read(cohort.ids[0], start_s=3600, length_s=10).shape  # doctest: +SKIP
    (3, 300)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = as_path(path)
        check_version(self.path)
        self._tables: dict[str, pa.Table] = {}
        self._arrays = StoredArrays(self.path)
        self._ids: list[str] | None = None
        self._wear: dict[str, list[tuple[int, int]]] | None = None

    def __repr__(self) -> str:
        return f"Cohort({str(self.path)!r}, {counted(self.outcomes['status'].to_pylist())})"

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]  # no subclass has another signature

    @property
    def recipe(self) -> Recipe:
        """The recipe that all recordings were prepared with."""
        return Recipe.model_validate_json(read_regular(self.path / "recipe.json"))

    @property
    def ids(self) -> list[str]:
        """Ids of the recordings with status ok, sorted; only they can be read."""
        if self._ids is None:
            outcomes = self.outcomes
            pairs = zip(outcomes["id"].to_pylist(), outcomes["status"].to_pylist(), strict=True)
            self._ids = [recording_id for recording_id, status in pairs if status == "ok"]
        return self._ids

    @property
    def recordings(self) -> pa.Table:
        """One row per recording: header, figures, calibration, and a column ``quality_...`` for each kind of event."""
        return self._table("recordings")

    @property
    def outcomes(self) -> pa.Table:
        """One row per recording: id, source, source_bytes, source_sha256, status, reason, duplicate_of.

        The status is ok, excluded or failed. `duplicate_of` is the id of a recording with the same bytes.
        """
        return self._table("outcomes")

    @property
    def inputs(self) -> pa.Table:
        """One row per input file: source, id (null if it is not read), state, reason.

        The state is given, passed over, or not given. It refers to the last run; a file that was not given then is in
        the cohort since an earlier run.
        """
        from imuspec.cohort.tables import inputs_table

        path = self.path / "inputs.parquet"
        return read_table(path) if path.name in list_names(self.path) else inputs_table([])

    @property
    def segments(self) -> pa.Table:
        """One row per stretch of selected wear.

        The columns are id, start_s, hours, start_time (local device clock), start_index and stop_index (one past the last
        sample).
        """
        return self._table("segments")

    @property
    def nonwear(self) -> pa.Table:
        """One row per stretch of non-wear, with the columns of `segments`."""
        return self._table("nonwear")

    @property
    def quality(self) -> pa.Table:
        """One row per quality event: id, kind, offset (byte), block, time, count, value."""
        return self._table("quality")

    def read(self, recording_id: str, start_s: float = 0.0, length_s: float | None = None) -> NDArray[np.float32]:
        """Read a stretch of one recording.

        Parameters
        ----------
        recording_id : str
            One of `ids`.
        start_s : float, default 0.0
            Start after the first sample, s; rounded to a sample.
        length_s : float, optional
            Length, s; rounded to samples. The default is the rest of the recording.

        Returns
        -------
        float32 array [3, time]
            Acceleration in g; NaN where nothing was measured.

        Raises
        ------
        KeyError
            If the cohort has no such recording.
        ValueError
            If the stretch is not inside the recording.
        """
        array = self._arrays[recording_id]
        rate, total = array.rate, len(array)
        first = round(start_s * rate)
        stop = total if length_s is None else first + round(length_s * rate)
        if not 0 <= first <= stop <= total:
            requested = f"{start_s:g} s to " + ("the end" if length_s is None else f"{start_s + length_s:g} s")
            raise ValueError(f"read {recording_id}: expected a stretch inside 0 to {total / rate:g} s, got {requested}")
        return array.values(first, stop)

    def start_time(self, recording_id: str) -> np.datetime64:
        """Return the local device clock of a recording's first sample, datetime64[ns]."""
        return self._arrays[recording_id].start_time

    def samples(self, recording_id: str, first: int, stop: int) -> NDArray[np.float32]:
        """Read samples `first` to `stop` of one recording, float32 [3, time], g; NaN where missing."""
        return self._arrays[recording_id].values(first, stop)

    def times(self, recording_id: str, first: int, stop: int) -> NDArray[np.int64]:
        """Return the device's local clock at samples `first` to `stop`, int64 [time], ns since 1970.

        It follows the clock where that was set back, as `Prepared.clock` does.
        """
        array = self._arrays[recording_id]
        array.check(first, stop)
        return grid_times(
            np.arange(first, stop, dtype=np.int64),
            start_time=int(array.start_time.astype(np.int64)),
            rate=array.rate,
            shifts=array.shifts,
        )

    def stretches(self, recording_id: str) -> list[tuple[int, int]]:
        """Return first and one-past-last sample of each stretch of selected wear of one recording, in order."""
        self._arrays[recording_id]  # raises KeyError for an unknown id
        return list(self._wear_stretches().get(recording_id, []))

    def checksum(self, recording_id: str) -> str:
        """Return the SHA-256 of one recording's stored samples, as it was when they were written."""
        return self._arrays[recording_id].sha256

    def random_windows(
        self,
        hours: float = 24.0,
        *,
        seed: int,
        epoch: int = 0,
        ids: Sequence[str] | None = None,
        shorter: Literal["skip", "whole"] = "skip",
    ) -> Iterator[Window]:
        """Yield one random stretch of wear from each recording, for training.

        The start is uniform over all samples at which `hours` of wear begin. It depends on seed, epoch and recording
        alone. So it is the same for any number of workers and ranks, and in a resumed run.

        Parameters
        ----------
        hours : float, default 24.0
            Length of a stretch, h.
        seed : int
            Seed of the starts, and of the order of the recordings if `ids` is None.
        epoch : int, default 0
            Every epoch has other starts and another order.
        ids : sequence of str, optional
            The recordings, in order. The default is all recordings in a random order.
        shorter : {"skip", "whole"}, default "skip"
            If all segments of a recording are shorter: skip the recording, or yield its longest segment.

        Yields
        ------
        Window
            Id, start in s, and acceleration in g.
        """
        if ids is None:
            order = np.random.default_rng([seed, epoch]).permutation(len(self))
            ids = [self.ids[position] for position in order]
        for recording_id in ids:
            draw = self.random_stretch(recording_id, hours, seed=seed, epoch=epoch, shorter=shorter)
            if draw is not None:
                array = self._arrays[recording_id]
                yield Window(recording_id, draw[0] / array.rate, array.values(*draw))

    def random_stretch(
        self,
        recording_id: str,
        hours: float = 24.0,
        *,
        seed: int,
        epoch: int = 0,
        shorter: Literal["skip", "whole"] = "skip",
        wear: Literal["segments", "all"] = "segments",
    ) -> tuple[int, int] | None:
        """Return where `random_windows` cuts one recording, without reading its samples.

        Parameters
        ----------
        recording_id : str
            One of `ids`.
        hours : float, default 24.0
            Length of the stretch, h.
        seed : int
            Seed of the start.
        epoch : int, default 0
            Every epoch has another start.
        shorter : {"skip", "whole"}, default "skip"
            If all segments are shorter: return None, or the longest segment.
        wear : {"segments", "all"}, default "segments"
            "segments": inside one segment of wear. "all": anywhere in the recording, non-wear and gaps included.

        Returns
        -------
        (int, int) or None
            First and one-past-last sample.
        """
        array = self._arrays[recording_id]
        stretches = [(0, len(array))] if wear == "all" else self._wear_stretches().get(recording_id, [])
        return draw_stretch(stretches, round(hours * 3600 * array.rate), (seed, epoch, recording_id), shorter)

    def read_stored(
        self, recording_id: str, first: int, stop: int, *, out: NDArray[np.int16] | None = None
    ) -> tuple[NDArray[np.int16], float]:
        """Return stored samples of one recording, for loaders: they take half the memory of `read`.

        Parameters
        ----------
        recording_id : str
            One of `ids`.
        first, stop : int
            First and one-past-last sample.
        out : int16 array [3, stop - first], optional
            Memory to fill; by default new memory.

        Returns
        -------
        int16 array [3, time]
            Acceleration in steps; the smallest int16 is missing.
        float
            The step in g.

        Raises
        ------
        ValueError
            If the samples are not inside the recording, or `out` has another shape or type.
        """
        array = self._arrays[recording_id]
        return array.steps(first, stop, out), array.step_g

    def prepared(self, recording_id: str) -> Prepared:
        """Return one recording as `imuspec.prepare` returned it.

        The acceleration has the resolution of the store. It is None for an excluded recording. The means of the still
        windows, and the labels of the header, are not stored.

        Parameters
        ----------
        recording_id : str
            An id of `outcomes`.

        Raises
        ------
        KeyError
            If the cohort has no such recording.
        ValueError
            If `recording_id` is not a valid id, or the part of the recording is damaged.
        """
        from imuspec.cohort.serialisation import prepared_of

        try:
            part = read_part(self.path, recording_id)
        except FileNotFoundError:
            raise KeyError(f"cohort {self.path}: expected an id of its outcomes, got {recording_id!r}") from None
        array = self._arrays[recording_id] if part["outcome"]["status"] == "ok" else None
        return prepared_of(part, self.recipe, array)

    def status(self) -> dict[str, Any]:
        """Return counts of recordings and inputs by their state.

        Returns
        -------
        dict
            Counts: total, ok, excluded, failed, unfinished (arrays of an interrupted run), missing (inputs without an
            outcome), passed_over, not_given. ``reasons``: count of each reason. ``not_given_ids``: ids of recordings whose
            file was not among the inputs of the last run.
        """
        outcomes = self.outcomes.select(["id", "status", "reason"]).to_pylist()
        counts = Counter(row["status"] for row in outcomes)
        done = {row["id"] for row in outcomes}
        inputs = self.inputs.to_pylist()
        states = Counter(row["state"] for row in inputs)
        return {
            "total": len(outcomes),
            "ok": counts["ok"],
            "excluded": counts["excluded"],
            "failed": counts["failed"],
            "unfinished": len(orphans(self.path, done)),
            "missing": sum(row["state"] == "given" and row["id"] not in done for row in inputs),
            "passed_over": states["passed over"],
            "not_given": states["not given"],
            "reasons": dict(Counter(row["reason"] for row in outcomes if row["status"] != "ok").most_common()),
            "not_given_ids": [row["id"] for row in inputs if row["state"] == "not given"],
        }

    def verify(self) -> list[tuple[str, str]]:
        """Compare every file with its checksum.

        Returns
        -------
        list of (str, str)
            Id or file, and problem; empty if every recording is complete and unchanged.
        """
        return problems_of_cohort(self.path)

    def _table(self, name: str) -> pa.Table:
        if name not in self._tables:
            self._load()
        return self._tables[name]

    def _load(self) -> None:
        """Read the tables if they hold every part, else the parts."""
        done = part_ids(self.path)
        files = {name: self.path / f"{name}.parquet" for name in TABLES}
        if {path.name for path in files.values()} <= set(list_names(self.path)):
            tables = {name: read_table(path) for name, path in files.items()}
            if all(tables[name]["id"].to_pylist() == done for name in ("outcomes", "recordings")):
                self._tables = tables
                return
        import pyarrow as pa

        batches = list(table_batches(self.path, done))
        self._tables = {name: pa.concat_tables([batch[name] for batch in batches]) for name in TABLES}

    def _wear_stretches(self) -> dict[str, list[tuple[int, int]]]:
        if self._wear is None:
            self._wear = {}
            columns = (self.segments[name].to_pylist() for name in ("id", "start_index", "stop_index"))
            for recording_id, first, stop in zip(*columns, strict=True):
                self._wear.setdefault(recording_id, []).append((first, stop))
        return self._wear
