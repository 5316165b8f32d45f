"""One unit for the tables of a folder: they agree, or the caller says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imuspec.datasets.folder import recordings
from imuspec.errors import RecordingError


def write(path: Path, norm: float, head: str = "time,x,y,z,label") -> None:
    rng = np.random.default_rng(1)
    z = norm + 0.01 * norm * rng.normal(size=500)
    path.write_text(head + "\n" + "".join(f"{i / 50:.2f},0,0,{v:.4f},walk\n" for i, v in enumerate(z)))


def test_tables_that_seem_to_be_in_two_units_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 1.9)
    write(tmp_path / "b.csv", 7.8)
    with pytest.raises(RecordingError, match=r"expected g, as .*a\.csv seems to be in, got m/s2"):
        list(recordings(tmp_path))


def test_a_norm_that_fits_no_unit_is_refused_and_a_given_unit_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 4096.0)
    with pytest.raises(RecordingError, match="give unit="):
        list(recordings(tmp_path))
    (held,) = recordings(tmp_path, unit=4096)
    assert np.median(np.linalg.norm(held.acceleration, axis=0)) == pytest.approx(1.0, abs=0.01)
    with pytest.raises(ValueError, match="unit: expected auto"):
        list(recordings(tmp_path, unit="feet"))


def test_a_given_unit_holds_for_all_tables_but_those_that_name_theirs(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 1.9)
    write(tmp_path / "b.csv", 7.8)
    write(tmp_path / "c.csv", 1.0, "time,x (g),y (g),z (g),label")
    norms = [np.median(np.linalg.norm(held.acceleration, axis=0)) for held in recordings(tmp_path, unit="m/s2")]
    assert norms == pytest.approx([1.9 / 9.80665, 7.8 / 9.80665, 1.0], abs=0.01)
