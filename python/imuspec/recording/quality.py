"""Quality events: everything that is lost, repaired, assumed or improbable in a recording."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from imuspec.errors import require

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Event", "Quality"]


class Event(NamedTuple):
    """One loss, repair, assumption or improbable value.

    Attributes
    ----------
    kind : str
        The kind of the event; docs/reference/formats.md lists all kinds.
    offset : int
        Byte offset in the uncompressed file.
    block : int
        Index of the block.
    time : int or None
        ns since 1970 of the device's local clock.
    count : int
        Number of blocks or samples.
    value : float
        Size (s for ``gap`` and ``clock_jump``), or NaN.
    """

    kind: str
    offset: int
    block: int
    time: int | None
    count: int  # type: ignore[assignment]  # the field's word, though tuples have a method of that name
    value: float


@dataclass(frozen=True)
class Quality:
    """The quality events of a recording: counts of each kind, and a table.

    Attributes
    ----------
    counts : mapping of str to int
        Number of events of each kind.
    table : tuple of Event
        All events.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    table: tuple[Event, ...] = ()

    def __iter__(self) -> Iterator[Event]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def events(self, kind: str) -> tuple[Event, ...]:
        """Return the events of one kind."""
        return tuple(event for event in self.table if event.kind == kind)

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame with one row per event; needs pandas."""
        require("to_pandas", "pandas")
        import pandas as pd

        frame = pd.DataFrame(self.table, columns=list(Event._fields))
        frame["time"] = pd.to_datetime(frame["time"].astype("Int64"), unit="ns")
        return frame

    def _repr_html_(self) -> str:
        if not self.counts:
            return "<p>nothing lost, no gap</p>"
        rows = "".join(f"<tr><td>{html.escape(kind)}</td><td>{n}</td></tr>" for kind, n in self.counts.items())
        return f"<table><tr><th>event</th><th>count</th></tr>{rows}</table>"
