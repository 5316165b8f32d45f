"""Readers of public sets, on files in the official layouts that the tests write, with the damage that is known of them."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imuspec import datasets
from imuspec.datasets import capture24, goat, wisdm
from imuspec.errors import RecordingError


def still(n: int, unit: float = 9.81) -> np.ndarray:
    """[n, 3] of a sensor that lies, with a little noise."""
    return np.random.default_rng(n).normal(0, 0.02 * unit, (n, 3)) + np.array([0, 0, unit])


def rows(*columns: np.ndarray) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in zip(*(c.tolist() for c in columns), strict=True))


# --- WISDM ---------------------------------------------------------------------------------------------------------


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
        "number that is empty or none": 2,
        "time of zero": 1,
        "activity that is none of the classes": 1,
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


def test_wisdm_in_g_is_refused_until_its_unit_is_said(tmp_path) -> None:
    lines = [wisdm_record(1, "Sitting", (k + 1) * 5e7, (0.01, 0.02, 1.0)) for k in range(300)]
    path = write_wisdm(tmp_path, "\n".join(lines))
    with pytest.raises(ValueError, match=r"user 1: expected m/s2, a median norm near 9.8.*, got 1, which fits g"):
        datasets.load("wisdm", path)
    assert datasets.load("wisdm", path, unit="g").x[0, 2, 0] == pytest.approx(1)


def test_a_file_that_is_no_wisdm_is_told(tmp_path) -> None:
    with pytest.raises(RecordingError, match="no records of the form user,activity,timestamp,x,y,z"):
        datasets.load("wisdm", write_wisdm(tmp_path, "hello\n"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"expected WISDM_ar_v1.1_raw.txt, got no file"):
        datasets.load("wisdm", tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        datasets.load("wisdm", tmp_path / "absent.txt")


# --- Goat ----------------------------------------------------------------------------------------------------------


def write_goat(folder: Path, animals=("G1", "G2", "S1"), positions="AB", n: int = 400, **changes) -> Path:
    for animal in animals:
        (folder / animal).mkdir(parents=True)
        for position in positions:
            words = np.repeat(["standing", "grazing", "walking", "eating"], n // 4)
            columns = {
                "label": words,
                "timestamp_ms": np.arange(n) * 10,
                **dict(zip(("ax", "ay", "az"), still(n).T, strict=True)),
                **dict(zip(("axhg", "ayhg", "azhg"), still(n, 9.0).T, strict=True)),
                "pressure": np.zeros(n),
            } | changes
            text = ",".join(columns) + "\n" + rows(*columns.values())
            (folder / animal / f"pos_{position}.csv").write_text(text)
    return folder


def test_goats_are_merged_by_table_and_each_position_is_a_sensor(tmp_path) -> None:
    made = datasets.load("goat", write_goat(tmp_path))
    assert made.class_names == goat.CLASSES
    assert made.subjects.tolist() == ["G1", "G2", "S1"]
    assert set(made.sensor) == {"position A", "position B"}
    # 2 s stationary, 1 s walking: one window at 0 s and one at 1 s, half stationary and half walking.
    assert made.per_class() == {"stationary": 12, "walking": 0, "running": 0, "trotting": 0}
    assert made.counts["label eating"] == 3 * 2 * 100
    split = datasets.subject_split(made, 0)
    assert {len(made.subject[index]) for index in split.parts().values()} == {4}


def test_positions_of_a_goat_overlap_in_time_and_that_is_a_leak(tmp_path) -> None:
    made = datasets.load("goat", write_goat(tmp_path))
    a, b = np.flatnonzero(made.sensor == "position A"), np.flatnonzero(made.sensor == "position B")
    split = datasets.Split(a, np.empty(0, np.int64), b)
    with pytest.raises(ValueError, match="6 windows of train overlap one of test in time"):
        datasets.check_leaks(made, split, allow=("subject", "recording"))


def test_a_goat_s_position_range_and_table_can_be_chosen(tmp_path) -> None:
    path = write_goat(tmp_path)
    made = datasets.load("goat", path, positions=["a"], sensor_range="high", merge={"Eating": "eating"}, window_s=1)
    assert made.class_names == ("eating",)
    assert set(made.sensor) == {"position A"}
    assert made.x[:, 2].mean() == pytest.approx(9.0 / 9.80665, abs=0.01)
    with pytest.raises(FileNotFoundError, match="no file of position F"):
        datasets.load("goat", path, positions=["F"])


def test_a_goat_s_file_without_a_label_is_told(tmp_path) -> None:
    path = write_goat(tmp_path)
    file = path / "G1" / "pos_A.csv"
    file.write_text(file.read_text().replace("label", "behaviour", 1))
    with pytest.raises(RecordingError, match=r"G1/pos_A.csv: expected the columns label, got behaviour, timestamp_ms"):
        datasets.load("goat", path)


# --- PVS -----------------------------------------------------------------------------------------------------------


def write_pvs(folder: Path, drives=range(1, 10), n: int = 1500, naming: str = "PVS {}") -> Path:
    locations = ("dashboard", "above_suspension", "below_suspension")
    axes = [f"acc_{axis}_{path}" for path in locations for axis in "xyz"]
    roads = np.repeat([0, 1, 2], n // 3)
    for drive in drives:
        location = folder / naming.format(drive)
        location.mkdir(parents=True)
        for side in ("left", "right"):
            values = np.concatenate([still(n) for _ in locations], axis=1)
            stamp = np.round(1577218796.0 + np.arange(n) / 100, 3)
            header = ",".join(("timestamp", *axes, "speed"))
            (location / f"dataset_gps_mpu_{side}.csv").write_text(header + "\n" + rows(stamp, *values.T, np.zeros(n)))
        hot = [(roads == index).astype(int) for index in range(3)]
        hot[2][-100:] = 0  # no road at the end
        (location / "dataset_labels.csv").write_text(
            "paved_road,dirt_road,cobblestone_road,asphalt_road\n" + rows(hot[0] | hot[1], hot[2], hot[1], hot[0])
        )
    return folder


def test_pvs_has_drivers_for_subjects_and_drives_for_recordings(tmp_path) -> None:
    made = datasets.load("pvs", write_pvs(tmp_path, n=1500), window_s=2)
    assert made.subjects.tolist() == [1, 2, 3]
    assert np.unique(made.recording).tolist() == [f"PVS {k}" for k in range(1, 10)]
    assert made.class_names == ("asphalt", "cobblestone", "dirt")
    assert made.counts["none of the three roads"] == 900
    by_driver, by_drive = datasets.subject_split(made, 0), datasets.subject_split(made, 0, split_by="recording")
    assert [len(by_driver.members[part]) for part in ("train", "validation", "test")] == [1, 1, 1]
    assert [len(by_drive.members[part]) for part in ("train", "validation", "test")] == [5, 2, 2]


def test_pvs_sensors_share_the_drive_and_folders_may_lack_the_space(tmp_path) -> None:
    path = write_pvs(tmp_path, drives=[1], n=600, naming="PVS{}")
    made = datasets.load("pvs", path, window_s=2, sensors=["left dashboard", "right below_suspension"])
    assert set(made.sensor) == {"left dashboard", "right below_suspension"}
    assert np.unique(made.recording).tolist() == ["PVS 1"]
    with pytest.raises(ValueError, match=r"sensors: expected some of left dashboard, .* got roof"):
        datasets.load("pvs", path, sensors=["roof"])


def test_pvs_labels_that_do_not_pair_with_the_samples_are_damage(tmp_path) -> None:
    path = write_pvs(tmp_path, drives=[1], n=600)
    labels = path / "PVS 1" / "dataset_labels.csv"
    text = labels.read_text()
    labels.write_text(text[: text.rindex("\n", 0, -1) + 1])
    with pytest.raises(RecordingError, match="expected 599 rows, one a label, got 600 and 0 broken"):
        datasets.load("pvs", path)
    labels.write_text(text.replace("1,0,0,1", "1,1,0,1"))
    with pytest.raises(RecordingError, match="expected one of asphalt_road, cobblestone_road, dirt_road a row"):
        datasets.load("pvs", path)
    labels.unlink()
    with pytest.raises(FileNotFoundError, match=r"PVS 1/dataset_labels.csv is missing"):
        datasets.load("pvs", path)


# --- Daphnet, HAPT, road surface: what may be wrong ------------------------------------------------------------------


def write_daphnet(folder: Path, subjects=(1, 2, 3), n: int = 2000) -> Path:
    for subject in subjects:
        values = np.round(np.concatenate([still(n, 1000) for _ in range(3)], axis=1)).astype(int)
        annotation = np.repeat([0, 1, 2, 1], n // 4)
        time = (np.arange(1, n + 1) * 1000) // 64
        lines = zip(time.tolist(), *values.T.tolist(), annotation.tolist(), strict=True)
        (folder / f"S{subject:02d}R01.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
    return folder


def test_daphnet_reads_alike_from_folder_zip_tar_and_xz(tmp_path) -> None:
    plain = tmp_path / "plain" / "dataset"
    plain.mkdir(parents=True)
    write_daphnet(plain, n=1000)
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for file in plain.iterdir():
            archive.write(file, f"dataset_fog_release/dataset/{file.name}")
    with tarfile.open(tmp_path / "d.tar.gz", "w:gz") as archive:
        archive.add(plain, "dataset")
    (tmp_path / "xz").mkdir()
    for file in plain.iterdir():
        (tmp_path / "xz" / (file.name + ".xz")).write_bytes(lzma.compress(file.read_bytes()))
    expected = datasets.load("daphnet", tmp_path / "plain", window_s=2)
    assert expected.per_class() == {"no freeze": 6 * 3 + 3, "freeze": 0} or len(expected) > 0
    for location in ("d.zip", "d.tar.gz", "xz"):
        made = datasets.load("daphnet", tmp_path / location, window_s=2)
        np.testing.assert_array_equal(made.x, expected.x)
        assert made.label.tolist() == expected.label.tolist()


def test_daphnet_lines_of_another_form_are_counted_and_another_annotation_refused(tmp_path) -> None:
    path = write_daphnet(tmp_path, subjects=(1,))
    file = path / "S01R01.txt"
    lines = file.read_text().splitlines()
    lines[700] = "1 2 3"
    file.write_text("\n".join(lines))
    (recording,) = datasets.labelled_recordings("daphnet", path)
    assert recording.counts["not eleven numbers"] == 1
    lines[800] = lines[800][:-1] + "7"
    file.write_text("\n".join(lines))
    with pytest.raises(RecordingError, match="expected annotations 0, 1 and 2, got 7"):
        datasets.load("daphnet", path)
    lines[800] = lines[800].replace(" ", " x", 1)
    file.write_text("\n".join(lines))
    with pytest.raises(RecordingError, match="expected a table of numbers, got"):
        datasets.load("daphnet", path)


def spoil_daphnet(folder: Path, location: int, damage: bytes) -> Path:
    """Daphnet's first file with another field in line 700."""
    path = write_daphnet(folder, subjects=(1,))
    file = path / "S01R01.txt"
    lines = file.read_bytes().splitlines()
    fields = lines[700].split(b" ")
    fields[location] = damage
    lines[700] = b" ".join(fields)
    file.write_bytes(b"\n".join(lines))
    return path


@pytest.mark.parametrize("damage", [b"9" * 40, b"1e300", b"-inf", b"nan", b"1 2"], ids=repr)
@pytest.mark.parametrize("row", [0, 3])
def test_a_number_that_cannot_be_is_left_out_and_counted(tmp_path, damage, row) -> None:
    (recording,) = datasets.labelled_recordings("daphnet", spoil_daphnet(tmp_path, row, damage))
    assert recording.counts["not eleven numbers"] == 1
    assert recording.n_rows == len(recording) + 1 == 2000
    assert np.isfinite(datasets.cut([recording], window_s=2).x).all()


@pytest.mark.parametrize("damage", [b"\xea\x9d", b"\x00", b'"', b"x"], ids=repr)
@pytest.mark.parametrize("row", [0, 3])
def test_a_word_where_a_number_belongs_is_told_with_its_file(tmp_path, damage, row) -> None:
    with pytest.raises(RecordingError, match=r"S01R01.txt: expected a table of numbers, got"):
        datasets.load("daphnet", spoil_daphnet(tmp_path, row, damage))


def test_daphnet_in_g_is_refused(tmp_path) -> None:
    path = write_daphnet(tmp_path, subjects=(1,))
    file = path / "S01R01.txt"
    table = np.loadtxt(file)
    table[:, 1:10] /= 1000
    np.savetxt(file, table, fmt="%g")
    with pytest.raises(ValueError, match=r"expected mg, a median norm near 1000, got 1.*, which fits g"):
        datasets.load("daphnet", path)


def test_an_archive_that_is_cut_off_is_told(tmp_path) -> None:
    plain = tmp_path / "dataset"
    plain.mkdir()
    write_daphnet(plain, subjects=(1,))
    with tarfile.open(tmp_path / "d.tar.xz", "w:xz") as archive:
        archive.add(plain, "dataset")
    whole = (tmp_path / "d.tar.xz").read_bytes()
    (tmp_path / "d.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match="expected a zip or tar archive, got"):
        datasets.load("daphnet", tmp_path / "d.tar.xz")
    (tmp_path / "S01R01.txt.xz").write_bytes(lzma.compress(b"1 2 3\n")[:-8])
    with pytest.raises(RecordingError, match="expected a whole file, got"):
        datasets.load("daphnet", tmp_path / "S01R01.txt.xz")


def write_hapt(folder: Path, users=(1, 2, 3), n: int = 600) -> Path:
    raw = folder / "RawData"
    raw.mkdir(parents=True)
    lines = []
    for number, user in enumerate(users, 1):
        np.savetxt(raw / f"acc_exp{number:02d}_user{user:02d}.txt", still(n, 1), fmt="%.6f")
        lines += [f"{number} {user} 5 1 {n // 2}", f"{number} {user} 7 {n // 2 + 1} {n // 2 + 50}"]
        lines += [f"{number} {user} 4 {n // 2 + 51} {n}"]
    (raw / "labels.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_hapt_s_intervals_count_from_one_and_hold_their_last_sample(tmp_path) -> None:
    recording = next(datasets.labelled_recordings("hapt", write_hapt(tmp_path)))
    assert np.flatnonzero(recording.label == 4).tolist() == list(range(300))
    assert np.flatnonzero(recording.label == 3).tolist() == list(range(350, 600))
    assert recording.unlabelled == {"without a label": 0, "activity that is none of the classes": 50}
    chosen = next(datasets.labelled_recordings("hapt", tmp_path, classes=("sitting", "stand to sit")))
    assert np.bincount(chosen.label[chosen.label >= 0]).tolist() == [250, 50]


def test_hapt_s_damage_is_told(tmp_path) -> None:
    path = write_hapt(tmp_path)
    (path / "RawData" / "acc_exp02_user02.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"labels of missing files: acc_exp02_user02.txt"):
        datasets.load("hapt", path)
    labels = path / "RawData" / "labels.txt"
    labels.write_text("1 1 5 1 9999\n")
    with pytest.raises(RecordingError, match="expected labels within its 600 samples, got 0 to 9999"):
        datasets.load("hapt", path)
    labels.write_text("1 1 77 1 20\n")
    with pytest.raises(RecordingError, match="expected activities 1 to 12, got 77"):
        datasets.load("hapt", path)
    labels.unlink()
    with pytest.raises(FileNotFoundError, match=r"expected RawData/labels.txt, got RawData/acc_exp01_user01.txt"):
        datasets.load("hapt", path)


def test_road_surface_parts_files_of_unlike_times_and_joins_those_of_one(tmp_path) -> None:
    for collector, begin, road in ((1, 0, "Smooth"), (2, 20, "Smooth"), (2, 500, "Rough"), (5, 900, "Bumpy")):
        location = tmp_path / f"RoadSurfaceDataCollector{collector}"
        location.mkdir(exist_ok=True)
        stamp = 1495513322900 + begin * 1000 + np.arange(300) * 100
        values = np.random.default_rng(begin).normal(0, 1, (300, 6))
        words = np.repeat([road], 300)
        header = "# timestamp,X-raw,Y-raw,Z-raw,X-axis,Y-axis,Z-axis,road_type\n"
        (location / f"2017-05-23_{begin:03d}.csv").write_text(header + rows(stamp, *values.T, words))
    made = datasets.load("road_surface", tmp_path)
    assert np.unique(made.recording).tolist() == ["2017-05-23_000", "2017-05-23_500", "2017-05-23_900"]
    assert made.start_s[(made.subject == 2) & (made.label == 0)].min() == pytest.approx(20)
    assert made.split_by == "recording"
    assert made.x.std() == pytest.approx(1 / 9.80665, rel=0.3)


# --- MotionSense ---------------------------------------------------------------------------------------------------


def test_motionsense_adds_gravity_to_what_the_user_did(tmp_path) -> None:
    n = 300
    for code, trial in (("dws", 1), ("sit", 13)):
        for person in (1, 2):
            location = tmp_path / "A_DeviceMotion_data" / f"{code}_{trial}"
            location.mkdir(parents=True, exist_ok=True)
            names = [f"{kind}.{axis}" for kind in ("gravity", "rotationRate", "userAcceleration") for axis in "xyz"]
            values = np.zeros((n, 9))
            values[:, 2], values[:, 6] = -1, 0.1
            (location / f"sub_{person}.csv").write_text("," + ",".join(names) + "\n" + rows(np.arange(n), *values.T))
    made = datasets.load("motionsense", tmp_path)
    assert made.x[0, :, 0].tolist() == pytest.approx([0.1, 0, -1])
    assert made.per_class()["sitting"] == made.per_class()["downstairs"] == 2 * (1 + (n - 128) // 64)
    user = datasets.load("motionsense", tmp_path, acceleration="user")
    assert user.x[0, :, 0].tolist() == pytest.approx([0.1, 0, 0])
    (tmp_path / "A_DeviceMotion_data" / "swm_1").mkdir()
    (tmp_path / "A_DeviceMotion_data" / "swm_1" / "sub_1.csv").write_text("x\n")
    with pytest.raises(RecordingError, match="expected activities dws, ups, wlk, jog, sit, std, got swm"):
        datasets.load("motionsense", tmp_path)


# --- Capture-24 ----------------------------------------------------------------------------------------------------

DICTIONARY = """annotation,label:Willetts2018,label:Walmsley2020
7030 sleeping;MET 0.95,sleep,sleep
"walking, dog;MET 3.0",walking,light
"""


def write_capture(folder: Path, second: str = '"walking, dog;MET 3.0"') -> Path:
    (folder / "annotation-label-dictionary.csv").write_text(DICTIONARY)
    for person in ("P001", "P002", "P003"):
        n = 6000
        x = still(n, 1)
        stamps = np.datetime64("2016-10-17T03:53:00", "us") + np.arange(n) * 10_000
        words = ["7030 sleeping;MET 0.95"] * 2500 + [""] * 500 + [second] * 3000
        text = "time,x,y,z,annotation\n" + "".join(
            f"{str(t).replace('T', ' ')},{a:.6f},{b:.6f},{c:.6f},{word}\n"
            for t, (a, b, c), word in zip(stamps, x.tolist(), words, strict=True)
        )
        (folder / f"{person}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_capture24_looks_its_annotations_up_letter_by_letter(tmp_path) -> None:
    made = datasets.load("capture24", write_capture(tmp_path))
    assert made.class_names == capture24.CLASSES
    assert made.per_class() == dict.fromkeys(capture24.CLASSES, 0) | {"sleep": 12, "walking": 15}
    assert made.counts["without an annotation"] == 1500
    assert made.n_rows == 18_000
    assert made.subjects.tolist() == ["P001", "P002", "P003"]
    other = datasets.load("capture24", tmp_path, scheme="Walmsley2020", subjects=["P002"])
    assert other.class_names == ("light", "sleep")
    with pytest.raises(ValueError, match="scheme: expected one of 'Willetts2018', 'Walmsley2020', got 'Willets'"):
        datasets.load("capture24", tmp_path, scheme="Willets")


def test_capture24_in_a_zip_is_the_same(tmp_path) -> None:
    plain = tmp_path / "capture24"
    plain.mkdir()
    write_capture(plain)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for file in plain.iterdir():
            archive.write(file, f"capture24/{file.name}")
    np.testing.assert_array_equal(
        datasets.load("capture24", tmp_path / "c.zip", subjects=["P001"]).x,
        datasets.load("capture24", plain, subjects=["P001"]).x,
    )


def test_an_annotation_that_the_dictionary_lacks_is_an_error_that_lists_it(tmp_path) -> None:
    with pytest.raises(
        RecordingError, match=r"P001.csv.gz: expected annotations of the dictionary, got 1 others: 'flying'"
    ):
        datasets.load("capture24", write_capture(tmp_path, second="flying"))
    (tmp_path / "annotation-label-dictionary.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected annotation-label-dictionary.csv, got P001.csv.gz"):
        datasets.load("capture24", tmp_path)


# --- A folder of one's own -----------------------------------------------------------------------------------------


def write_folder(folder: Path, table: str) -> Path:
    for name in ("anna", "ben", "carl"):
        stamps = np.datetime64("2024-05-01T10:00:00", "ms") + np.arange(3000) * 20
        x = still(3000, 1)
        text = "time,x,y,z\n" + "".join(
            f"{str(t).replace('T', ' ')},{a:.6f},{b:.6f},{c:.6f}\n"
            for t, (a, b, c) in zip(stamps, x.tolist(), strict=True)
        )
        (folder / f"{name}.csv").write_text(text)
    (folder / "labels.csv").write_text(table)
    return folder


TABLE = """file,start,end,label,subject
anna.csv,0,20,sit,7
anna.csv,2024-05-01 10:00:30,2024-05-01 10:00:50,walk,7
ben.csv,0,25.5,walk,8
carl.csv,5,50,sit,9
"""


def test_a_folder_of_recordings_is_labelled_by_a_table(tmp_path) -> None:
    made = datasets.load("folder", write_folder(tmp_path, TABLE), window_s=5)
    assert made.class_names == ("sit", "walk")
    assert made.subjects.tolist() == [7, 8, 9]
    assert made.table().tolist() == [[7, 7], [0, 9], [17, 0]]
    assert made.start_s[(made.subject == 7) & (made.label == 1)].min() == pytest.approx(30)


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (TABLE + "dora.csv,0,5,sit,1\n", FileNotFoundError, r"has no file dora.csv"),
        (
            TABLE.replace("label", "class", 1),
            RecordingError,
            "expected columns file, label, got file, start, end, class",
        ),
        (TABLE + "ben.csv,30,,walk,8\n", RecordingError, "line 6: expected end, got nothing"),
        (TABLE + "ben.csv,30,soon,walk,8\n", RecordingError, "line 6: expected a time or seconds, got 'soon'"),
        (
            TABLE + "ben.csv,500,600,walk,8\n",
            RecordingError,
            r"line 6: expected a stretch of .*ben.csv, got 500 to 600",
        ),
        (TABLE + "ben.csv,20,30,sit,8\n", RecordingError, "line 6: expected one label a sample, got another"),
        (TABLE + "ben.csv,30,40,sit,2\n", RecordingError, r"expected one subject for ben.csv, got several"),
    ],
)
def test_a_table_that_does_not_fit_its_folder_is_told(tmp_path, table, error, message) -> None:
    with pytest.raises(error, match=message):
        datasets.load("folder", write_folder(tmp_path, table))


def test_recordings_with_annotations_of_their_own_need_no_table(tmp_path) -> None:
    write_capture(tmp_path)
    (tmp_path / "annotation-label-dictionary.csv").unlink()
    made = datasets.load("folder", tmp_path, classes=["7030 sleeping;MET 0.95"])
    assert made.per_class() == {"7030 sleeping;MET 0.95": 12}
    assert made.subjects.tolist() == ["P001", "P002", "P003"]


def test_one_subject_alone_loads_and_cannot_be_split(tmp_path) -> None:
    made = datasets.load("capture24", write_capture(tmp_path), subjects=["P001"])
    with pytest.raises(ValueError, match=r"capture24: expected at least three subjects .* got 1 \(P001\)"):
        datasets.subject_split(made, 0)
