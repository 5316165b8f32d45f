"""The stored acceleration of a cohort's recordings: one Zarr array for each, with its rate, step and clock."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec.cohort.parts import well_formed
from imuspec.recording.identity import check_id
from imuspec.storage import is_remote

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

__all__ = ["MISSING", "StoredArray", "StoredArrays"]

MISSING = np.int16(-32768)
_OPEN = 64  # arrays kept open


class StoredArray:
    """The acceleration of one recording: int16 steps, and what they mean.

    Attributes
    ----------
    recording_id : str
        Id of the recording.
    rate : float
        Hz.
    step_g : float
        Size of a step, g.
    start_time : datetime64[ns]
        Local device clock of the first sample.
    shifts : int64 array [k, 2]
        As in `Prepared`.
    sha256 : str
        Checksum of the stored bytes when they were written.

    Raises
    ------
    ValueError
        If the array is not one that imuspec wrote.
    """

    def __init__(self, recording_id: str, array: zarr.Array[Any]) -> None:
        attributes: Any = array.attrs
        if array.dtype != np.int16 or array.ndim != 2 or array.shape[0] != 3:
            raise ValueError(f"array {recording_id}: expected int16 [3, time], got {array.dtype} {list(array.shape)}")
        self._array = array
        self.recording_id = recording_id
        try:
            self.rate = float(attributes["rate_hz"])
            self.step_g = float(attributes["step_g"])
            self.start_time = np.datetime64(str(attributes["start_time"]), "ns")
            self.shifts: NDArray[np.int64] = np.array(attributes["shifts"], np.int64).reshape(-1, 2)
            self.sha256 = str(attributes["sha256"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"array {recording_id}: expected the attributes of a recording, got {error!r}") from error
        if not (0 < self.rate < math.inf and 0 < self.step_g < math.inf):
            raise ValueError(
                f"array {recording_id}: expected a rate and a step above 0, got {self.rate} Hz and {self.step_g} g"
            )

    def __len__(self) -> int:
        return int(self._array.shape[1])

    def steps(self, first: int, stop: int) -> NDArray[np.int16]:
        """Read samples `first` to `stop` as stored, int16 [3, time]; the smallest int16 is missing.

        Raises
        ------
        ValueError
            If the samples are not inside the recording, or the stored bytes are damaged.
        """
        self.check(first, stop)
        with well_formed(f"array {self.recording_id}"):
            return np.asarray(self._array[:, first:stop])

    def values(self, first: int, stop: int) -> NDArray[np.float32]:
        """Read samples `first` to `stop` in g, float32 [3, time]; NaN where missing.

        Raises
        ------
        ValueError
            If the samples are not inside the recording.
        """
        stored = self.steps(first, stop)
        values = stored.astype(np.float32)
        values *= np.float32(self.step_g)
        values[stored == MISSING] = np.nan
        return values

    def check(self, first: int, stop: int) -> None:
        """Raise ValueError unless samples `first` to `stop` are inside the recording."""
        if not 0 <= first <= stop <= len(self):
            raise ValueError(
                f"read {self.recording_id}: expected samples inside 0 to {len(self)}, got {first} to {stop}"
            )


class StoredArrays:
    """The arrays of a cohort, opened when they are needed; the last `_OPEN` stay open.

    Parameters
    ----------
    folder : Path
        The cohort's folder or URL.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: OrderedDict[str, StoredArray] = OrderedDict()

    def __getitem__(self, recording_id: str) -> StoredArray:
        if recording_id in self._opened:
            self._opened.move_to_end(recording_id)
            return self._opened[recording_id]
        import zarr
        from zarr.storage import FsspecStore, LocalStore

        try:
            folder = self._folder / "acceleration" / check_id(recording_id, "id")
            known = (folder / "zarr.json").is_file()
        except ValueError:
            known = False
        if not known:
            raise KeyError(f"cohort {self._folder}: expected one of its ids, got {recording_id!r}")
        store: Any = FsspecStore.from_url(str(folder)) if is_remote(folder) else LocalStore(folder, read_only=True)
        try:
            opened = zarr.open_array(store, mode="r", zarr_format=3)
        except Exception as error:  # each kind of damage has another error
            raise ValueError(f"{folder / 'zarr.json'}: expected an array of Zarr, got damage ({error})") from error
        array = StoredArray(recording_id, opened)
        self._opened[recording_id] = array
        if len(self._opened) > _OPEN:
            self._opened.popitem(last=False)
        return array
