"""The one form in which commands name a data set: NAME=PATH[,setting=value,...]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imuspec.datasets import CATALOGUE, DatasetReference, Windows, people_of, subject_split
from imuspec.datasets.reference import FORM


def recording(path: Path, n: int = 1000, rate: float = 50.0) -> None:
    x = np.random.default_rng(0).normal((0, 0, 1), 0.1, (n, 3))
    np.savetxt(path, np.c_[np.arange(n) / rate, x], delimiter=",", header="time,x,y,z", comments="")


def study(folder: Path, subjects: int = 4, rare: int = 2) -> Path:
    """Recordings of one person each; the class rest is in the first few alone."""
    folder.mkdir()
    lines = ["file,start,end,label,subject"]
    for number in range(subjects):
        recording(folder / f"r{number}.csv")
        lines.append(f"r{number}.csv,0,10,walk,{number}")
        lines += [f"r{number}.csv,10,20,rest,{number}"] if number < rare else []
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hapt=HAPT Data Set/", ("hapt", "hapt", "HAPT Data Set/", {})),
        (
            "a@folder=x/y,window_s=3,missing=keep,unit=m/s2",
            ("a", "folder", "x/y", {"window_s": "3", "missing": "keep", "unit": "m/s2"}),
        ),
        (
            "daphnet=d,sensors=ankle, trunk,rate=64",
            ("daphnet", "daphnet", "d", {"sensors": "ankle,trunk", "rate": "64"}),
        ),
        ("folder=one,two/three,rate=20", ("folder", "folder", "one,two/three", {"rate": "20"})),
        ("folder=x,classes=a=b,c", ("folder", "folder", "x", {"classes": "a=b,c"})),
        ("cohort=s3://bucket/week", ("cohort", "cohort", "s3://bucket/week", {})),
    ],
)
def test_a_reference_is_a_label_a_loader_a_path_and_settings(text: str, expected: tuple[object, ...]) -> None:
    result = DatasetReference.parse(text)
    assert (result.label, result.loader, result.path, dict(result.settings)) == expected
    assert DatasetReference.parse(str(result)) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hapt:somewhere", "data: expected hapt=somewhere, got 'hapt:somewhere'"),
        ("wisdm=folder:mine", "data: expected wisdm@folder=mine, got 'wisdm=folder:mine'"),
        ("somewhere", f"data: expected {FORM}, got 'somewhere'"),
        ("hapt=", f"data: expected {FORM}, got 'hapt='"),
        ("=x", f"data: expected {FORM}, got '=x'"),
        ("hatp=x", "data: expected one of 'hapt', "),
        ("@hapt=x", "data: expected LABEL@NAME=PATH, got '@hapt=x'"),
        ("hapt=x,unit=g,unit=mg", "data: expected unit once, got it twice"),
    ],
)
def test_another_spelling_is_an_error_that_shows_the_right_one(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message is compared)
        DatasetReference.parse(text)
    assert message in str(error.value)


def test_settings_reach_the_reader_the_windows_and_the_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    requested = {}

    def load(name: str, path: str, **settings: object) -> Windows:
        requested.update({"name": name, "path": path, **settings})
        x = np.zeros((2, 3, 8), np.float32)
        return Windows(x, [0, 1], [1, 2], ["a", "b"], [0, 0], 4.0, ("u", "v"), "daphnet")

    reference = DatasetReference.parse("d@daphnet=x,sensors=ankle,trunk,subjects=1,3,split_by=recording,missing=keep")
    monkeypatch.setattr("imuspec.datasets.reference.load", load)
    made = reference.windows(window_s=2.0)
    assert requested == {
        "name": "daphnet",
        "path": "x",
        "sensors": ("ankle", "trunk"),
        "subjects": (1, 3),
        "window_s": 2.0,
    }
    assert requested.pop("sensors") == ("ankle", "trunk")
    DatasetReference.parse("goat=x,merge=walking:moving,running:moving").windows()
    assert requested["merge"] == {"walking": "moving", "running": "moving"}
    assert (made.name, made.split_by, made.split_missing) == ("d", "recording", "keep")
    assert made.settings["missing"] == "keep"


def test_a_setting_of_the_reference_goes_before_a_default() -> None:
    reference = DatasetReference.parse("daphnet=x,window_s=3,overlap=0.25,resampling=none,lowpass_hz=20")
    from imuspec.datasets.reference import _types_of, load

    assert {"window_s", "rate", "overlap", "resampling", "lowpass_hz", "min_agreement"} <= set(_types_of(load))
    assert reference._typed(_types_of(load)) == {
        "window_s": 3.0,
        "overlap": 0.25,
        "resampling": "none",
        "lowpass_hz": 20.0,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "hapt=x,sensors=trunk",
            "settings of hapt: expected one of 'transitions', ",
        ),
        ("hapt=x,window_s=long", "window_s: expected a valid number"),
        ("hapt=x,transitions=perhaps", "transitions: expected a valid boolean"),
        ("hapt=x,missing=never", "missing: expected redraw, keep, got 'never'"),
        ("goat=x,sensor_range=middle", "sensor_range: expected low, high, got 'middle'"),
        ("goat=x,merge=eating", "merge: expected name:value[,name:value,...], got 'eating'"),
        ("cohort=x", "cohort: expected a labelled set, got the cohort x"),
    ],
)
def test_an_unknown_setting_or_value_is_refused_with_the_valid_ones(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message is compared)
        DatasetReference.parse(text).windows()
    assert message in str(error.value)


def test_what_an_error_advises_can_be_done_in_the_reference(tmp_path: Path) -> None:
    folder = study(tmp_path / "study")
    plain = DatasetReference.parse(f"folder={folder},window_s=2,rate=50").windows()
    with pytest.raises(ValueError, match="use missing='keep' or leave the class out"):
        subject_split(plain, 0)
    remaining = DatasetReference.parse(f"folder={folder},window_s=2,missing=keep").windows()
    assert subject_split(remaining, 0).members.keys() == {"train", "validation", "test"}
    walking = DatasetReference.parse(f"folder={folder},window_s=2,classes=walk").windows()
    assert walking.class_names == ("walk",)
    same = DatasetReference.parse(f"folder={folder},window_s=2,of_classes=walk").windows()
    assert same.per_class() == walking.per_class()
    assert subject_split(walking, 0).n_redraws == 0


def test_two_folders_are_two_groups_of_people_and_a_moved_one_stays_itself(tmp_path: Path) -> None:
    one, other = study(tmp_path / "one"), study(tmp_path / "other", subjects=3)
    mine, theirs = (DatasetReference.parse(f"folder={folder},window_s=2").windows().people for folder in (one, other))
    assert not set(mine) & set(theirs)
    assert set(mine) == set(people_of("folder", str(one)))
    moved = one.rename(tmp_path / "moved")
    assert len(set(mine) & set(people_of("folder", moved))) == 1
    (moved / "further.csv").write_text("x", "utf-8")
    assert not set(mine) & set(people_of("folder", moved))
    assert set(people_of("folder", moved)) & set(people_of("folder", moved.parent / "." / "moved"))


def test_sets_of_the_same_people_share_their_identity() -> None:
    assert people_of("wisdm_windows", "a.npz") == people_of("wisdm", "b.txt") == ("wisdm",)
    assert people_of("uci_har", "a") == people_of("hapt", "b") == ("hapt",)
    identities = [people_of(name, "x") for name in CATALOGUE if name not in ("folder", "wisdm_windows", "uci_har")]
    assert len(set(identities)) == len(identities)
