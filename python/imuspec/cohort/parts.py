"""A folder with one JSON part for each recording, and the Parquet tables that the parts are folded into."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imuspec.storage import absolute, is_remote, names, place, write_whole

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PartStore", "parts_at_a_time", "read_part"]

_FOLDED = 500  # parts folded into the tables at once


class PartStore:
    """A folder with a part for each recording, to write into. `share` names the run's own corner of ``.work``."""

    def __init__(self, folder: str | Path, *, share: str = "1of1") -> None:
        self.folder = absolute(place(folder))
        self.work = self.folder / ".work" / share

    def done(self) -> set[str]:
        """Ids that have a part."""
        return {name.removesuffix(".json") for name in names(self.folder / "parts")}

    def close(self) -> None:
        """Leave no trace of the work."""
        if is_remote(self.folder):
            return
        alone = self.work.name.endswith("of1")  # then what lies beside it is of dead runs
        shutil.rmtree(self.work.parent if alone else self.work, ignore_errors=True)
        with contextlib.suppress(OSError):  # another share's is in it
            self.work.parent.rmdir()

    def _write(self, path: Path, content: bytes) -> None:
        write_whole(path, content, self.work)

    def _write_tables(self, batches: Iterable[Mapping[str, pa.Table]]) -> None:
        """Write batches of rows of some tables, each table whole or not at all."""
        import pyarrow.parquet as pq

        whole: dict[str, io.BytesIO] = {}
        writers: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            for tables in batches:
                for name, table in tables.items():
                    if name not in writers:
                        whole[name] = io.BytesIO()
                        writer = pq.ParquetWriter(whole[name], table.schema, compression="zstd")
                        writers[name] = stack.enter_context(writer)
                    writers[name].write_table(table)
        for name, content in whole.items():
            self._write(self.folder / f"{name}.parquet", content.getvalue())


def read_part(folder: Path, identity: str) -> dict[str, Any]:
    """Read what became of one recording."""
    part: dict[str, Any] = json.loads((folder / "parts" / f"{identity}.json").read_text("utf-8"))
    return part


def parts_at_a_time(folder: Path, ids: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield some parts after others; at least once, then perhaps none."""
    for first in range(0, max(1, len(ids)), _FOLDED):
        yield [read_part(folder, identity) for identity in ids[first : first + _FOLDED]]
