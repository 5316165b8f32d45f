"""What a table of scores allows to conclude, and where its numbers come from."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("scipy")
from imuspec import experiments  # noqa: E402
from imuspec.experiments.comparisons import opposed_rows, planned, random_row, reference_row  # noqa: E402
from imuspec.experiments.conclusions import conclusions, verdict  # noqa: E402
from imuspec.experiments.evidence import paired_table  # noqa: E402
from imuspec.experiments.made_up import made_up_windows  # noqa: E402
from imuspec.experiments.provenance import encoder_facts, machine, versions, window_facts  # noqa: E402

STATISTICS = "statistics of the window"
NOISE = np.array([0.01, -0.02, 0.0, 0.015, -0.005])


def judged(columns: Sequence[str] = ("wisdm",), **means: float) -> Any:
    """Scores of rows over five splits, each with its own noise; underscores stand for spaces."""
    return pd.DataFrame(
        {
            **{"row": row.replace("_", " "), "column": column, "seed": seed, "weights_seed": 0, "kappa": mean},
            **{"macro_f1": value, "balanced_accuracy": value, "test_over_train": 1 / 3, "n_rarest": 20},
            **{"test_subjects": f"S {seed}; S {seed + 1}"},
        }
        for column in columns
        for number, (row, mean) in enumerate(means.items())
        for seed, value in enumerate(mean + np.roll(NOISE, number))
    )


def concluded(name: str, scores: Any, **options: Any) -> list[str]:
    paired = paired_table(scores)
    assert paired is not None
    return conclusions(name, scores, paired, options)


def test_where_no_encoder_passes_the_statistics_the_first_sentence_says_so_and_the_last_what_it_rests_on() -> None:
    scores = judged(("wisdm", "hapt"), MoCo=0.5, IMG2IMU=0.79, statistics_of_the_window=0.8)
    first, *_, last = concluded("img2imu-table2", scores, shots=10, max_judged=60)
    assert " At most 60 test windows of a class of a split are scored. " in last
    assert "are scored" not in concluded("img2imu-table2", scores, shots=10)[-1]
    assert first.startswith(
        "No encoder of pictures passes the statistics of the window on wisdm or hapt with 10 labelled windows a class. "
        "Below them by p < .05 are 1 of 2 on each. The highest mean less theirs is -.010 ["
    )
    assert "(IMG2IMU, p " in first
    assert "macro-F1" in last
    assert (
        "On wisdm and hapt: 5 distinct splits by subject, 6 test subjects, at least 20 test windows of the rarest class, "
        "1 draw of the weights a row." in last
    )
    assert "over the rows of a question in a column, not over columns, questions or tables." in last


def test_rows_with_a_single_draw_of_the_weights_are_named_and_a_column_has_the_name_of_its_set() -> None:
    scores = judged(("macro_f1",), MoCo=0.5, IMG2IMU=0.6, statistics_of_the_window=0.8)
    more = scores[scores["row"] == "MoCo"].assign(weights_seed=1)
    paired = paired_table(scores)
    assert paired is not None
    sets = {"wisdm@wisdm_windows": {"windows": 9, "subjects": 6}}
    first, *_, last = conclusions("img2imu-nfft", scores, paired, {}, sets)
    assert first.startswith("No encoder of pictures passes the statistics of the window on wisdm. ")
    assert "macro_f1" not in first
    assert "On wisdm: 5 distinct splits" in last
    assert " Each row has one draw of the weights or one pre-training, which says nothing of others." in last
    drawn = concluded("img2imu-table2", pd.concat([scores, more]))[-1]
    assert " With one draw of the weights or one pre-training, which says nothing of others: IMG2IMU." in drawn
    every = pd.concat([scores, more, scores[scores["row"] == "IMG2IMU"].assign(weights_seed=1)])
    assert "says nothing of others" not in concluded("img2imu-table2", every)[-1]


def test_an_encoder_that_passes_is_named_with_its_difference_and_where() -> None:
    scores = judged(IMG2IMU=0.9, CPC=0.7, statistics_of_the_window=0.8)
    scores = pd.concat([scores, judged(("hapt",), IMG2IMU=0.5, CPC=0.7, statistics_of_the_window=0.8)])
    pictures, signals, _ = concluded("img2imu-table2", scores)
    assert "these pass the statistics of the window: IMG2IMU (+.100 [" in pictures
    assert "on wisdm; none on hapt." in pictures
    assert signals.startswith("No encoder of signals passes")


def test_pre_training_is_compared_with_random_weights_of_its_kind() -> None:
    scores = judged(**{"Randomly-init._(2D)": 0.4, "Randomly-init._(1D)": 0.6, "MoCo": 0.5, "CPC_(HAR)": 0.6})
    sentences = concluded("img2imu-table2", scores)
    assert sentences[0].startswith("Pre-training is above random weights for MoCo on wisdm (+.100 [")
    assert ", and is not shown to differ in 1 of 2 comparisons" in sentences[0]
    reverse = judged(**{"Randomly-init._(2D)": 0.5, "MoCo": 0.4})
    assert "is below random weights for MoCo on wisdm (-.100 [" in concluded("img2imu-table2", reverse)[0]
    rows = ["IMG2IMU, last block", "CPC, last block", "random (1D), last block", "random (2D), last block"]
    assert [random_row(row, rows) for row in rows] == [rows[3], rows[2], None, None]
    assert random_row("x alone, pre-trained", ["x alone, random", "y alone, random"]) == "x alone, random"
    heads = ["x alone, random", "x alone, random, logistic", "x alone, pre-trained", "x alone, pre-trained, logistic"]
    assert [random_row(row, heads) for row in heads] == [None, None, heads[0], heads[1]]
    assert random_row("x alone, pre-trained, logistic", heads[:1]) is None  # no row of another head
    assert random_row("LMM N 32, logistic", ["random weights"]) is None
    assert random_row("LMM N 32", ["LMM N 32", "random weights"]) == "random weights"


def test_statistics_are_those_of_the_same_axes_or_share_of_labels() -> None:
    rows = [f"x alone, {STATISTICS}", f"y alone, {STATISTICS}"]
    assert reference_row("y alone, random", rows) == rows[1]
    shares = [f"{STATISTICS}, labelled 5 %", f"{STATISTICS}, labelled 10 %"]
    assert reference_row("LMM, labelled 10 %", shares) == shares[1]
    assert reference_row("MoCo", ["MoCo", STATISTICS]) == STATISTICS
    assert reference_row("MoCo", ["MoCo", "IMG2IMU"]) is None


def test_rows_that_had_all_labels_answer_no_question_about_few() -> None:
    scores = judged(**{"Fully-supervised_(2D)": 0.95, "Randomly-init._(2D)": 0.5, "statistics_of_the_window": 0.8})
    paired = paired_table(scores)
    assert paired is not None
    by_kind, trained, _ = planned("img2imu-table2", scores, paired)
    assert [each.first for each in by_kind["encoder of pictures"]] == ["Randomly-init. (2D)"]
    assert trained == []


def test_fine_tuning_is_compared_with_the_head_alone_and_epochs_that_were_not_taken_are_counted() -> None:
    scores = judged(**{"CPC,_head_only": 0.5, "CPC,_last_block": 0.5, "CPC,_all_weights": 0.7})
    scores["epoch"] = scores["row"].eq("CPC, all weights") * 3
    first = concluded("fine-tuning", scores)[0]
    assert first.startswith("Fine-tuning is above the head alone for CPC, all weights on wisdm (+.200 [")
    assert "not shown to differ in 1 of 2 comparisons. In 5 of 10 fine-tunings validation takes epoch 0" in first
    same = judged(**{"CPC,_head_only": 0.5, "CPC,_last_block": 0.5})
    assert concluded("fine-tuning", same)[0] == (
        "Fine-tuning is not shown to differ from the head alone in any of 1 comparisons."
    )


def test_rows_are_set_against_the_other_views_the_same_start_the_default_and_the_six_numbers() -> None:
    start, moco = "ImageNet-supervised (EfficientNet-Lite0)", "MoCo from ImageNet (EfficientNet-Lite0)"
    img2imu, random = "IMG2IMU from ImageNet (EfficientNet-Lite0)", "Randomly-init. (EfficientNet-Lite0)"
    layers = [f"{row}{ending}" for row in (start, moco, img2imu, random) for ending in ("", ", stage3.bands")]
    assert opposed_rows(f"{img2imu}, stage3.bands", layers) == [f"{start}, stage3.bands", f"{moco}, stage3.bands"]
    assert [opposed_rows(row, layers) for row in (moco, start)] == [[start], []]
    assert random_row(f"{img2imu}, stage3.bands", layers) == f"{random}, stage3.bands"
    six = "signed means and log deviations"
    rows = ["IMG2IMU, last+moments, logistic", "MoCo, last+moments, logistic", "MoCo", "MoCo, logistic", six]
    assert opposed_rows(rows[0], rows) == [rows[1], six]
    assert opposed_rows("Hue mix, logistic", ["Hue perm", "Hue perm, logistic"]) == ["Hue perm, logistic"]
    assert opposed_rows("IMG2IMU, logistic", ["MoCo"]) == []


def test_rows_set_against_each_other_are_named_where_they_differ() -> None:
    scores = judged(Hue_perm=0.5, Hue_mix=0.6, no_Hue=0.5, statistics_of_the_window=0.8)
    sentence = concluded("img2imu-options", scores)[1]
    assert sentence.startswith(
        "Rows set against each other are shown to differ in 1 of 2 comparisons: Hue mix less Hue perm on wisdm (+.100 ["
    )
    same = judged(IMG2IMU=0.5, MoCo=0.5)
    expected = "Rows set against each other are not shown to differ in any of 1 comparisons."
    assert expected in concluded("img2imu-table2", same)


def test_p_is_corrected_over_the_rows_of_the_question() -> None:
    scores = judged(MoCo=0.79, IMG2IMU=0.775, statistics_of_the_window=0.8)
    paired = paired_table(scores)
    assert paired is not None
    by_kind, *_ = planned("img2imu-table2", scores, paired)
    plain = paired[(paired["second"] == STATISTICS) & (paired["score"] == "macro_f1")].set_index("first")["p"]
    corrected = {each.first: each.p for each in by_kind["encoder of pictures"]}
    assert corrected == pytest.approx({"IMG2IMU": 2 * plain["IMG2IMU"], "MoCo": max(plain["MoCo"], 2 * plain.min())})


@pytest.mark.parametrize(
    ("pair", "result"),
    [
        (("IMG2IMU", "MoCo"), "kept"),
        (("MoCo", "IMG2IMU"), "withdrawn: the contrary"),
        (("SimSiam", "MoCo"), "withdrawn: not shown"),
        (("*", "SimSiam"), "withdrawn: not shown"),
        (("HARNet", "MoCo"), "withdrawn: not measured again"),
    ],
)
def test_an_earlier_conclusion_is_kept_only_where_every_difference_shows_it(pair: tuple[str, str], result: str) -> None:
    paired = paired_table(judged(MoCo=0.5, SimSiam=0.505, IMG2IMU=0.7))
    assert paired is not None
    assert verdict([pair], [("img2imu-table2", paired)])[0] == result
    assert verdict([pair], [("img2imu-table2", paired)], ["hapt"])[0] == "withdrawn: not measured again"


def test_a_conclusion_of_which_a_part_is_not_measured_is_withdrawn() -> None:
    paired = paired_table(judged(MoCo=0.5, IMG2IMU=0.7))
    assert paired is not None
    answer, rests = verdict([("IMG2IMU", "MoCo"), ("MoCo", "random")], [("img2imu-table2", paired)])
    assert answer == "withdrawn: without MoCo less random"
    assert len(rests) == 1


def test_a_conclusion_on_encoders_leaves_out_rows_that_join_the_six_numbers() -> None:
    six = "signed_means_and_log_deviations"
    paired = paired_table(judged(**{"MoCo": 0.5, "MoCo,_last+moments": 0.9, six: 0.7}))
    assert paired is not None
    answer, rests = verdict([(six.replace("_", " "), "*")], [("img2imu-table2", paired)])
    assert (answer, [each.second for each in rests]) == ("kept", ["MoCo"])


def test_that_nothing_is_above_is_kept_until_something_is() -> None:
    for mean, result in ((0.805, "kept"), (0.95, "withdrawn: the contrary")):
        paired = paired_table(judged(MoCo=0.5, IMG2IMU=mean, statistics_of_the_window=0.8))
        assert paired is not None
        answer, differences = verdict([("*", STATISTICS)], [("img2imu-table2", paired)], not_above=True)
        assert answer == result
        assert [each.first for each in differences] == ["MoCo", "IMG2IMU"]


def test_a_command_repeats_an_experiment(tmp_path: Path) -> None:
    experiment = experiments.describe("img2imu-grid")
    assignments = ["nfft=64", 'changes=training.epochs=1; views.operations=["hue", "jitter"]', "recipes=cpc,moco"]
    data, runs = ["wisdm@folder=my data,window_s=3"], []
    setup = experiment.setup(tmp_path, data=data, runs=runs, assignments=assignments, seeds=(0, 1, 2), tiny=True)
    words = shlex.split(experiment.command(setup))
    assert words[:4] == ["imuspec", "experiment", "img2imu-grid", "--tiny"]
    given = [words[index + 1] for index, word in enumerate(words) if word == "--set"]
    assert experiment.options(given, tiny=True) == setup.options
    assert words[words.index("--data") + 1] == data[0]
    assert words[words.index("--seeds") + 1] == "3"
    assert words[words.index("--out") + 1] == str(tmp_path)


def test_windows_are_known_by_their_samples_classes_and_subjects() -> None:
    windows = made_up_windows(n_subjects=3, n_windows=2)
    facts = window_facts(windows)
    assert (facts["windows"], facts["subjects"]) == (len(windows), 3)
    changed = made_up_windows(n_subjects=3, n_windows=2)
    changed.x[0, 0, 0] += 1
    assert window_facts(changed)["sha256"] != facts["sha256"]
    assert window_facts(made_up_windows(n_subjects=3, n_windows=2)) == facts


def test_an_encoder_is_known_by_its_recipe_data_log_and_weights(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "recipe.json").write_text(json.dumps({"name": "moco", "training": {"seed": 3, "batch": 8}}), "utf-8")
    source = {"data": ["photos"], "digest": "ab", "counts": {"pictures": 16}}
    (tmp_path / "source.json").write_text(json.dumps(source), "utf-8")
    lines = [{"step": 10, "per_s": 40.0}, {"step": 30, "per_s": 20.0}, {"step": 30, "validation_lmm": 1.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (tmp_path / "encoder.json").write_text("{}", "utf-8")
    facts = encoder_facts(str(tmp_path))
    assert (facts["recipe"], facts["seed"], facts["data_sha256"], facts["steps"]) == ("moco", 3, "ab", 30)
    assert facts["seconds"] == 10 * 8 / 40 + 20 * 8 / 20
    assert len(facts["sha256"]) == 64
    numbers = json.dumps({"training": {"batch": 8, "seed": 3}}, sort_keys=True)
    assert facts["recipe_sha256"] == hashlib.sha256(numbers.encode()).hexdigest()
    assert encoder_facts("random") == {"name": "random", "sha256": ""}


def test_machine_and_versions_are_stated() -> None:
    assert " cores, " in machine()
    assert {"python", "imuspec", "numpy"} <= set(versions())


def test_fewer_labels_than_asked_for_are_said() -> None:
    from imuspec.experiments.evidence import evidence_notes

    scores = judged(MoCo=0.5).assign(shots=10, n_train=60)
    assert not any("fewer labelled" in note for note in evidence_notes(scores, None))
    scores.loc[scores["seed"].isin([1, 3]), "n_train"] = [53, 58]
    notes = evidence_notes(scores, None)
    assert "wisdm: fewer labelled windows of a class than asked for in 2 of 5 splits, 53 in all at least" in notes


def test_labels_that_are_fewer_in_every_split_are_said() -> None:
    from imuspec.experiments.evidence import evidence_notes

    scores = judged(MoCo=0.5).assign(shots=10, n_train=50, n_fewest=5)  # two of six classes have 5 in each split
    expected = "wisdm: fewer labelled windows of a class than asked for in 5 of 5 splits, 5 in place of 10 at least"
    assert expected in evidence_notes(scores, None)
    assert not any("fewer labelled" in note for note in evidence_notes(scores.assign(n_fewest=10), None))


def test_differences_are_of_the_score_that_the_table_shows() -> None:
    from imuspec.experiments.evidence import evidence_notes, paired_table

    scores = judged(LMM=0.9, MSE=0.5)
    random = np.random.default_rng(0)
    scores["macro_f1"] = random.uniform(0, 1, len(scores))
    scores["balanced_accuracy"] = (scores["row"] == "LMM") * 0.4 + random.uniform(0, 0.01, len(scores))
    note = evidence_notes(scores, paired_table(scores), "balanced_accuracy")[-1]
    assert "Of balanced accuracy, below .05 after Holm's correction within a column: wisdm: LMM - MSE +0.4" in note
    assert "correction within a column: none" in evidence_notes(scores, paired_table(scores))[-1]


def test_a_split_by_recordings_is_named() -> None:
    from imuspec.experiments.evidence import evidence_notes, paired_table

    scores = judged(MoCo=0.5, **{"statistics of the window": 0.6})
    for unit, named in (("recording", True), ("subject", False)):
        made = scores.assign(split_by=unit)
        sentence = conclusions("img2imu-table2", made, paired_table(made), {}, {})[-1]
        assert ("distinct splits by recording (people both train and test), " in sentence) == named
        assert ("distinct splits by subject, " in sentence) != named
        assert any("splits by recording (people both" in note for note in evidence_notes(made, None)) == named


def printed(columns: list[str]) -> list[list[str]]:
    from imuspec.cli.experiments import _comparison

    cells = [{"row": row, "column": column} for row in ("MoCo", "theirs") for column in columns]
    frame = pd.DataFrame(cells).assign(
        value=0.7, sd=0.01, low=0.6, high=0.8, paper=0.689, paper_sd=0.023, difference=0.011
    )
    frame.loc[frame["row"] == "theirs", ["value", "sd", "low", "high", "difference"]] = np.nan
    table = _comparison(frame, "about", tiny=False)
    return [[str(cell) for cell in line] for line in zip(*(column.cells for column in table.columns), strict=True)]


def test_a_table_is_printed_as_the_paper_prints_it_with_interval_and_difference() -> None:
    assert printed(["wisdm", "goat"]) == [
        ["MoCo", "imuspec", *["0.700 ± 0.010"] * 2],
        ["", "95 % interval", *["[0.600, 0.800]"] * 2],
        ["", "paper", *["0.689 ± 0.023"] * 2],
        ["", "difference", *["+0.011"] * 2],
        ["theirs", "paper", *["0.689 ± 0.023"] * 2],
    ]
    lines = printed([f"c{number}" for number in range(7)])
    assert lines[:2] == [["MoCo", "c0", "imuspec", "0.700 ± 0.010"], ["", "", "95 % interval", "[0.600, 0.800]"]]
    assert lines[4] == ["", "c1", "imuspec", "0.700 ± 0.010"]
    assert lines[28] == ["theirs", "c0", "paper", "0.689 ± 0.023"]
