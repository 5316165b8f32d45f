"""Inputs in tests/data/fuzz that fuzzing found: each is data in order or a refusal, and takes little memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import imuspec
from peak_memory import PREPARE_IN_PIECES, peak

FINDINGS = sorted((Path(__file__).parents[1] / "data" / "fuzz").iterdir())
LITTLE = 64 << 20


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_an_input_that_fuzzing_found_is_data_in_order_or_refused(path: Path) -> None:
    try:
        recording = imuspec.read(path)
    except imuspec.RecordingError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
        return
    for first, stop in recording.runs:
        assert (np.diff(recording.time[first:stop].astype(np.int64)) > 0).all()


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_an_input_that_fuzzing_found_takes_little_memory(path: Path) -> None:
    size, message = peak(PREPARE_IN_PIECES, path)
    assert "internal error" not in message
    assert size < LITTLE


def test_stamps_of_other_centuries_among_rows_are_refused() -> None:
    (path,) = (path for path in FINDINGS if path.stem == "stamps_centuries_apart")
    with pytest.raises(
        imuspec.RecordingError, match=r"expected times of rows that follow each other, got one \d+ days off"
    ):
        imuspec.read(path)
