"""Annotations of rows as indices into their distinct labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Labels"]

MAX_LABELS, MAX_LABEL_BYTES = 1 << 16, 16 << 20


class Labels:
    """The distinct labels of a column that is read piece by piece."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._size = 0

    def codes(self, column: Any) -> NDArray[np.int32]:
        """Return each row's index among the labels so far; -1 if it is missing.

        Parameters
        ----------
        column : pyarrow.Array or array [n]
            The next rows.

        Raises
        ------
        ValueError
            If the labels are too many or too long.
        """
        if isinstance(column, np.ndarray):
            values, rows = np.unique(column.astype(str), return_inverse=True)
            labels = values.tolist()
        else:
            import pyarrow as pa

            coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            labels = coded.dictionary.to_pylist()
            rows = coded.indices.fill_null(len(labels)).to_numpy(zero_copy_only=False)
        table = np.array([*(self._code(label) for label in labels), -1], np.int32)
        codes: NDArray[np.int32] = table[rows]
        return codes

    def _code(self, label: Any) -> int:
        text = "" if label is None or label == "nan" else str(label)
        if not text:
            return -1
        if text not in self._index:
            self._size += len(text)
            if self._size > MAX_LABEL_BYTES or len(self._index) == MAX_LABELS:
                raise ValueError(
                    f"labels: expected at most {MAX_LABELS} with {MAX_LABEL_BYTES} letters in all, got more"
                )
            self._index[text] = len(self._index)
        return self._index[text]

    def sorted(self) -> tuple[list[str], list[int]]:
        """Return the labels in alphabetical order, and the index among them of each code."""
        labels = sorted(self._index)
        positions = {label: position for position, label in enumerate(labels)}
        return labels, [positions[label] for label in self._index]
