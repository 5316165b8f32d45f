"""WISDM's reader, on records that the tests write, with the damage of the official file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_values import still
from imuspec import datasets
from imuspec.datasets import wisdm
from imuspec.errors import RecordingError


def wisdm_record(user: int, activity: str, stamp: float, xyz=(0.1, 0.2, 9.8)) -> str:
    return f"{user},{activity},{stamp:.0f}," + ",".join(map(str, xyz)) + ";"


def wisdm_text(*, users=(1, 2), n: int = 450, scale: float = 5e7) -> list[str]:
    lines = []
    for user in users:
        for activity in ("Jogging", "Walking"):
            lines += [wisdm_record(user, activity, (k + 1) * scale, tuple(xyz)) for k, xyz in enumerate(still(n))]
    return lines


def write_wisdm(folder: Path, text: str) -> Path:
    path = folder / "WISDM_ar_v1.1_raw.txt"
    path.write_text(text)
    return path


def test_wisdm_is_read_whole_and_cut_to_500_samples(tmp_path) -> None:
    made = datasets.load("wisdm", write_wisdm(tmp_path, "\n".join(wisdm_text())))
    assert made.x.shape == (12, 3, 500)  # 22.5 s of each activity: windows at 0, 5 and 10 s
    assert made.per_class() == dict.fromkeys(wisdm.CLASSES, 0) | {"Jogging": 6, "Walking": 6}
    assert made.n_rows == 1800
    assert np.linalg.norm(made.x.mean(axis=-1), axis=1) == pytest.approx(1, abs=0.02)


def test_wisdm_damage_is_dropped_and_counted_by_reason(tmp_path) -> None:
    lines = wisdm_text(users=(1,))
    lines[10] = lines[10] + lines[11]  # two records on one line
    lines[11] = ""
    lines[20] = lines[20].rstrip(";")  # the semicolon is missing
    lines[30] = ",".join(lines[30].split(",")[:5]) + ",;"  # an empty z
    lines[40] = lines[40].replace(";", ",;")  # a comma too many does no harm
    lines[50] = wisdm_record(1, "Jogging", 0)  # a time of zero
    lines[60] = wisdm_record(1, "Swimming", 61 * 5e7)
    lines[70] = lines[70].rstrip(";") + lines.pop(71)  # neither semicolon nor line break: two records lost
    lines[80] = wisdm_record(1, "Jogging", 81 * 5e7, (1, "nan", 2))
    lines[91] = lines[90]  # a row again
    (recording,) = datasets.labelled_recordings("wisdm", write_wisdm(tmp_path, "\r\n".join(lines)))
    assert recording.counts == {
        "not six fields": 1,
        "empty field, or not a number": 2,
        "time of zero": 1,
        "activity that is not a class": 1,
        "row that repeats the one before": 1,
    }
    assert len(recording) + sum(recording.counts.values()) == recording.n_rows


def test_wisdm_without_line_breaks_is_the_same(tmp_path) -> None:
    lines = wisdm_text(users=(1,), n=50)
    (one,) = datasets.labelled_recordings("wisdm", write_wisdm(tmp_path, "\n".join(lines)))
    (other,) = datasets.labelled_recordings("wisdm", write_wisdm(tmp_path, "".join(lines)))
    np.testing.assert_array_equal(one.acceleration, other.acceleration)


@pytest.mark.parametrize("scale", [5e7, 5e4, 50], ids=["ns", "us", "ms"])
def test_wisdm_stamps_tell_gaps_in_any_unit_and_nothing_else(tmp_path, scale) -> None:
    steps = np.tile([0.4, 1.6, 0.0, 2.0], 25)  # uneven and repeated, but 20 Hz by count
    stamps = np.cumsum(steps) + 1
    stamps[60:] += 21  # a gap of more than a second
    stamps[80:] -= 50  # another session
    values = map(tuple, still(len(stamps)))
    lines = [wisdm_record(1, "Sitting", stamp * scale, xyz) for stamp, xyz in zip(stamps, values, strict=True)]
    (recording,) = datasets.labelled_recordings("wisdm", write_wisdm(tmp_path, "\n".join(lines)))
    assert recording.runs.tolist() == [[0, 60], [60, 80], [80, 100]]
    for first, end in recording.runs.tolist():
        assert np.diff(recording.time[first:end]).tolist() == [50_000_000] * (end - first - 1)


def test_the_excerpt_of_wisdm_s_official_file_reads(tmp_path) -> None:
    text = (
        "33,Jogging,49105962326000,-0.6946377,12.680544,0.50395286;\n"
        "33,Jogging,49106062271000,5.012288,11.264028,0.95342433;\n"
    )
    (recording,) = datasets.labelled_recordings("wisdm", write_wisdm(tmp_path, text))
    assert recording.subject == 33
    assert recording.acceleration[1, 0] == pytest.approx(12.680544 / 9.80665)


def test_wisdm_in_g_is_refused_until_its_unit_is_given(tmp_path) -> None:
    lines = [wisdm_record(1, "Sitting", (k + 1) * 5e7, (0.01, 0.02, 1.0)) for k in range(300)]
    path = write_wisdm(tmp_path, "\n".join(lines))
    with pytest.raises(ValueError, match=r"user 1: expected m/s2, a median norm near 9.8.*, got 1, which fits g"):
        datasets.load("wisdm", path)
    assert datasets.load("wisdm", path, unit="g").x[0, 2, 0] == pytest.approx(1)


def test_a_file_that_is_not_wisdm_is_refused(tmp_path) -> None:
    with pytest.raises(RecordingError, match="no records of the form user,activity,timestamp,x,y,z"):
        datasets.load("wisdm", write_wisdm(tmp_path, "hello\n"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"expected WISDM_ar_v1.1_raw.txt, got no file"):
        datasets.load("wisdm", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        datasets.load("wisdm", tmp_path / "absent.txt")


def test_the_second_version_of_wisdm_is_refused_because_it_has_other_activities(tmp_path) -> None:
    lines = wisdm_text() + [wisdm_record(3, name, 5e7) for name in ("Stairs", "LyingDown")]
    with pytest.raises(
        RecordingError, match=r"expected the activities of WISDM v1.1, got LyingDown and Stairs of v2.0"
    ):
        datasets.load("wisdm", write_wisdm(tmp_path, "\n".join(lines)))
