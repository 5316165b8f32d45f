"""Sets of one's own: labels in names of files, in columns or in a table, and columns of any name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imuspec import datasets
from imuspec.datasets.reference import DatasetReference
from imuspec.errors import RecordingError

RNG = np.random.default_rng(0)


def still(n: int, unit: float, sd: float = 0.02) -> np.ndarray:
    """[n, 3] of a sensor that lies, in a unit, with a little noise."""
    return (RNG.normal(0, sd, (n, 3)) + np.array([0, 0, 1])) * unit


def lines(*columns: np.ndarray, separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in zip(*(c.tolist() for c in columns), strict=True))


def loaded(text: str) -> datasets.Windows:
    return DatasetReference.parse(text).windows()


def norm_of(windows: datasets.Windows) -> float:
    return float(np.linalg.norm(windows.x.mean(axis=-1), axis=1).mean())


def test_wharf_counts_without_time_header_or_table_are_one_reference(tmp_path: Path) -> None:
    for activity, sex in (("climb_stairs", "f1"), ("eat_soup", "m2"), ("climb_stairs", "m2")):
        folder = tmp_path / activity.title()
        folder.mkdir(exist_ok=True)
        counts = np.round(still(640, 21) + 31.5).astype(int)
        name = f"Accelerometer-2011-03-24-10-24-39-{activity}-{sex}.txt"
        (folder / name).write_text(lines(*counts.T, separator=" "))
    (tmp_path / "README.txt").write_text("WHARF\n")
    settings = (
        "pattern=Accelerometer-*-{label}-{subject}.txt,columns=1,2,3,nominal_rate=32,unit=21,zero=31.5,window_s=3"
    )
    made = loaded(f"wharf@folder={tmp_path},{settings}")
    assert made.class_names == ("climb_stairs", "eat_soup")
    assert made.subjects.tolist() == ["f1", "m2"]
    assert made.per_class() == {"climb_stairs": 24, "eat_soup": 12}
    assert norm_of(made) == pytest.approx(1, abs=0.05)


def write_mobifall(folder: Path, jitter_ns: int = 2_000_000) -> Path:
    for code, subject in (("WAL", 1), ("WAL", 2), ("JOG", 1)):
        location = folder / f"sub{subject}" / "ADL" / code
        location.mkdir(parents=True, exist_ok=True)
        steps = RNG.integers(11_500_000 - jitter_ns, 11_500_000 + jitter_ns, 1000)
        stamp = 319_798_710_000 + np.cumsum(steps)
        head = f"#Activity: {code}\n#Subject ID: {subject}\n\n#timestamp(ns),x,y,z(m/s^2)\n@DATA\n"
        (location / f"{code}_acc_{subject}_1.txt").write_text(head + lines(stamp, *still(1000, 9.81).T))
        (location / f"{code}_gyro_{subject}_1.txt").write_text(head + lines(stamp, *still(1000, 1).T))
    return folder


def test_mobifall_below_its_headings_takes_class_and_person_from_the_names(tmp_path: Path) -> None:
    settings = "pattern={label}_acc_{subject}_*.txt,columns=1,2,3,4,unit=m/s2,window_s=3"
    made = loaded(f"mobifall@folder={write_mobifall(tmp_path)},{settings}")
    assert made.class_names == ("JOG", "WAL")
    assert made.subjects.tolist() == [1, 2]
    assert norm_of(made) == pytest.approx(1, abs=0.02)
    assert made.per_class() == {"JOG": 6, "WAL": 12}  # 11.5 s of each file, by stamps in ns since the phone started


def test_a_longer_gap_can_be_allowed_where_a_phone_stutters(tmp_path: Path) -> None:
    stamp = np.cumsum(np.where(np.arange(1000) % 100 == 99, 80, 20))
    (tmp_path / "walk_1.csv").write_text("time (ms),x,y,z\n" + lines(stamp, *still(1000, 1).T))
    form = f"folder={tmp_path},pattern={{label}}_{{subject}}.csv,window_s=3"
    with pytest.raises(ValueError, match="no window of 3 s"):
        loaded(form)
    made = loaded(f"{form},max_gap_s=0.1")
    assert len(made) == 12
    assert sum(made.counts.values()) < 150


def test_cow_collars_name_their_columns_and_hold_their_labels(tmp_path: Path) -> None:
    for cow in ("cow1", "cow2", "cow3"):
        stamp = np.datetime64("2019-07-01T10:00:00", "ms") + np.arange(600) * 100
        labels = np.repeat(["grazing", "resting", ""], 200)
        text = "TimeStamp;BNO055_AX;BNO055_AY;BNO055_AZ;BNO055_GX;Behaviour\n"
        text += lines(stamp.astype(str), *still(600, 9.81).T, np.zeros(600), labels, separator=";").replace(".", ",")
        (tmp_path / f"{cow}.csv").write_text(text.replace("T10", " 10"))
    made = loaded(
        f"cows@folder={tmp_path},columns=TimeStamp,BNO055_AX,BNO055_AY,BNO055_AZ,label_column=Behaviour,window_s=5,rate=10"
    )
    assert made.class_names == ("grazing", "resting")
    assert made.subjects.tolist() == ["cow1", "cow2", "cow3"]
    assert (made.rate, norm_of(made)) == (10, pytest.approx(1, abs=0.02))
    assert made.counts == {"without a label": 600}


def test_one_table_of_all_people_is_parted_by_its_column_of_subjects(tmp_path: Path) -> None:
    text = "user,activity,t,ax,ay,az\n"
    for user in (3, 1):
        words = np.repeat(["walk", "sit"], 300)
        text += lines(np.repeat(user, 600), words, np.arange(600) / 50, *still(600, 1).T)
    (tmp_path / "all.csv").write_text(text)
    form = f"folder={tmp_path},subject_column=user,label_column=activity,window_s=3"
    made = loaded(form)
    assert made.subjects.tolist() == [1, 3]
    assert made.table().tolist() == [[4, 3], [4, 3]]  # the middle window is half and half
    assert set(made.recording) == {"all 1", "all 3"}
    assert loaded(f"{form},subjects=3").subjects.tolist() == [3]


def test_a_table_of_files_and_labels_needs_no_times(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("time,x,y,z\n" + lines(np.arange(500) / 50, *still(500, 1).T))
    (tmp_path / "labels.csv").write_text("file,label,subject\na.csv,walk,7\nb.csv,sit,8\n")
    made = loaded(f"folder={tmp_path},window_s=5")
    assert made.table().tolist() == [[0, 3], [3, 0]]
    assert made.subjects.tolist() == [7, 8]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ("pattern={label}-{subject}.csv", FileNotFoundError, r"pattern: expected a file of the form .* got walk_1.csv"),
        ("pattern={person}_1.csv", ValueError, r"pattern: expected \{label\}, \{subject\} and \{sensor\} once each"),
        ("pattern=*.csv", ValueError, r"pattern: expected \{label\} or \{subject\}"),
        ("columns=x,y", ValueError, "columns: expected x,y,z or time,x,y,z, got x, y"),
        (
            "pattern={label}_{subject}.csv,columns=t,u,v,w",
            RecordingError,
            "expected the columns t, u, v, w, got time, x, y",
        ),
        (
            "pattern={label}_{subject}.csv,label_column=z",
            ValueError,
            "labels: expected one place, got pattern and label_column",
        ),
        ("pattern={label}_{subject}.csv,zero=3", ValueError, "zero: expected a number, and the unit= that it is in"),
        ("pattern={label}_{subject}.csv,max_gap_s=0", ValueError, "max_gap_s: expected a positive number"),
        ("pattern={label}_{subject}.csv,time_unit=h", ValueError, "time_unit: expected s, ms, us or ns, got 'h'"),
        ("window_s=5", FileNotFoundError, r"labels: expected labels.csv in the folder, a pattern with \{label\}"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, settings: str, error: type[Exception], message: str) -> None:
    (tmp_path / "walk_1.csv").write_text("time,x,y,z\n" + lines(np.arange(500) / 50, *still(500, 1).T))
    with pytest.raises(error, match=message):
        loaded(f"folder={tmp_path},{settings}")


def test_arrays_become_windows_in_one_line() -> None:
    x = np.stack([still(128, 9.81) for _ in range(6)])  # [N, time, 3], as UCI HAR's users hold it
    made = datasets.Windows.from_arrays(
        x, [1, 1, 2, 2, 6, 6], [1, 1, 1, 3, 3, 3], rate=50, unit="m/s2", axes_last=True,
        class_names={1: "walking", 2: "upstairs", 6: "laying"},
    )  # fmt: skip
    assert made.per_class() == {"walking": 2, "upstairs": 2, "laying": 2}
    np.testing.assert_allclose(made.x, np.swapaxes(x, 1, 2) / 9.80665, rtol=1e-6)
    assert made.recording.tolist() == ["1", "1", "1", "3", "3", "3"]
    named = datasets.Windows.from_arrays(made.x, ["b", "a"] * 3, list("ppqqrr"), rate=50)
    assert (named.class_names, named.label.tolist()) == (("a", "b"), [1, 0] * 3)
    ordered = datasets.Windows.from_arrays(made.x, [1, 0] * 3, list("ppqqrr"), rate=50, class_names=["b", "a"])
    assert ordered.class_names == ("b", "a")


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((4, 128, 3)), {}, r"x: expected shape \[N, 3, time\], got \[4, 128, 3\], axes_last=True\?"),
        (
            np.ones((4, 3, 128)) * 9.8,
            {},
            "x: expected g, a median norm near 1, got 16.97, which fits m/s2: state the unit",
        ),
        (
            np.ones((4, 3, 128)),
            {"class_names": ["a", "b"]},
            "class_names: expected a name for each of 0, 1, got the labels 2",
        ),
        (np.ones((4, 3, 128)), {"rate": 0}, "rate: expected a positive number of Hz, got 0"),
        (np.ones((4, 3, 128)), {"rate": "50"}, "rate: expected a positive number of Hz, got '50'"),
        (np.ones((0, 3, 128)), {}, r"x: expected shape \[N, 3, time\], got \[0, 3, 128\]"),
        (
            np.ones((4, 3, 128)),
            {"axes_last": True},
            r"x: expected shape \[N, time, 3\], got \[4, 3, 128\], axes_last=False\?",
        ),
        (np.full((4, 3, 128), np.nan), {}, "x: expected finite samples, got 4 windows with NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.Windows.from_arrays(x, [0, 1, 2, 2], [1, 2, 3, 4], **{"rate": 50, **options})  # type: ignore[arg-type]  # some are wrong


@pytest.mark.parametrize("field", ["label", "subject"])
@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_windows_without_a_label_or_a_person_are_refused(field: str, missing: float | None) -> None:
    columns = {"label": [0, 1, 0], "subject": [1, 2, 3], field: ["a" if missing == "" else 1, missing, missing]}
    with pytest.raises(ValueError, match=f"{field}: expected one for each window, got 2 None, NaN or empty"):
        datasets.Windows.from_arrays(np.ones((3, 3, 50)) / 3**0.5, columns["label"], columns["subject"], rate=50)


def test_a_label_below_zero_is_a_class_only_by_its_name() -> None:
    x = np.ones((3, 3, 50)) / 3**0.5
    with pytest.raises(ValueError, match="label: expected names or numbers of at least 0, got 2 below 0"):
        datasets.Windows.from_arrays(x, [-1, 0, -1], [1, 2, 3], rate=50)
    named = datasets.Windows.from_arrays(x, [-1, 1, -1], [1, 2, 3], rate=50, class_names={-1: "rest", 1: "walk"})
    assert named.class_names == ("rest", "walk")


def test_recordings_of_unlike_length_as_those_of_a_watch_are_cut() -> None:
    names = ("pendulum", "row")
    made = datasets.cut(
        (
            datasets.LabelledRecording.from_arrays(still(n, 1).T, name, subject, rate=50, class_names=names)
            for n, name, subject in ((700, "row", 1), (400, "pendulum", 2), (320, "row", 2))
        ),
        window_s=4,
    )
    assert made.table().tolist() == [[0, 6], [3, 2]]
    with pytest.raises(ValueError, match="label: expected some of pendulum, row, got swim"):
        datasets.LabelledRecording.from_arrays(still(9, 1).T, "swim", 1, rate=50, class_names=names)
    with pytest.raises(ValueError, match=r"x: expected shape \[3, n\], got \[9, 3\]: transpose it"):
        datasets.LabelledRecording.from_arrays(still(9, 1), "row", 1, rate=50, class_names=names)
