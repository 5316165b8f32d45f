"""Readers of public sets, on files in the official layouts that the tests write, with the damage that is known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataset_values import rows, still
from imuspec import datasets
from imuspec.datasets import goat
from imuspec.errors import RecordingError
from labelled_folder import write_folder

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


def test_a_goat_s_file_without_a_label_is_named(tmp_path) -> None:
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


# --- HAPT and road surface -----------------------------------------------------------------------------------------


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
    assert recording.unlabelled == {"without a label": 0, "activity that is not a class": 50}
    chosen = next(datasets.labelled_recordings("hapt", tmp_path, classes=("sitting", "stand to sit")))
    assert np.bincount(chosen.label[chosen.label >= 0]).tolist() == [250, 50]


def test_hapt_s_damage_is_refused_with_the_reason(tmp_path) -> None:
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


def test_motionsense_s_other_parts_beside_it_are_left_alone(tmp_path) -> None:
    for part, columns in (
        ("A_DeviceMotion_data", [f"{kind}.{axis}" for kind in ("gravity", "userAcceleration") for axis in "xyz"]),
        ("B_Accelerometer_data", list("xyz")),
        ("C_Gyroscope_data", list("xyz")),
    ):
        for person in (1, 2):
            location = tmp_path / "motion-sense" / part / "wlk_7"
            location.mkdir(parents=True, exist_ok=True)
            values = np.zeros((300, len(columns)))
            values[:, 2] = -1
            text = "," + ",".join(columns) + "\n" + rows(np.arange(300), *values.T)
            (location / f"sub_{person}.csv").write_text(text)
    made = datasets.load("motionsense", tmp_path)
    assert made.n_rows == 600
    assert made.subjects.tolist() == [1, 2]


def test_a_subject_that_a_set_does_not_have_is_named(tmp_path) -> None:
    for person in (1, 2):
        location = tmp_path / "A_DeviceMotion_data" / "wlk_7"
        location.mkdir(parents=True, exist_ok=True)
        names = [f"{kind}.{axis}" for kind in ("gravity", "userAcceleration") for axis in "xyz"]
        values = np.zeros((300, 6))
        values[:, 2] = -1
        (location / f"sub_{person}.csv").write_text("," + ",".join(names) + "\n" + rows(np.arange(300), *values.T))
    with pytest.raises(ValueError, match="subjects: expected some of 1, 2, got 3"):
        datasets.load("motionsense", tmp_path, subjects=[1, 3])
    write_folder(tmp_path / "own")
    assert datasets.load("folder", tmp_path / "own", subjects=["p0"]).subjects.tolist() == ["p0"]
    with pytest.raises(ValueError, match="subjects: expected some of p0, p1, p2, p3, got q"):
        datasets.load("folder", tmp_path / "own", subjects=["p0", "q"])
