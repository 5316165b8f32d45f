"""Columns of a Parquet file that hold texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["gathered"]

MAX_LABELS, MAX_LABEL_BYTES = 1 << 16, 16 << 20


class _Labels:
    """The distinct labels of a column, and each row's index among them."""

    def __init__(self) -> None:
        self.index: dict[Any, int] = {}
        self.codes: list[NDArray[np.int32]] = []
        self.size = 0

    def add(self, column: Any) -> None:
        import pyarrow as pa

        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        labels = coded.dictionary.to_pylist()
        fresh = [label for label in labels if label not in self.index]
        self.size += sum(len(label) if isinstance(label, str) else 8 for label in fresh)
        if self.size > MAX_LABEL_BYTES or len(self.index) + len(fresh) > MAX_LABELS:
            raise ValueError(f"labels: expected at most {MAX_LABELS} with {MAX_LABEL_BYTES} letters in all, got more")
        table = np.array([*(self.index.setdefault(label, len(self.index)) for label in labels), -1], np.int32)
        self.codes.append(table[coded.indices.fill_null(len(labels)).to_numpy(zero_copy_only=False)])

    def all(self) -> tuple[list[Any], NDArray[np.int32]]:
        return list(self.index), np.concatenate(self.codes) if self.codes else np.empty(0, np.int32)


class _Texts:
    """Times as text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, column: Any) -> None:
        self.texts += ["" if text is None else str(text) for text in column.to_pylist()]

    def all(self) -> list[str]:
        return self.texts


def gathered(key: str) -> _Labels | _Texts:
    """Return what gathers a column that does not hold numbers: a time as text, or annotations."""
    if key in ("time", "annotation"):
        return _Labels() if key == "annotation" else _Texts()
    raise ValueError(f"{key}: expected numbers, got another type")
