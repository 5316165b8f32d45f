"""From a device file to a `Prepared`: calibrated acceleration on a uniform grid, and the stretches of wear.

The native pass reads the file once (decode, low-pass, resample, still windows, calibration, non-wear, segments). This module
turns its figures into tables and an outcome. A file that cannot be prepared has the outcome failed; there is no exception, so
that a cohort does not stop.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imuspec.preparation.checks import below, damage, doubt
from imuspec.preparation.clock import grid_times
from imuspec.preparation.reasons import calibration_failure
from imuspec.recipe import Recipe
from imuspec.recording.identity import recording_id
from imuspec.recording.quality import Event, Quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imuspec._core import GridPieces

__all__ = ["Prepared", "prepare", "prepare_in_pieces"]

Status = Literal["ok", "excluded", "failed"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared recording: its acceleration, its wear, and the counts of all losses and repairs.

    Attributes
    ----------
    path, id : str
        The file, and the id in a cohort.
    recipe : Recipe
        The recipe.
    status : {"ok", "excluded", "failed"}
        "excluded": the rules of the recipe exclude it. "failed": the file could not be read.
    reason : str
        Reason of the status; "" if ok.
    acceleration : float32 array [3, time] or None
        Acceleration of the whole recording in g, non-wear included; NaN where nothing was measured. It is calibrated, unless
        the recipe disables calibration or calibration failed. None if the status is failed, or `pieces` holds it.
    pieces : object or None
        The same in the native core, if the recording is prepared for a store.
    rate : float
        Rate of the grid, Hz.
    start_time : int or None
        Local device clock of the first sample, ns since 1970.
    shifts : int64 array [k, 2]
        Sample, and ns by which the grid is ahead of the device's clock from this sample on: the clock was set back, or a gap
        of more than a day is not on the grid.
    segments, nonwear : int64 array [k, 2]
        First and one-past-last sample of each stretch of selected wear, and of non-wear.
    calibration : dict of str to object
        offset_*, gain_*, temperature_slope_*, ok, reason, error_before_mg, error_after_mg, n_windows, n_iterations. If not
        ok, nothing was applied: offset_*, gain_*, temperature_slope_*, reference_temperature and error_after_mg are NaN.
    still : float64 array [k, 3]
        Means of the still windows before calibration, g.
    quality : Quality
        Counts and table of all quality events.
    header : dict of str to object
        format, device, device_id, nominal_rate, sample_rate, metadata.
    figures : dict of str to object
        duration_h, wear_h (of the segments), longest_wear_h, nonwear_h, n_samples, and counts of the native pass.
    """

    path: str
    id: str
    recipe: Recipe
    status: Status
    reason: str = ""
    acceleration: NDArray[np.float32] | None = None
    pieces: GridPieces | None = None
    rate: float = math.nan
    start_time: int | None = None
    shifts: NDArray[np.int64] = field(default_factory=lambda: _stretches(()))
    segments: NDArray[np.int64] = field(default_factory=lambda: _stretches(()))
    nonwear: NDArray[np.int64] = field(default_factory=lambda: _stretches(()))
    calibration: dict[str, Any] = field(default_factory=dict)
    still: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    quality: Quality = field(default_factory=Quality)
    header: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Prepared({self.id!r}, {self.summary})"

    @property
    def summary(self) -> str:
        """Status, and reason or wear, in one line."""
        return f"{self.status}: {self.reason or self.wear_summary}"

    @property
    def wear_summary(self) -> str:
        """Amount of wear and calibration errors, in words; "" if the status is not ok."""
        if self.status != "ok":
            return ""
        several = "segment" if len(self.segments) == 1 else "segments"
        wear = f"{self.figures['wear_h']:.1f} h of wear in {len(self.segments)} {several}, {self.rate:g} Hz"
        if not self.calibration.get("ok"):
            return f"{wear}, not calibrated"
        before, after = self.calibration["error_before_mg"], self.calibration["error_after_mg"]
        return f"{wear}, calibrated from {before:.1f} to {after:.1f} mg"

    def rows(self, stretches: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Return stretches as rows: start_index, stop_index, start_s, hours, start_time (ns).

        Parameters
        ----------
        stretches : int64 array [k, 2]
            `segments` or `nonwear`.
        """
        return [
            {
                "start_index": first,
                "stop_index": stop,
                "start_s": first / self.rate,
                "hours": (stop - first) / self.rate / 3600,
                "start_time": self.clock(first),
            }
            for first, stop in stretches.tolist()
        ]

    def clock(self, index: int) -> int:
        """Return the device's clock at sample `index`, ns since 1970."""
        return self._clock(index, index)

    def clock_span(self, first: int, stop: int) -> tuple[int, int]:
        """Return the device's clock at sample `first` and one period after sample ``stop - 1``, ns since 1970."""
        return self.clock(first), self._clock(stop, max(first, stop - 1))

    def _clock(self, index: int, shifted_as: int) -> int:
        times = grid_times(
            np.array([index]),
            start_time=self.start_time or 0,
            rate=self.rate,
            shifts=self.shifts,
            shifted_as=np.array([shifted_as]),
        )
        return int(times[0])

    def whole_stretches(self, patch: int) -> list[tuple[int, int]]:
        """Return first and one-past-last patch of each stretch of selected wear without a gap.

        Parameters
        ----------
        patch : int
            Samples per patch; the first patch starts with the recording.
        """
        result: list[tuple[int, int]] = []
        if self.acceleration is None:
            return result
        for first, stop in self.segments.tolist():
            begin, end = -(-first // patch), stop // patch
            if end <= begin:
                continue
            whole = np.isfinite(self.acceleration[:, begin * patch : end * patch]).reshape(3, -1, patch).all((0, 2))
            edges = np.flatnonzero(np.diff(np.concatenate(([False], whole, [False])).astype(np.int8))) + begin
            result += [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
        return result

    def _repr_html_(self) -> str:
        rows = {"outcome": self.summary, "recipe": self.recipe.name, **self.header, **self.figures, **self.calibration}
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th><td>{html.escape(_short(value))}</td></tr>"
            for key, value in rows.items()
            if key != "metadata" and value not in (None, "")
        )
        return f"<b>{html.escape(self.id)}</b><table>{cells}</table>"


def prepare(path: str | Path, recipe: str | Path | Recipe = "ukb") -> Prepared:
    """Read one device file, and calibrate it and select wear by a recipe.

    Parameters
    ----------
    path : path-like
        A device file of any supported format, or the folder or archive of one NHANES participant.
    recipe : path-like or Recipe, default "ukb"
        A name (``ukb``, ``capture24``, ``nhanes``, ``actipy``), the path of a TOML file, or a `Recipe`.

    Returns
    -------
    Prepared
        A pure function of the file's bytes and the recipe. If the file cannot be prepared, ``status`` and ``reason`` say
        why. NaN in the acceleration means that nothing was measured.

    Raises
    ------
    ValueError
        If `recipe` is not a known recipe.

    Examples
    --------
    >>> import imuspec
    >>> imuspec.prepare("no-such-file.cwa").status
    'failed'
    """
    return _prepare(path, recipe, None)


def prepare_in_pieces(path: str | Path, recipe: str | Path | Recipe, folder: Path) -> Prepared:
    """Prepare a file as `prepare` does, for a store: the acceleration stays in the native core, 0.23 GB for a week.

    Parameters
    ----------
    path : path-like
        As in `prepare`.
    recipe : path-like or Recipe
        As in `prepare`.
    folder : Path
        Folder of a nameless temporary file for the samples that memory shall not hold: those beyond a week at 30 Hz.

    Returns
    -------
    Prepared
        With `pieces` in place of `acceleration`.
    """
    return _prepare(path, recipe, folder)


def _prepare(path: str | Path, recipe: str | Path | Recipe, folder: Path | None) -> Prepared:
    followed = Recipe.load(recipe)
    name = str(path)
    try:
        return _judged(name, followed, _native_pass(name, followed.model_dump(), folder))
    except Exception as error:  # an error of one file must not end a run over many
        return _failed(name, followed, error)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3 derives it from BaseException
            raise
        return _failed(name, followed, error)


def _native_pass(path: str, recipe: dict[str, Any], folder: Path | None) -> Mapping[str, Any]:
    from imuspec import _core
    from imuspec.recording.columns import prepare_columns

    table = prepare_columns(path, recipe, folder)
    return _core.prepare(path, recipe, folder) if table is None else table


def _failed(path: str, recipe: Recipe, error: BaseException) -> Prepared:
    return Prepared(path, recording_id(path), recipe, "failed", reason_in_words(error))


def reason_in_words(error: BaseException) -> str:
    """Return the message of an error without the path, which has its own column."""
    from imuspec.errors import RecordingError

    if isinstance(error, RecordingError):
        return error.reason if error.offset is None else f"{error.reason} (byte {error.offset})"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror.lower()}" if error.strerror else str(error)
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"internal error: {type(error).__name__}: {error}"


def _judged(path: str, recipe: Recipe, result: Mapping[str, Any]) -> Prepared:
    """Turn the result of the native pass into tables, and decide on the status."""
    rate, n = float(result["rate"]), int(result["n"])
    acceleration = result["acceleration"]
    if acceleration is not None:
        acceleration = acceleration[:, :n]  # the array has room for the largest possible number of samples
    calibration = _calibration(result["calibration"] or {})
    segments, nonwear = _stretches(result["segments"]), _stretches(result["nonwear"])
    figures = {
        "n_samples": n,
        "duration_h": n / rate / 3600,
        "nonwear_h": _hours(nonwear, rate),
        **_plain(result["figures"]),
        "wear_h": _hours(segments, rate),
    }
    header = _header(result["header"], recipe)
    quality = Quality(
        {str(kind): int(count) for kind, count in result["quality_counts"].items() if count},
        tuple(Event(*event) for event in result["quality_events"]),
    )
    damaged = damage(recipe, header)
    reason = (
        damaged
        or doubt(recipe, header, quality, figures["n_samples_read"])
        or _exclusion(recipe, calibration, segments, figures)
    )
    common: dict[str, Any] = {
        "path": path,
        "id": recording_id(path),
        "recipe": recipe,
        "quality": quality,
        "header": header,
    }
    if damaged:
        return Prepared(status="failed", reason=damaged, **common)
    return Prepared(
        status="excluded" if reason else "ok",
        reason=reason,
        acceleration=acceleration,
        pieces=result["pieces"],
        rate=rate,
        start_time=int(result["start_time"]),
        shifts=_stretches(result["shifts"]),
        segments=segments,
        nonwear=nonwear,
        calibration=calibration,
        still=np.asarray(result["still"], np.float64).reshape(-1, 3),
        figures=figures,
        **common,
    )


def _calibration(fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the calibration; the coefficients and the error of a fit that was not applied are NaN."""
    calibration = _plain(fit)
    if not calibration.get("ok", True):
        fitted = ("offset_", "gain_", "temperature_slope_", "reference_temperature", "error_after_mg")
        calibration.update({key: math.nan for key in calibration if key.startswith(fitted)})
    return calibration


def _header(header: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Return the header; fields that identify a person are left out unless the recipe keeps them."""
    facts = {key: value for key, value in header.items() if key != "identifying"}
    if recipe.metadata.identifying == "keep":
        facts["metadata"] = {**facts.get("metadata", {}), **header.get("identifying", {})}
    return _plain(facts)


def _exclusion(
    recipe: Recipe, calibration: dict[str, Any], segments: NDArray[np.int64], figures: dict[str, Any]
) -> str:
    """Return the reason why the rules of the recipe exclude the recording, or ""."""
    settings, checks = recipe.calibration, recipe.checks
    if settings.enabled and settings.required and not calibration.get("ok", False):
        return calibration_failure(recipe, calibration, figures["duration_h"] * 3600)
    gains = [calibration.get(f"gain_{axis}", 1.0) for axis in "xyz"] if calibration.get("ok") else []
    farthest = max(gains, key=lambda gain: abs(gain - 1), default=1.0)
    if abs(farthest - 1) > checks.gain_max:
        return (
            f"calibration: expected gains within {checks.gain_max:g} of 1, got {farthest:.3g}: "
            "the samples are hardly in g (--set checks.gain_max)"
        )
    still, worn = figures["nonwear_h"], max(figures["wear_h"], figures.get("longest_wear_h") or 0.0)
    if still and worn < checks.worn_min_share * (still + worn):
        hours = f"{still:.1f} h of {figures['duration_h']:.1f} h"
        return f"never worn: the device lay still for {hours} (--set checks.worn_min_share=0)"
    if not len(segments):
        return _no_segment(recipe, figures.get("longest_wear_h") or 0.0)
    return ""


def _no_segment(recipe: Recipe, longest: float) -> str:
    needed = recipe.segments.min_wear_h
    if not longest:
        return "no wear at all"
    hours = below(longest, needed)
    advice = [f"--set segments.min_wear_h={hours}"]
    if recipe.name == "ukb" and longest >= 1:
        advice.append("--recipe capture24")
    return f"the longest stretch of wear is {hours} h; the recipe needs {needed:g} h ({', or '.join(advice)})"


def _stretches(pairs: Any) -> NDArray[np.int64]:
    return np.asarray(pairs, dtype=np.int64).reshape(-1, 2)


def _hours(stretches: NDArray[np.int64], rate: float) -> float:
    return int((stretches[:, 1] - stretches[:, 0]).sum()) / rate / 3600


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return scalars as Python types, and vectors of three numbers as one column per axis."""
    plain: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            plain[key] = json.loads(json.dumps(dict(value), default=str))
        elif isinstance(value, (list, tuple, np.ndarray)) and len(value) == 3 and not isinstance(value[0], str):
            plain.update({f"{key}_{axis}": float(part) for axis, part in zip("xyz", value, strict=True)})
        else:
            plain[key] = value.item() if isinstance(value, np.generic) else value
    return plain


def _short(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
