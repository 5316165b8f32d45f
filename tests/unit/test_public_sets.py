"""Readers of UCI HAR, PAMAP2, WISDM 2019, RealWorld, HHAR, Opportunity and mHealth on small files of the official layouts."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from imuspec import datasets
from imuspec.datasets import hhar, mhealth, opportunity, pamap2, realworld, wisdm2019
from imuspec.datasets.hapt import BASIC
from imuspec.errors import RecordingError

RNG = np.random.default_rng(0)


def still(n: int, unit: float = 9.81) -> np.ndarray:
    """[n, 3] of a sensor that lies, with a little noise."""
    return RNG.normal(0, 0.02 * unit, (n, 3)) + np.array([0, 0, unit])


def table(values: np.ndarray, separator: str = " ") -> str:
    return "".join(separator.join(f"{v:.6g}" for v in row) + "\n" for row in values)


def norm_of(windows: datasets.Windows) -> float:
    return float(np.linalg.norm(windows.x.mean(axis=-1), axis=1).mean())


def sensors_of(windows: datasets.Windows) -> set[str]:
    assert windows.sensor is not None
    return set(windows.sensor.tolist())


def all_rows_count(windows: datasets.Windows) -> bool:
    return 0 < windows.n_rows - sum(windows.counts.values()) <= windows.n_rows


# --- UCI HAR -------------------------------------------------------------------------------------------------------


def write_uci_har(folder: Path) -> Path:
    for part, people in (("train", [1, 1, 1, 3]), ("test", [2, 2])):
        signals = folder / "UCI HAR Dataset" / part / "Inertial Signals"
        signals.mkdir(parents=True)
        for axis, gravity in zip("xyz", (0, 0, 1), strict=True):
            moved = RNG.normal(0, 0.01, (len(people), 128))
            for kind, values in (("total", moved + gravity), ("body", moved)):
                text = "".join("  " + " ".join(f"{v: .7e}" for v in row) + "\n" for row in values)
                (signals / f"{kind}_acc_{axis}_{part}.txt").write_text(text)
        (signals.parent / f"subject_{part}.txt").write_text("".join(f"{p}\n" for p in people))
        (signals.parent / f"y_{part}.txt").write_text("".join(f"{k % 6 + 1}\n" for k in range(len(people))))
    return folder


def test_uci_har_s_windows_are_taken_as_they_are(tmp_path: Path) -> None:
    made = datasets.load("uci_har", write_uci_har(tmp_path))
    assert made.x.shape == (6, 3, 128)
    assert made.class_names == BASIC
    assert made.subjects.tolist() == [1, 2, 3]
    assert made.label.tolist() == [0, 1, 2, 0, 1, 3]  # person by person
    assert np.isnan(made.start_s).all()
    text = (tmp_path / "UCI HAR Dataset/test/Inertial Signals/total_acc_y_test.txt").read_text().splitlines()[1]
    np.testing.assert_allclose(made.x[4, 1], np.array(text.split(), float), atol=1e-6)
    assert made.people == ("hapt",)
    assert len(datasets.load("uci_har", tmp_path, part="test")) == 2


def test_uci_har_is_read_without_gravity_and_its_damage_is_refused(tmp_path: Path) -> None:
    body = datasets.load("uci_har", write_uci_har(tmp_path), acceleration="body", subjects=[3])
    assert len(body) == 1
    assert abs(norm_of(body)) < 0.02
    with pytest.raises(FileNotFoundError, match="got UCI HAR's windows: the set uci_har"):
        datasets.load("hapt", tmp_path)
    (tmp_path / "UCI HAR Dataset/train/y_train.txt").write_text("1\n2\n")
    with pytest.raises(RecordingError, match="expected as many labels and subjects as windows, got 2, 4 and 4"):
        datasets.load("uci_har", tmp_path)
    (tmp_path / "UCI HAR Dataset/train/y_train.txt").write_text("1\n2\n9\n1\n")
    with pytest.raises(RecordingError, match=r"expected activities 1 to 6 in y_train.txt"):
        datasets.load("uci_har", tmp_path)


# --- PAMAP2 --------------------------------------------------------------------------------------------------------


def write_pamap2(folder: Path, people: tuple[int, ...] = (101, 102)) -> Path:
    for part, codes in (("Protocol", (1, 0, 24)), ("Optional", (9, 0, 11))):
        (folder / part).mkdir()
        for person in people:
            n = 620 * len(codes)
            values = np.full((n, 54), np.nan)
            values[:, 0] = 8.38 + np.arange(n) / 100
            values[:, 1] = np.repeat(codes, 620)
            for sensor in range(3):
                values[:, 4 + 17 * sensor : 7 + 17 * sensor] = still(n, 9.81 + sensor / 10)
            values[100, 4] = np.nan  # a lost packet of the hand
            text = table(values).replace("nan", "NaN")
            (folder / part / f"subject{person}.dat").write_text(text)
    return folder


def test_pamap2_reads_the_protocol_and_a_sensor_of_choice(tmp_path: Path) -> None:
    made = datasets.load("pamap2", write_pamap2(tmp_path), rate=100, window_s=2)
    assert made.class_names == pamap2.CLASSES
    assert len(pamap2.CLASSES) == 12
    assert made.subjects.tolist() == [101, 102]
    assert {name: n for name, n in made.per_class().items() if n} == {"lying": 10, "rope jumping": 10}
    assert (made.counts["activity other"], made.counts["not numbers on three axes"]) == (1240, 2)
    assert norm_of(made) == pytest.approx(1, abs=0.01)
    two = datasets.load("pamap2", tmp_path, sensors=("chest", "ankle"), optional=True, subjects=[102])
    assert len(two.class_names) == 18
    assert sensors_of(two) == {"chest", "ankle"}
    assert set(two.recording) == {"protocol 102", "optional 102"}
    assert all_rows_count(two)


def test_pamap2_with_an_unknown_activity_or_two_copies_is_refused(tmp_path: Path) -> None:
    path = write_pamap2(tmp_path)
    (tmp_path / "copy" / "Protocol").mkdir(parents=True)
    file = path / "Protocol" / "subject101.dat"
    copy = tmp_path / "copy" / "Protocol" / "subject101.dat"
    copy.write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match=r"expected one copy of the set, got Protocol/subject101.dat and copy/"):
        datasets.load("pamap2", path)
    copy.unlink()
    file.write_text(file.read_text().replace(" 24 ", " 8 "))
    with pytest.raises(RecordingError, match=r"subject101.dat: expected activities 0, 1, .* got 8"):
        datasets.load("pamap2", path)


# --- WISDM 2019 ----------------------------------------------------------------------------------------------------


def write_wisdm2019(folder: Path, people: tuple[int, ...] = (1600, 1601)) -> Path:
    for device, start in (("phone", 252_207_666_810_782), ("watch", 90_426_708_196_641)):
        (folder / device / "accel").mkdir(parents=True)
        for person in people:
            lines = []
            for number, letter in enumerate("AS"):
                stamps = start + number * 10**12 + np.round(np.arange(450) * 50_354_000.0).astype(int)
                lines += [
                    f"{person},{letter},{t},{x:.6f},{y:.6f},{z:.6f};"
                    for t, (x, y, z) in zip(stamps.tolist(), still(450).tolist(), strict=True)
                ]
            (folder / device / "accel" / f"data_{person}_accel_{device}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_wisdm_2019_parts_activities_and_has_a_watch_and_a_phone(tmp_path: Path) -> None:
    made = datasets.load("wisdm2019", write_wisdm2019(tmp_path), rate=20)
    assert len(made.class_names) == 18
    assert {name: n for name, n in made.per_class().items() if n} == {"walking": 6, "folding clothes": 6}
    assert made.subjects.tolist() == [1600, 1601]
    assert sensors_of(made) == {"watch"}
    assert norm_of(made) == pytest.approx(1, abs=0.01)
    assert len(datasets.load("wisdm2019", tmp_path, sensors=("phone", "watch"), subjects=[1601], rate=20)) == 12


def test_wisdm_2019_with_broken_lines_and_repeated_stamps_is_counted(tmp_path: Path) -> None:
    path = write_wisdm2019(tmp_path, (1600,)) / "watch" / "accel" / "data_1600_accel_watch.txt"
    lines = path.read_text().splitlines()
    stamp = lines[20].split(",")[2]
    lines[21:25] = [",".join([*line.split(",")[:2], stamp, *line.split(",")[3:]]) for line in lines[21:25]]
    lines[30] = lines[30].rsplit(",", 1)[0] + ",;"  # an empty z
    lines[40] = "1600,A"
    path.write_text("\n".join(lines))
    (recording,) = datasets.labelled_recordings("wisdm2019", tmp_path)
    assert recording.counts == {"not six fields": 1, "empty field, or not a number": 1}
    assert len(recording) + 2 == recording.n_rows == 900
    assert recording.runs.tolist() == [[0, 448], [448, 898]]
    assert all((np.diff(recording.time[first:end]) > 0).all() for first, end in recording.runs.tolist())
    path.write_text(path.read_text().replace(",S,", ",N,"))
    with pytest.raises(RecordingError, match=r"expected activities A, B, .* got N"):
        list(datasets.labelled_recordings("wisdm2019", tmp_path))


# --- RealWorld -----------------------------------------------------------------------------------------------------


def realworld_csv(n: int = 600, start: int = 1_435_993_106_000) -> str:
    values = np.column_stack([np.arange(n), start + np.arange(n) * 20, still(n)])
    return "id,attr_time,attr_x,attr_y,attr_z\n" + "".join(
        f"{int(i)},{int(t)},{x:.5f},{y:.5f},{z:.5f}\n" for i, t, x, y, z in values.tolist()
    )


def zipped(members: dict[str, str | bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return memory.getvalue()


def write_realworld(folder: Path) -> Path:
    for person in (1, 4):
        data = folder / f"proband{person}" / "data"
        data.mkdir(parents=True)
        walking = {f"acc_walking_{position}.csv": realworld_csv() for position in ("waist", "head")}
        (data / "acc_walking_csv.zip").write_bytes(zipped({**walking, "readMe": "text"}))
    parts = {f"acc_climbingup_{k}_csv.zip": zipped({f"acc_climbingup_{k}_waist.csv": realworld_csv()}) for k in (1, 2)}
    (folder / "proband4" / "data" / "acc_climbingup_csv.zip").write_bytes(zipped(parts))
    (folder / "proband4" / "data" / "gyr_walking_csv.zip").write_bytes(zipped({"Gyroscope_walking_waist.csv": "x"}))
    return folder


def test_realworld_opens_zips_of_activities_and_zips_inside_them(tmp_path: Path) -> None:
    made = datasets.load("realworld", write_realworld(tmp_path))
    assert made.class_names == realworld.CLASSES
    assert {name: n for name, n in made.per_class().items() if n} == {"climbingup": 6, "walking": 6}
    assert made.table()[:, [1, 7]].tolist() == [[0, 3], [6, 3]]
    assert norm_of(made) == pytest.approx(1, abs=0.01)
    both = datasets.load("realworld", tmp_path, sensors=("head", "waist"), subjects=[1])
    assert len(both) == 6
    split = datasets.Split(
        np.flatnonzero(both.sensor == "head"), np.empty(0, int), np.flatnonzero(both.sensor == "waist")
    )
    with pytest.raises(ValueError, match="3 windows of train overlap one of test in time"):
        datasets.check_leaks(both, split, allow=("subject", "recording"))


def test_realworld_unpacked_beside_its_zips_is_read_once_and_a_broken_zip_is_refused(tmp_path: Path) -> None:
    data = write_realworld(tmp_path) / "proband1" / "data"
    with zipfile.ZipFile(data / "acc_walking_csv.zip") as archive:
        archive.extractall(data / "acc_walking_csv")
    assert len(datasets.load("realworld", tmp_path, subjects=[1])) == 3
    broken = tmp_path / "proband4" / "data" / "acc_walking_csv.zip"
    whole = broken.read_bytes()
    broken.write_bytes(zipped({"acc_walking_pocket.csv": realworld_csv()}))
    with pytest.raises(RecordingError, match=r"expected acc_<activity>_<position>.csv, got acc_walking_pocket.csv"):
        datasets.load("realworld", tmp_path)
    broken.write_bytes(whole)
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(RecordingError, match=r"acc_walking_csv.zip: expected a whole zip"):
        datasets.load("realworld", tmp_path)


# --- HHAR ----------------------------------------------------------------------------------------------------------


def write_hhar(folder: Path) -> Path:
    for name, devices in (("Phones", (("nexus4", 200), ("s3mini", 100))), ("Watch", (("gear", 100),))):
        lines = ["Index,Arrival_Time,Creation_Time,x,y,z,User,Model,Device,gt"]
        for model, rate in devices:
            for user in "ab":
                n = 13 * rate
                arrival = 1_424_696_633_908 + np.arange(n) // 20 * (20_000 // rate)  # in bundles of twenty
                activity = np.repeat(["stand", "null", "bike"], [6 * rate, rate, 6 * rate])
                lines += [
                    f"{i},{t},{t * 10**6 + 7},{x:.5f},{y:.5f},{z:.5f},{user},{model},{model}_1,{word}"
                    for i, (t, (x, y, z), word) in enumerate(
                        zip(arrival.tolist(), still(n).tolist(), activity.tolist(), strict=True)
                    )
                ]
        (folder / f"{name}_accelerometer.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_hhar_spaces_bundled_samples_evenly_and_keeps_each_model_s_rate(tmp_path: Path) -> None:
    made = datasets.load("hhar", write_hhar(tmp_path))
    assert made.class_names == hhar.CLASSES
    assert made.subjects.tolist() == ["a", "b"]
    assert {name: n for name, n in made.per_class().items() if n} == {"bike": 4, "stand": 4}
    assert sensors_of(made) == {"nexus4_1", "s3mini_1"}
    assert made.counts["activity null"] == 2 * (200 + 100)
    assert norm_of(made) == pytest.approx(1, abs=0.01)
    recordings = list(datasets.labelled_recordings("hhar", tmp_path, models=["s3mini"], sensors=["phone"]))
    assert [recording.rate for recording in recordings] == [100, 100]
    step = np.diff(recordings[0].time)
    assert step.min() > 0
    assert np.median(step) == pytest.approx(1e7, rel=0.02)


def test_hhar_s_devices_share_the_clock_of_a_person_and_an_unknown_model_is_refused(tmp_path: Path) -> None:
    path = write_hhar(tmp_path)
    both = list(datasets.labelled_recordings("hhar", path, sensors=("phone", "watch"), subjects=["a"]))
    assert {recording.recording for recording in both} == {"user a"}
    assert [int(recording.time.min()) for recording in both] == [0, 0, 0]
    file = path / "Watch_accelerometer.csv"
    file.write_text(file.read_text().replace("gear", "moto"))
    with pytest.raises(RecordingError, match=r"expected models nexus4, .* got moto"):
        datasets.load("hhar", path, sensors=["watch"])
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"expected Watch_accelerometer.csv"):
        datasets.load("hhar", path, sensors=["watch"])


# --- Opportunity, mHealth ------------------------------------------------------------------------------------------


def write_opportunity(folder: Path) -> Path:
    for person in (1, 2):
        for session in ("ADL1", "Drill"):
            values = np.zeros((360, 250))
            values[:, 0] = np.round(np.arange(360) * 1000 / 30)
            for first in opportunity.SENSORS.values():
                values[:, first - 1 : first + 2] = still(360, 1000)
            values[:, 243] = np.repeat([1, 0, 5], 120)
            values[:, 249] = np.repeat([406516, 0, 405506], 120)
            values[10:12, 16] = np.nan
            (folder / f"S{person}-{session}.dat").write_text(table(values).replace("nan", "NaN"))
    return folder


def test_opportunity_has_two_tracks_of_labels_and_sensors_of_choice(tmp_path: Path) -> None:
    made = datasets.load("opportunity", write_opportunity(tmp_path), rate=30)
    assert made.class_names == ("stand", "walk", "sit", "lie")
    assert {name: n for name, n in made.per_class().items() if n} == {
        "stand": 8,
        "lie": 12,
    }  # two lost rows part the first
    assert made.counts["without a label"] == 4 * 120
    assert norm_of(made) == pytest.approx(1, abs=0.01)
    gestures = datasets.load(
        "opportunity", tmp_path, track="gestures", sensors=("RWR", "IMU RLA"), subjects=[2], rate=30
    )
    assert len(gestures.class_names) == 17
    assert {name: n for name, n in gestures.per_class().items() if n} == {"open door 1": 12, "toggle switch": 12}
    assert set(gestures.recording) == {"S2 ADL1", "S2 Drill"}
    with pytest.raises(ValueError, match=r"track: expected some of locomotion, gestures, got hands"):
        datasets.load("opportunity", tmp_path, track="hands")


def test_mhealth_counts_its_samples_and_names_its_labels(tmp_path: Path) -> None:
    for person in (1, 10):
        values = np.zeros((1200, 24))
        for first in mhealth.SENSORS.values():
            values[:, first - 1 : first + 2] = still(1200)
        values[:, 23] = np.repeat([1, 0, 12], 400)
        (tmp_path / f"mHealth_subject{person}.log").write_text(table(values, "\t"))
    made = datasets.load("mhealth", tmp_path)
    assert made.subjects.tolist() == [1, 10]
    assert {name: n for name, n in made.per_class().items() if n} == {"standing still": 4, "jumping front and back": 4}
    assert sorted(set(made.start_s.tolist())) == [0, 2.5, 16, 18.5]
    assert norm_of(made) == pytest.approx(1, abs=0.01)
    assert sensors_of(datasets.load("mhealth", tmp_path, sensors=["chest", "ankle"])) == {"chest", "ankle"}
    with pytest.raises(ValueError, match="sensors: expected some of chest, ankle, wrist, got hip"):
        datasets.load("mhealth", tmp_path, sensors=["hip"])


def test_a_zip_inside_the_downloaded_zip_is_opened(tmp_path: Path) -> None:
    values = np.zeros((600, 24))
    values[:, 14:17], values[:, 23] = still(600), 4
    inner = zipped({"MHEALTHDATASET/mHealth_subject7.log": table(values, "\t")})
    (tmp_path / "mhealth+dataset.zip").write_bytes(zipped({"MHEALTHDATASET.zip": inner, "readme.txt": "text"}))
    made = datasets.load("mhealth", tmp_path / "mhealth+dataset.zip")
    assert made.per_class()["walking"] == len(made) == 3
    (tmp_path / "cut.zip").write_bytes(zipped({"MHEALTHDATASET.zip": inner[: len(inner) // 2]}))
    with pytest.raises(RecordingError, match="expected a zip or tar archive, got"):
        datasets.load("mhealth", tmp_path / "cut.zip")


def test_several_blanks_between_numbers_are_one(tmp_path: Path) -> None:
    path = write_opportunity(tmp_path)
    before = datasets.load("opportunity", path, rate=30)
    for file in path.glob("*.dat"):
        file.write_text("".join(f" {line.replace(' ', '   ')} \r\n" for line in file.read_text().splitlines()))
    np.testing.assert_array_equal(datasets.load("opportunity", path, rate=30).x, before.x)


@pytest.mark.parametrize("name", ["uci_har", "pamap2", "wisdm2019", "realworld", "hhar", "opportunity", "mhealth"])
def test_a_folder_of_another_layout_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(FileNotFoundError, match=r"no file of the form|expected .*(csv|txt), got notes.txt"):
        datasets.load(name, tmp_path)


def test_eighteen_letters_of_wisdm_2019_leave_out_n() -> None:
    assert "".join(wisdm2019.ACTIVITIES) == "ABCDEFGHIJKLMOPQRS"
