"""Limits on the memory and the time of one item."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Limits"]

DEFAULT_S = 6 * 3600.0


@dataclass(frozen=True)
class Limits:
    """Limits on one item; None is no limit.

    The process of an item that exceeds a limit is killed. The item is not tried again, since it would fail again.

    Attributes
    ----------
    memory_bytes : int or None
        Resident memory of the process, measured ten times a second.
    seconds : float or None
        Wall-clock time since the start of the item, s.

    Raises
    ------
    ValueError
        If a limit is not positive, or the memory of a process cannot be measured on this system.
    """

    memory_bytes: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise ValueError(f"memory limit: expected more than 0 bytes, got {self.memory_bytes}")
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"time limit: expected more than 0 s, got {self.seconds}")
        if self.memory_bytes is not None and not Path("/proc/self/statm").exists():
            _psutil()

    @classmethod
    def default(cls) -> Limits:
        """Return the limits of a run without given limits: 6 hours per item, which only a hung item reaches."""
        return cls(seconds=DEFAULT_S)

    @classmethod
    def parse(cls, memory: str | None, time: str | None) -> Limits:
        """Parse limits as on the command line.

        Parameters
        ----------
        memory : str or None
            A size: ``4GB``, ``512MiB``.
        time : str or None
            Seconds, minutes or hours: ``90``, ``15m``, ``2h``.

        Examples
        --------
        >>> from imuspec.cluster import Limits
        >>> Limits.parse("2GB", "15m")
        Limits(memory_bytes=2000000000, seconds=900.0)
        """
        from pydantic import ByteSize, TypeAdapter, ValidationError

        try:
            n_bytes = None if memory is None else int(TypeAdapter(ByteSize).validate_python(memory))
        except ValidationError:
            raise ValueError(f"memory limit: expected a size, as 4GB or 512MiB, got {memory!r}") from None
        return cls(n_bytes, None if time is None else _seconds(time))

    @property
    def poll_s(self) -> float:
        """Interval between checks of the limits, s."""
        return 0.2 if self == Limits() else 0.1

    def broken(self, pid: int, seconds: float) -> str:
        """Return which limit a process exceeds, or "".

        Parameters
        ----------
        pid : int
            The process.
        seconds : float
            Time since the start of its item, s.
        """
        if self.seconds is not None and seconds > self.seconds:
            return f"took longer than the time limit of {self.seconds:g} s"
        if self.memory_bytes is not None:
            used = _resident(pid)
            if used > self.memory_bytes:
                return f"used {used / 1e6:.0f} MB of memory, the limit is {self.memory_bytes / 1e6:.0f} MB"
        return ""


def _seconds(text: str) -> float:
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:].lower(), 0.0)
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        raise ValueError(f"time limit: expected seconds, or as 15m or 2h, got {text!r}") from None


def _resident(pid: int) -> int:
    """Return the resident memory of a process in bytes; 0 if it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        if Path("/proc/self/statm").exists():
            return 0
        try:
            return int(_psutil().Process(pid).memory_info().rss)
        except Exception:
            return 0
    import resource

    return pages * resource.getpagesize()


def _psutil() -> Any:
    try:
        return importlib.import_module("psutil")
    except ImportError:
        raise ValueError("memory limit: psutil is not installed, which this system needs: pip install psutil") from None
