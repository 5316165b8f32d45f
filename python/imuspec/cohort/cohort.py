"""A cohort: a folder of prepared recordings, read by time and at random.

`imuspec.cohort.store` says how it lies on disk. Every recording is stored over its whole length, non-wear included; the table
``segments`` names the wear that its recipe keeps.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from imuspec.cohort.parts import check_manifest, part_ids, read_part
from imuspec.cohort.store import MISSING, check_version, checksum, folded, orphans, read_table
from imuspec.cohort.tables import TABLES
from imuspec.recipe import Recipe
from imuspec.recording.identity import check_id
from imuspec.storage import is_remote, names, place

if TYPE_CHECKING:
    import pyarrow as pa
    import zarr
    from numpy.typing import NDArray

    from imuspec.preparation import Prepared

__all__ = ["Cohort", "Window"]

_OPEN = 64  # arrays kept open


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
        The folder, or its URL in an object store (``s3://bucket/cohort``). It may be read while it is being written:
        what is there is whole.

    Raises
    ------
    ValueError
        If the folder is not a cohort, or has a newer or older version.

    Examples
    --------
    >>> import imuspec
    >>> cohort = imuspec.Cohort("cohort")  # doctest: +SKIP
    >>> cohort.read(cohort.ids[0], start_s=3600, length_s=10).shape  # doctest: +SKIP
    (3, 300)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = place(path)
        check_version(self.path)
        self._tables: dict[str, pa.Table] = {}
        self._arrays: OrderedDict[str, zarr.Array[Any]] = OrderedDict()
        self._ids: list[str] | None = None
        self._wear: dict[str, list[tuple[int, int]]] | None = None

    def __repr__(self) -> str:
        return f"Cohort({str(self.path)!r}, {len(self)} recordings)"

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]  # opened anew; no subclass changes how

    @property
    def recipe(self) -> Recipe:
        """Every number of the run that wrote the cohort."""
        return Recipe.model_validate_json((self.path / "recipe.json").read_text("utf-8"))

    @property
    def ids(self) -> list[str]:
        """Recordings that can be read, sorted: those that came out ok."""
        if self._ids is None:
            outcomes = self.outcomes
            pairs = zip(outcomes["id"].to_pylist(), outcomes["status"].to_pylist(), strict=True)
            self._ids = [identity for identity, status in pairs if status == "ok"]
        return self._ids

    @property
    def recordings(self) -> pa.Table:
        """A row for each recording: header, figures, calibration, and a ``quality_`` count of each kind of loss."""
        return self._table("recordings")

    @property
    def outcomes(self) -> pa.Table:
        """The outcome of each input: id, source, source_bytes, source_sha256, status, reason, duplicate_of.

        The status is ok, excluded or failed. `duplicate_of` is the id of a recording with the same bytes.
        """
        return self._table("outcomes")

    @property
    def inputs(self) -> pa.Table:
        """Every input file: source, id (null if it is not read), state, reason.

        The state is given, passed over, or not given (by the last run; in the cohort since an earlier one).
        """
        from imuspec.cohort.tables import inputs_table

        path = self.path / "inputs.parquet"
        return read_table(path) if path.name in names(self.path) else inputs_table([])

    @property
    def segments(self) -> pa.Table:
        """Kept wear: id, start_s and hours, start_time (local device clock), start_index, stop_index (past the end)."""
        return self._table("segments")

    @property
    def nonwear(self) -> pa.Table:
        """Non-wear, the columns of `segments`."""
        return self._table("nonwear")

    @property
    def quality(self) -> pa.Table:
        """Every loss and repair: id, kind, offset (byte), block, time, count, value."""
        return self._table("quality")

    def read(self, id: str, start_s: float = 0.0, length_s: float | None = None) -> NDArray[np.float32]:
        """Read a stretch of one recording.

        Parameters
        ----------
        id : str
            Which recording, one of `ids`.
        start_s : float, default 0.0
            Seconds after its first sample, rounded to a sample.
        length_s : float, optional
            Seconds, rounded to samples; None reads to the end.

        Returns
        -------
        numpy.ndarray
            float32 [3, time], g; NaN where nothing was measured.

        Raises
        ------
        KeyError
            No such recording.
        ValueError
            A stretch that is not inside the recording.
        """
        array = self._array(id)
        rate, total = _number(array, "rate_hz"), array.shape[1]
        first = round(start_s * rate)
        past = total if length_s is None else first + round(length_s * rate)
        if not 0 <= first <= past <= total:
            asked = f"{start_s:g} s to " + ("the end" if length_s is None else f"{start_s + length_s:g} s")
            raise ValueError(f"read {id}: expected a stretch inside 0 to {total / rate:g} s, got {asked}")
        return self._samples(array, first, past)

    def start_time(self, id: str) -> np.datetime64:
        """Return the local device clock of a recording's first sample, datetime64[ns]."""
        return np.datetime64(str(self._array(id).attrs["start_time"]), "ns")

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

        Where it starts depends on seed, epoch and the recording alone, not on the order, so that any division among
        workers and ranks, and a resumed run, sees the same. Starts are uniform over all places in the recording's
        segments at which `hours` of wear begin.

        Parameters
        ----------
        hours : float, default 24.0
            Length of a stretch.
        seed : int
            What the draw depends on; the order of the recordings too, when `ids` is None.
        epoch : int, default 0
            What the draw depends on; the order of the recordings too, when `ids` is None.
        ids : sequence of str, optional
            Recordings in the order wanted; None takes all in an order of their own each epoch.
        shorter : {"skip", "whole"}, default "skip"
            What to do with a recording without so long a segment: leave it out, or give its longest segment whole.
        """
        if ids is None:
            order = np.random.default_rng([seed, epoch]).permutation(len(self))
            ids = [self.ids[position] for position in order]
        for identity in ids:
            draw = self.random_place(identity, hours, seed=seed, epoch=epoch, shorter=shorter)
            if draw is not None:
                array = self._array(identity)
                rate = _number(array, "rate_hz")
                yield Window(identity, draw[0] / rate, self._samples(array, *draw))

    def random_place(
        self,
        id: str,
        hours: float = 24.0,
        *,
        seed: int,
        epoch: int = 0,
        shorter: Literal["skip", "whole"] = "skip",
        wear: Literal["kept", "all"] = "kept",
    ) -> tuple[int, int] | None:
        """Return first and past-the-end sample of the stretch that `random_windows` gives of one recording, without it.

        Parameters
        ----------
        id : str
            Which recording.
        hours : float, default 24.0
            As in `random_windows`.
        seed : int
            As in `random_windows`.
        epoch : int, default 0
            As in `random_windows`.
        shorter : {"skip", "whole"}, default "skip"
            As in `random_windows`.
        wear : {"kept", "all"}, default "kept"
            kept: inside one segment of wear. all: anywhere in the recording, non-wear and gaps too.

        Returns
        -------
        None for a recording without so long a stretch that is to be skipped.
        """
        array = self._array(id)
        rate = _number(array, "rate_hz")
        stretches = [(0, int(array.shape[1]))] if wear == "all" else self._stretches().get(id, [])
        return _draw(stretches, round(hours * 3600 * rate), (seed, epoch, id), shorter)

    def read_stored(self, id: str, first: int, past: int) -> tuple[NDArray[np.int16], float]:
        """Return samples `first` to `past` of one recording as they are stored, int16 [3, time], and the g of a unit.

        The smallest int16 stands for missing. Half the memory of `read`, for loaders.
        """
        array = self._array(id)
        if not 0 <= first <= past <= array.shape[1]:
            raise ValueError(f"read {id}: expected samples inside 0 to {array.shape[1]}, got {first} to {past}")
        return np.asarray(array[:, first:past]), _number(array, "step_g")

    def prepared(self, id: str) -> Prepared:
        """Return one recording as `imuspec.prepare` gave it: acceleration as stored, wear, calibration, header, figures.

        Raises
        ------
        KeyError
            No such recording.
        """
        from imuspec.preparation import Prepared

        array = self._array(id)
        part = read_part(self.path, id)
        row, outcome = part["recording"], part["outcome"]
        known = {"format", "device", "device_id", "nominal_rate", "sample_rate"}
        calibration = {key.removeprefix("calibration_"): row[key] for key in row if key.startswith("calibration_")}
        figures = {k: row[k] for k in row if k not in known and not k.startswith(("calibration_", "quality_"))}
        return Prepared(
            outcome["source"],
            id,
            self.recipe,
            outcome["status"],
            outcome["reason"],
            self._samples(array, 0, array.shape[1]),
            _number(array, "rate_hz"),
            int(self.start_time(id).astype(np.int64)),
            np.array(array.attrs["shifts"], np.int64).reshape(-1, 2),
            segments=_pairs(part["segments"]),
            nonwear=_pairs(part["nonwear"]),
            calibration=calibration,
            header={key: row[key] for key in row if key in known},
            figures=figures,
        )

    def status(self) -> dict[str, Any]:
        """Return the state of the cohort.

        Returns
        -------
        dict
            Counts: total, ok, excluded, failed, unfinished (arrays that an interrupted run left), missing (inputs
            without an outcome), passed_over, not_given. ``reasons``: count of each reason. ``not_given_ids``: ids of
            recordings whose file the last run was not given.
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
        """Check every file against its checksum.

        Returns
        -------
        list of tuple
            Id or file, and problem; empty when every recording is there once and as it was written.
        """
        problems = []
        ids = {name.removesuffix(".json") for name in names(self.path / "parts")}
        for identity in sorted(ids):
            try:
                problem = self._problem(identity)
            except (OSError, ValueError, KeyError, TypeError) as error:
                problem = str(error)
            if problem:
                problems.append((identity, problem))
        problems += [
            (name, "unfinished: an interrupted run left it; run again with --resume")
            for name in orphans(self.path, ids)
        ]
        finished = {f"{name}.parquet" for name in TABLES} <= set(names(self.path))
        named = {f"parts/{identity}.json" for identity, _ in problems}
        problems += [pair for pair in check_manifest(self.path, needed=finished) if pair[0] not in named]
        return problems

    def _problem(self, identity: str) -> str:
        """Return the problem of one recording, or ""."""
        part = read_part(self.path, identity)
        folder, status = self.path / "acceleration" / identity, part["outcome"]["status"]
        if status != "ok":
            return f"{status}, yet it has an array" if folder.exists() else ""
        if not folder.exists():
            return "its array is missing"
        if checksum(folder) != part["recording"]["sha256"]:
            return "its array is not what was written: the checksum differs"
        if hashlib.sha256((folder / "zarr.json").read_bytes()).hexdigest() != part["recording"]["zarr_sha256"]:
            return "its array's zarr.json is not what was written: the checksum differs"
        return ""

    def _table(self, name: str) -> pa.Table:
        if name not in self._tables:
            self._load()
        return self._tables[name]

    def _load(self) -> None:
        """Read the tables when they hold every part, else the parts themselves."""
        done = part_ids(self.path)
        files = {name: self.path / f"{name}.parquet" for name in TABLES}
        if {path.name for path in files.values()} <= set(names(self.path)):
            tables = {name: read_table(path) for name, path in files.items()}
            if tables["outcomes"]["id"].to_pylist() == done:
                self._tables = tables
                return
        import pyarrow as pa

        batches = list(folded(self.path, done))
        self._tables = {name: pa.concat_tables([batch[name] for batch in batches]) for name in TABLES}

    def _array(self, identity: str) -> zarr.Array[Any]:
        if identity in self._arrays:
            self._arrays.move_to_end(identity)
            return self._arrays[identity]
        import zarr
        from zarr.storage import FsspecStore, LocalStore

        try:
            folder = self.path / "acceleration" / check_id(identity, "id")
            known = (folder / "zarr.json").is_file()
        except ValueError:
            known = False
        if not known:
            raise KeyError(f"cohort {self.path}: expected one of its {len(self)} ids, got {identity!r}")
        store: Any = FsspecStore.from_url(str(folder)) if is_remote(folder) else LocalStore(folder, read_only=True)
        array = zarr.open_array(store, mode="r")
        self._arrays[identity] = array
        if len(self._arrays) > _OPEN:
            self._arrays.popitem(last=False)
        return array

    @staticmethod
    def _samples(array: zarr.Array[Any], first: int, past: int) -> NDArray[np.float32]:
        stored = np.asarray(array[:, first:past])
        values = stored.astype(np.float32)
        values *= np.float32(_number(array, "step_g"))
        values[stored == MISSING] = np.nan
        return values

    def _stretches(self) -> dict[str, list[tuple[int, int]]]:
        if self._wear is None:
            self._wear = {}
            columns = (self.segments[name].to_pylist() for name in ("id", "start_index", "stop_index"))
            for identity, first, past in zip(*columns, strict=True):
                self._wear.setdefault(identity, []).append((first, past))
        return self._wear


def _number(array: zarr.Array[Any], name: str) -> float:
    """A number among an array's attributes, whose types zarr does not know."""
    value: Any = array.attrs[name]
    return float(value)


def _pairs(rows: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
    return np.array([(row["start_index"], row["stop_index"]) for row in rows], np.int64).reshape(-1, 2)


def _draw(
    stretches: Sequence[tuple[int, int]], length: int, key: tuple[int, int, str], shorter: str
) -> tuple[int, int] | None:
    """Return first and past-the-end sample of a random stretch of `length` inside one of `stretches`."""
    places = [max(0, past - first - length + 1) for first, past in stretches]
    if not sum(places):
        if shorter == "skip" or not stretches:
            return None
        return max(stretches, key=lambda stretch: (stretch[1] - stretch[0], -stretch[0]))
    digest = hashlib.sha256(repr(key).encode()).digest()
    place = math.floor(int.from_bytes(digest[:8], "big") / 2**64 * sum(places))
    for (first, _), count in zip(stretches, places, strict=True):
        if place < count:
            return first + place, first + place + length
        place -= count
    raise AssertionError("the places of all stretches add up to their sum")
