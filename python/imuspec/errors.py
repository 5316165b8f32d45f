"""The only exception of our own."""

from __future__ import annotations

__all__ = ["RecordingError"]


class RecordingError(ValueError):
    """Bytes that are no recording, or one too damaged to read.

    Attributes
    ----------
    path
        The file.
    offset
        Byte offset in the uncompressed file, or None where no single byte is to blame.
    reason
        What was expected and what came.
    """

    def __init__(self, path: str, offset: int | None, reason: str) -> None:
        self.path = str(path)
        self.offset = offset
        self.reason = reason
        where = "" if offset is None else f" (byte {offset})"
        super().__init__(f"{self.path}: {reason}{where}")

    def __reduce__(self) -> tuple[type[RecordingError], tuple[str, int | None, str]]:
        return type(self), (self.path, self.offset, self.reason)
