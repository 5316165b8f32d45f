"""Simulation of a wearer's recording as a device file with known truth."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imuspec.errors import unknown_name
from imuspec.simulation.cwa import RATE_CODES, LoggerStretch
from imuspec.simulation.damage import DAMAGE_KINDS
from imuspec.simulation.plan import Miscalibration, Plan
from imuspec.simulation.storing import replacing
from imuspec.simulation.truth import Truth

__all__ = ["ENDINGS", "simulate"]

ENDINGS = (".cwa", ".cwa.gz", ".cwa.zip")  # of the files that `simulate` writes


def simulate(
    path: str | Path,
    *,
    days: float = 7.0,
    seed: int = 0,
    sample_rate: float = 100.0,
    device: str = "ax3",
    unpacked: bool = False,
    damage: Sequence[str] = (),
    miscalibration: bool | Miscalibration = False,
    start: str | datetime.datetime = "2023-05-15T10:00:00",
    progress: Callable[[float], None] | None = None,
) -> Truth:
    """Write a recording of a wrist as an Axivity .cwa file, and its truth beside it.

    Parameters
    ----------
    path : path-like
        The file; ``.cwa``, ``.cwa.gz`` or ``.cwa.zip``. It appears whole or not at all. The truth goes to
        ``<stem>.truth.npz`` and ``<stem>.truth.json``.
    days : float, default 7.0
        Length in days, at least a minute.
    seed : int, default 0
        Seed of wearer, device and damage. The same seed gives the same bytes.
    sample_rate : float, default 100.0
        Nominal rate in Hz, as the device offers: 6.25, 12.5, 25, 50, 100, 200, ... 3200. The sensor is some 1 % slower.
    device : str, default "ax3"
        "ax3", or "ax6" with a gyroscope (always unpacked).
    unpacked : bool, default False
        Write int16 samples (1/256 g) in place of 10 bits (1/64 g).
    damage : sequence of str, default ()
        Kinds of damage, of ``DAMAGE_KINDS``.
    miscalibration : bool or Miscalibration, default False
        Error of gain and offset; True draws one from the seed.
    start : str or datetime.datetime, default "2023-05-15T10:00:00"
        Local time of the first sample, in the years 2000 to 2060.
    progress : callable, optional
        Called now and then with the share of the file that is written, 0 to 1.

    Returns
    -------
    Truth

    Raises
    ------
    ValueError
        For a length, rate, device, start, kind of damage or ending of `path` that there is not.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     truth = simulate(f"{folder}/hour.cwa", days=1 / 24, damage=["lost"])
    >>> truth.state_names[int(truth.states[0, 1])], len(truth.events) > 0
    ('sit-stand', True)
    """
    kinds = _check(path, days=days, sample_rate=sample_rate, device=device, damage=damage)
    start_time = _instant(start)
    if "year_2040" in kinds:
        start_time = np.datetime64("2040", "ns") + (start_time - start_time.astype("M8[Y]").astype("M8[ns]"))
    error = miscalibration
    if isinstance(error, bool):
        error = Miscalibration.draw(seed) if error else Miscalibration()
    packing = "ax6" if device == "ax6" else "unpacked" if unpacked else "packed"
    slowness = np.random.default_rng([seed, 8]).uniform(0.984, 0.991)
    whole = LoggerStretch(0.0, 0, 0, 0, sample_rate, sample_rate * slowness, packing, resumed=True)
    start_ns = int(start_time.astype(np.int64))
    plan = Plan.draw(whole, duration_s=days * 86400.0, start_ns=start_ns, seed=seed, kinds=kinds)
    truth = plan.truth(error)
    share = float(np.random.default_rng([seed, 4]).uniform(0.5, 0.9)) if "gzip_truncated" in kinds else 1.0
    with replacing(path, share=share) as file:
        plan.write(file, error, progress)
    truth.save(Truth.beside(path))
    return truth


def _instant(start: str | datetime.datetime) -> np.datetime64:
    """Return the start in ns. Stamps of the device have the years 2000 to 2063 and no time zone."""
    try:
        moment = datetime.datetime.fromisoformat(start) if isinstance(start, str) else start
    except ValueError:
        raise ValueError(f"start: expected a local time such as 2023-05-15T10:00:00, got {start!r}") from None
    if moment.tzinfo is not None or not 2000 <= moment.year <= 2060:
        raise ValueError(f"start: expected a time without zone in 2000 to 2060, got {str(start)!r}")
    return np.datetime64(moment, "ns")


def _check(path: str | Path, *, days: float, sample_rate: float, device: str, damage: Sequence[str]) -> tuple[str, ...]:
    if isinstance(damage, str):
        damage = (damage,)
    if not Path(path).name.lower().endswith(ENDINGS):
        *others, last = ENDINGS
        raise ValueError(f"path: expected a name that ends in {', '.join(others)} or {last}, got {str(path)!r}")
    for kind in damage:
        if kind not in DAMAGE_KINDS:
            raise ValueError(unknown_name("damage", kind, DAMAGE_KINDS))
    if not 1 / 1440 <= days <= 366:
        raise ValueError(f"days: expected between one minute and 366 days, got {days}")
    if sample_rate not in RATE_CODES:
        raise ValueError(f"sample_rate: expected one of {', '.join(f'{r:g}' for r in RATE_CODES)}, got {sample_rate}")
    if "rate_change" in damage and sample_rate / 2 not in RATE_CODES:
        raise ValueError(f"sample_rate: expected one with a half for rate_change, got {sample_rate}")
    if device not in {"ax3", "ax6"}:
        raise ValueError(f"device: expected 'ax3' or 'ax6', got {device!r}")
    if "gzip_truncated" in damage and Path(path).suffix.lower() != ".gz":
        raise ValueError(f"path: expected a name in .gz for gzip_truncated, got {str(path)!r}")
    return tuple(dict.fromkeys(damage))
