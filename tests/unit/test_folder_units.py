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


def day_first(path: Path, day: str) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = "".join(f"{day} 10:00:{i / 50:09.6f},0,0,1\n" for i in range(500))
    path.write_text("time,x,y,z\n" + rows)


def test_files_of_one_name_in_two_folders_have_their_own_labels(tmp_path: Path) -> None:
    for folder, day in (("a", "05/03/2020"), ("b", "06/03/2020")):
        day_first(tmp_path / folder / "left.csv", day)
    labels = "file,start,end,label\na/left.csv,0,9,walk\nb/left.csv,0,9,run\n"
    (tmp_path / "labels.csv").write_text(labels)
    first, second = recordings(tmp_path, date_order="day_first")
    assert first.class_names == ("run", "walk")
    assert (set(first.label[:400].tolist()), set(second.label[:400].tolist())) == ({1}, {0})


def test_a_name_that_two_files_have_is_refused_with_both_paths(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        day_first(tmp_path / folder / "left.csv", "05/03/2020")
    (tmp_path / "labels.csv").write_text("file,start,end,label\nleft.csv,0,9,walk\n")
    with pytest.raises(RecordingError, match=r"line 2: .* got left\.csv, which is a/left\.csv and b/left\.csv"):
        list(recordings(tmp_path))


def test_the_order_of_dates_and_the_rate_are_stated_for_a_folder(tmp_path: Path) -> None:
    day_first(tmp_path / "a" / "left.csv", "05/03/2020")
    (tmp_path / "labels.csv").write_text(
        "file,start,end,label\na/left.csv,2020-03-05 10:00:00,2020-03-05 10:00:09,walk\n"
    )
    with pytest.raises(RecordingError, match="expected a stretch"):
        list(recordings(tmp_path))
    (labelled,) = recordings(tmp_path, date_order="day_first")
    assert (labelled.label >= 0).sum() == 450
    (tmp_path / "a" / "left.csv").write_text("x,y,z\n" + "0,0,1\n" * 500)
    (tmp_path / "labels.csv").write_text("file,start,end,label\na/left.csv,0,5,walk\n")
    (labelled,) = recordings(tmp_path, nominal_rate=50)
    assert (labelled.rate, (labelled.label >= 0).sum()) == (50, 250)
