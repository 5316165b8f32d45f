"""People, not recordings, are held out: read from a file, stratified, and never in two parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imuspec.datasets import Windows
from imuspec.datasets.people import expect_apart, people_order, people_without_file, read_people
from imuspec.pretraining.pretraining import build_source, pretrain
from imuspec.pretraining.wear_source import split_people
from imuspec.probing.unseen import subjects_seen
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.wear import WearSourceSettings
from imuspec.run.named import PeopleSeen, people_seen, weights_digest
from wear_cohort import write_cohort

RECORDINGS = [f"r{number:02}" for number in range(40)]


def people_file(folder: Path, rows: list[str], header: str = "recording,person,sex") -> Path:
    path = folder / "people.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def pairs(folder: Path) -> Path:
    """Two recordings for each of twenty people, five of them men."""
    return people_file(folder, [f"{name},p{i // 2},{'mw'[i // 2 >= 5]}" for i, name in enumerate(RECORDINGS)])


def test_no_person_is_in_two_parts_though_each_has_two_recordings(tmp_path: Path) -> None:
    people = read_people(pairs(tmp_path), RECORDINGS)
    for seed in range(10):
        parts = split_people(WearSourceSettings(split_seed=seed, validation=0.2), people)
        assert not set(parts["training"]) & set(parts["held_out"])
        assert (len(parts["training"]), len(parts["held_out"])) == (16, 4)
        assert sorted(r for part in parts.values() for names in part.values() for r in names) == RECORDINGS
    alone = split_people(WearSourceSettings(validation=0.2), people_without_file(RECORDINGS))
    wearers = [{people.person[r] for r in alone[part]} for part in ("training", "held_out")]
    assert wearers[0] & wearers[1]  # without the file the same people are on both sides


@pytest.mark.parametrize("seed", range(5))
def test_every_part_has_its_share_of_each_stratum(seed: int, tmp_path: Path) -> None:
    people = read_people(pairs(tmp_path), RECORDINGS)
    order = people_order(people, seed)
    assert sorted(order) == sorted(people.stratum)
    for n in (4, 8, 12, 16, 20):
        men = sum(people.stratum[name] == ("m",) for name in order[:n])
        assert men == n // 4
    assert order != people_order(people, seed + 1)


def test_a_smaller_share_is_part_of_a_larger_one(tmp_path: Path) -> None:
    people = read_people(pairs(tmp_path), RECORDINGS)
    parts = [split_people(WearSourceSettings(share=share), people) for share in (0.2, 0.5, 1.0)]
    assert parts[0]["held_out"] == parts[1]["held_out"] == parts[2]["held_out"]
    assert set(parts[0]["training"]) < set(parts[1]["training"]) < set(parts[2]["training"])


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["r00,a,m"], "recording,who,sex", "expected the columns recording and person, got none named person"),
        (["r00,a,m", "r00,b,m"], "recording,person,sex", "line 3: expected one row for each recording"),
        (["r00,a,m", "r01,a,w"], "recording,person,sex", "line 3: expected a with m as in an earlier row, got w"),
        (["r00,a,m"], "recording,person,sex", "expected a row for each recording, got none for r01"),
        (["r00,,m", "r01,a,m"], "recording,person,sex", "line 2: expected 3 values with a recording and a person"),
        (["r00,a", "r01,a,m"], "recording,person,sex", "line 2: expected 3 values with a recording and a person"),
    ],
)
def test_a_file_of_people_that_does_not_fit_is_refused(
    rows: list[str], header: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read_people(people_file(tmp_path, rows, header), ["r00", "r01"])


def test_a_person_in_two_parts_is_named() -> None:
    with pytest.raises(ValueError, match="split: expected each person in one part, got b in training and held_out"):
        expect_apart({"training": ["a", "b"], "held_out": ["b", "c"]})


def test_the_seed_of_training_changes_nothing_that_is_held_out(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", dict.fromkeys("abcdef", 0.1))
    recipe = PretrainRecipe.load("mae-lmm").tiny().set("source.recordings=2", "source.hours=0.1")
    first, second = (build_source(recipe.set(f"training.seed={seed}"), cohort) for seed in (0, 1))
    other = build_source(recipe.set("source.split_seed=1"), cohort)
    assert first.split["held_out"] == second.split["held_out"]
    assert first.digest == second.digest != other.digest
    batches = [next(iter(source.validate.__closure__[0].cell_contents.epoch(0))) for source in (first, second)]  # type: ignore[union-attr, index]  # the days of validation
    assert all((a == b).all() for a, b in zip(*batches, strict=True))


def test_a_run_says_what_it_saw_and_refuses_other_people(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", dict.fromkeys("abcdef", 0.1))
    recipe = PretrainRecipe.load("mae-lmm").tiny().set("source.recordings=2", "source.hours=0.1", "training.epochs=1")
    people = people_file(
        tmp_path, ["a,ann", "b,ann", "c,carl", "d,dora", "e,dora", "f,carl", "g,gus"], "recording,person"
    )
    run = pretrain(recipe, cohort.path, tmp_path / "run", people=people)
    facts = json.loads((run.path / "source.json").read_text())
    split = json.loads((run.path / "split.json").read_text())
    assert facts["data"] == [str(cohort.path)]
    assert set(facts["versions"]) == {"python", "imuspec", "torch", "lightning-fabric", "numpy"}
    assert (facts["counts"]["people"], facts["counts"]["people_held_out"]) == (2, 1)
    assert facts["counts"]["rows_of_other_recordings"] == 1
    assert split["people_file"] == str(people)
    assert sorted([*split["training"], *split["held_out"]]) == ["ann", "carl", "dora"]
    assert people_seen(str(run.path)).subjects == tuple(split["training"])
    with pytest.raises(ValueError, match="data: expected the data that the run started with"):
        pretrain(recipe, cohort.path, run.path, resume=True)
    pretrain(recipe, cohort.path, run.path, people=people, resume=True)


def test_people_are_refused_where_there_is_no_cohort(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"people: expected a file of people with a cohort, got p\.csv with pictures"):
        build_source(PretrainRecipe.load("supervised"), tmp_path, "p.csv")
    with pytest.raises(ValueError, match=r"people: expected a file of people with a cohort, got p\.csv with 'hapt=x'"):
        build_source(PretrainRecipe.load("simclr-har"), "hapt=x", "p.csv")


def seen(*subjects: str, people: str = "cohort 1") -> PeopleSeen:
    return PeopleSeen("cohort", (people,), subjects)


def test_people_of_a_cohort_are_left_out_of_a_labelled_set_by_their_names() -> None:
    subjects = ["P001", "P002", "P003"]

    def judged(given: PeopleSeen) -> tuple[list[object], str]:
        return subjects_seen("run", given, name="capture24", people=["capture24"], subjects=subjects)

    assert judged(seen("P002", "x")) == (
        ["P002"],
        "capture24: judged without 1 subjects whose names pre-training saw: P002",
    )
    assert judged(seen("x")) == ([], "")
    left_out, note = judged(seen(*subjects))
    assert left_out == []
    assert "scores may not be of unseen people" in note
    left_out, note = subjects_seen("run", seen("1", "2"), name="hapt", people=["hapt"], subjects=[1, 2, 3])
    assert left_out == []
    assert "the same numbers (1, 2)" in note


def test_a_model_says_that_people_of_its_encoders_cohort_are_in_a_labelled_set() -> None:
    from types import SimpleNamespace
    from typing import cast

    from imuspec.prediction import Model
    from imuspec.prediction.predicting import seen_by

    def model(people: list[str], subjects: list[str] | None, *pretraining: dict[str, object]) -> Model:
        facts = {"set": "x", "people": people, "subjects": subjects, "pretraining": list(pretraining)}
        return cast("Model", SimpleNamespace(facts={"people": facts}))

    subject = np.array(["P001", "P002", "P003", "P002"])
    judged = cast("Windows", SimpleNamespace(people=("capture24",), name="capture24"))
    cohort = {"set": "cohort", "people": ["cohort 1"], "subjects": ["P002", "P009"]}
    assert seen_by(model(["capture24"], ["P001"]), judged, subject).tolist() == [True, False, False, False]
    fitted = model(["capture24"], ["P001"], cohort)
    assert seen_by(fitted, judged, subject).tolist() == [True, True, False, True]
    assert seen_by(model(["capture24"], None), judged, subject).all()
    assert not seen_by(model(["hapt"], ["P001"]), judged, subject).any()
    numbered = model(["cohort 1"], ["1", "2"])  # many sets number their people
    assert not seen_by(numbered, judged, np.array([1, 2, 3])).any()


@pytest.mark.parametrize("word", ["random", "imagenet", "efficientnet-lite0", "statistics"])
def test_a_folder_does_not_take_the_place_of_a_word(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / word).mkdir()
    monkeypatch.chdir(tmp_path)
    assert weights_digest(word) == ""  # commands take the word, whatever lies beside
