"""Labelled stretches of patches: from labelled recordings and from Capture-24's official files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imuspec import Recipe
from imuspec.datasets import DatasetReference, people_of
from imuspec.datasets.patches import group_labels
from imuspec.datasets.recordings import LabelledRecording, count_times, runs_of
from imuspec.datasets.sequences import PatchSequence, PatchSequences, capture24_sequences, cut_sequences
from imuspec.simulation import STATE_NAMES, wrist_motion, write_capture24_csv

SAID = {
    "sleep": "7030 sleeping;MET 0.95",
    "sit-stand": "sitting;MET 1.3",
    "walking": "walking;MET 3.5",
    "mixed": "work",
}


def recording(n: int = 2500, rate: float = 50.0, gap: int | None = None) -> LabelledRecording:
    time = count_times(n, rate)
    if gap is not None:
        time[gap:] += 2_000_000_000
    label = np.repeat([0, -1, 1], [1000, 500, n - 1500])
    x = np.random.default_rng(0).normal(0, 1, (3, n)).astype(np.float32)
    return LabelledRecording(7, "r", "wrist", rate, x, time, runs_of(time, rate), label, ("sit", "walk"))


def test_stretches_are_whole_patches_and_keep_what_has_no_label() -> None:
    result = cut_sequences([recording()], rate=30.0)
    assert [item.x.shape for item in result] == [(3, 1500 - 1500 % 300)] or [
        item.x.shape[1] % 300 for item in result
    ] == [0]
    assert result.items[0].label.tolist()[:3] == [0, 0, -1]
    assert result.items[0].label.tolist()[3] == 1
    assert result.subjects == ["7"]
    assert result.counts["patches without a label"] == 1
    assert result.per_class() == {"sit": 2, "walk": len(result.items[0].label) - 3}


def test_a_gap_ends_a_stretch() -> None:
    result = cut_sequences([recording(gap=1100)], rate=30.0)
    assert [len(item.label) for item in result] == [2, 2]
    assert result.items[1].start_s == pytest.approx(24.0)


def test_a_hole_that_a_recording_allows_has_values_in_patches() -> None:
    short = replace(recording(gap=1100), runs=np.array([[0, 2500]]))
    assert [len(item.label) for item in cut_sequences([short], rate=30.0)] == [2, 2]
    allowed = replace(short, runs=np.array([[0, 2500]]), max_gap_s=2.5)
    whole = cut_sequences([allowed], rate=30.0)
    assert len(whole) == 1
    assert np.isfinite(whole.items[0].x).all()


def test_nothing_as_long_as_a_patch_is_refused() -> None:
    with pytest.raises(ValueError, match="stretch of 10 s"):
        cut_sequences([recording(n=1600, rate=200.0)])


def test_groups_of_unequal_size_take_their_majority_and_of_equals_the_first() -> None:
    label = [3, 1, 1, 3, 0, -1, 2, 2, 2]
    group = [0, 0, 0, 0, 1, 1, 1, -1, 5]
    assert group_labels(label, group, 4).tolist() == [3, 0, -1, -1]


def test_subjects_are_dealt_as_a_whole() -> None:
    items = tuple(
        PatchSequence(np.zeros((3, 300), np.float32), np.zeros(1, int), f"s{i % 5}", str(i)) for i in range(10)
    )
    train, validation = PatchSequences(items, ("a",)).split(0)
    assert (len(train.subjects), len(validation.subjects)) == (4, 1)
    assert not set(train.subjects) & set(validation.subjects)
    assert len(train) + len(validation) == 10
    with pytest.raises(ValueError, match="two or more"):
        validation.split(0)


@pytest.mark.parametrize("n", [5, 10, 11, 12, 30])
def test_seeds_leave_out_other_people_as_long_as_there_are_any(n: int) -> None:
    items = tuple(PatchSequence(np.zeros((3, 300), np.float32), np.zeros(1, np.int64), f"s{i}", "r") for i in range(n))
    sequences = PatchSequences(items, ("a",))
    splits = [sequences.split(seed) for seed in range(5)]
    assert len({tuple(validation.subjects) for _, validation in splits}) == 5
    for train, validation in splits:
        assert len(validation.subjects) == n - round(0.8 * n)
        assert sorted([*train.subjects, *validation.subjects]) == sequences.subjects


@pytest.fixture(scope="module")
def capture24(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two participants of 90 min in the official layout; one annotation has no class."""
    folder = tmp_path_factory.mktemp("capture24")
    rows = ["annotation,label:WillettsSpecific2018,label:Willetts2018"]
    rows += [f"{message},x,{name}" for name, message in SAID.items()]
    rows += ["unclear,x,", "driving,x,vehicle", "cycling,x,bicycling"]
    (folder / "annotation-label-dictionary.csv").write_text("\n".join(rows) + "\n")
    for seed, name in zip((0, 2), ("P001", "P002"), strict=True):
        x, time, state = wrist_motion(days=1.5 / 24, seed=seed, sample_rate=50.0, start="2016-10-17T06:00:00")
        message = [SAID.get(STATE_NAMES[s], "unclear") for s in state]
        message[:6000] = [""] * 6000
        write_capture24_csv(folder / f"{name}.csv.gz", x, time, message)
    return folder


LOOSE = Recipe.load("capture24").set("calibration.required=false")


def test_capture24_gives_the_six_classes_by_the_official_dictionary(capture24: Path) -> None:
    result = capture24_sequences(capture24, recipe=LOOSE)
    assert result.class_names == ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")
    assert result.subjects == ["P001", "P002"]
    first = result.items[0]
    assert len(first.label) >= 538
    _, _, state = wrist_motion(days=1.5 / 24, seed=0, sample_rate=50.0, start="2016-10-17T06:00:00")
    assert first.label[:12].tolist() == [-1] * 12
    for patch in (15, 200, 400, 530):
        name = STATE_NAMES[np.bincount(state[patch * 500 : patch * 500 + 500]).argmax()]
        assert first.label[patch] == (result.class_names.index(name) if name in SAID else -1)
    assert np.isfinite(first.x).all()


def test_a_participant_with_less_wear_than_an_hour_is_left_out_and_counted(capture24: Path) -> None:
    with pytest.raises(ValueError, match="participant excluded"):
        capture24_sequences(capture24, recipe=LOOSE.set("segments.min_wear_h=2"), subjects=["P001"])


def test_unknown_annotations_columns_and_participants_are_refused(capture24: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Willetts2018"):
        capture24_sequences(capture24, scheme="Nobody1999", recipe=LOOSE)
    with pytest.raises(FileNotFoundError, match="P009"):
        capture24_sequences(capture24, subjects=["P009"], recipe=LOOSE)
    for file in capture24.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "annotation-label-dictionary.csv").unlink()
    with pytest.raises(FileNotFoundError, match="dictionary"):
        capture24_sequences(tmp_path, recipe=LOOSE)
    (tmp_path / "annotation-label-dictionary.csv").write_text("annotation,label:Willetts2018\nunclear,\n")
    with pytest.raises(ValueError, match="7030 sleeping"):
        capture24_sequences(tmp_path, recipe=LOOSE)


def test_stretches_have_the_identities_of_their_people(monkeypatch: pytest.MonkeyPatch) -> None:
    items = cut_sequences([recording()], rate=30.0, name="mine")
    assert items.people == ("mine",)
    assert replace(items, name="other", people=("a", "b")).select(items.subjects).people == ("a", "b")
    monkeypatch.setattr("imuspec.datasets.reference.labelled_recordings", lambda *_, **__: [recording()])
    made = DatasetReference.parse("phones@hapt=x").sequences()
    assert (made.name, made.people) == ("phones", people_of("hapt", "x"))
    assert made.people == people_of("uci_har", "y") != ("phones",)
