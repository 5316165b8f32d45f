"""The truth of a simulated recording, stored beside the device file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imuspec.simulation.storing import replacing

__all__ = ["Truth"]


def _integers() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(eq=False)
class Truth:
    """The truth of one simulated recording with ``k`` whole blocks in file order (before a .gz was cut short).

    The device measures ``gain * true + offset + temperature_slope * (temperature - 25)``, then rounds.

    Attributes
    ----------
    gain, offset, temperature_slope : float64 array [3]
        Error of each axis: no unit, g, and g per degree Celsius.
    offset_effective : float64 array [3]
        Offset that a calibration can find, g: packing rounds down, by 1.5/256 g on average.
    start_ns : int
        Local clock at the first sample, ns since 1970.
    nominal_rate, device_rate : float
        Rate in the header, and true rate, Hz.
    counts_per_g : float
        Counts of the stored numbers per g.
    block_time_ns : int64 array [k]
        True time of each block's first sample, without jumps of the clock, ns.
    block_samples, block_index, block_run : int64 array [k]
        Number of samples, index among the recorded blocks (with lost blocks counted), and index of the run.
    block_temperature : float64 array [k]
        Temperature, degrees Celsius.
    clock_offset_ns : int64 array [k]
        Sum of the jumps of the clock in the stamp, ns.
    corrupted : int64 array [c]
        Indices in the file of corrupted blocks.
    corrupted_kind : str array [c]
        Kind of damage of each corrupted block.
    states : float64 array [b, 2]
        Start in s and index into `state_names` of each bout; the last bout ends with the recording.
    state_names : tuple of str
        Names of the states.
    nonwear : float64 array [w, 2]
        Start and end of non-wear, s since ``start_ns``.
    events : list of dict of str to object
        Breaks in file order: ``kind``, ``block`` (index in the file of the first block after it), and figures: ``gap_s`` of a
        restart, ``jump_s`` of the clock, ``blocks`` lost or of the other device, ``bytes`` of an incomplete last block.
    runs : list of dict of str to object
        Rates, packing, first block, ... of each run in ``block_run``.
    seed : int
        Seed of the simulation.
    device : str
        Device of the simulation.
    damage : tuple of str
        Kinds of damage of the simulation.
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    temperature_slope: NDArray[np.float64]
    offset_effective: NDArray[np.float64]
    start_ns: int
    nominal_rate: float
    device_rate: float
    counts_per_g: float
    seed: int
    device: str
    block_time_ns: NDArray[np.int64] = field(default_factory=_integers)
    block_samples: NDArray[np.int64] = field(default_factory=_integers)
    block_index: NDArray[np.int64] = field(default_factory=_integers)
    block_run: NDArray[np.int64] = field(default_factory=_integers)
    block_temperature: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    clock_offset_ns: NDArray[np.int64] = field(default_factory=_integers)
    corrupted: NDArray[np.int64] = field(default_factory=_integers)
    corrupted_kind: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype="U16"))
    states: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    state_names: tuple[str, ...] = ()
    nonwear: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    damage: tuple[str, ...] = ()
    events: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def beside(recording: str | Path) -> Path:
        """Return the path of a recording's truth: ``week.cwa.gz`` -> ``week.truth.npz``.

        >>> Truth.beside("data/week.cwa.gz").name
        'week.truth.npz'
        """
        path = Path(recording)
        while path.suffix.lower() in {".gz", ".zip"}:
            path = path.with_suffix("")
        return path.with_suffix(".truth.npz")

    def save(self, path: str | Path) -> None:
        """Write the arrays to ``path`` (.npz), and the rest to a .json of the same name."""
        path = Path(path)
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        with replacing(path) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        rest = {name: value for name, value in asdict(self).items() if name not in arrays}
        rest |= {
            name: arrays[name].tolist()
            for name in ("gain", "offset", "offset_effective", "temperature_slope", "nonwear")
        }
        with replacing(path.with_suffix(".json")) as file:
            file.write((json.dumps(rest, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> Truth:
        """Read the files of ``save``; ``path`` may also be the path of the recording."""
        path = Path(path)
        if not path.name.endswith(".truth.npz"):
            path = cls.beside(path)
        values: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
        with np.load(path, allow_pickle=False) as arrays:
            values |= {name: arrays[name] for name in arrays.files}
        values["state_names"] = tuple(values["state_names"])
        values["damage"] = tuple(values["damage"])
        return cls(**values)
