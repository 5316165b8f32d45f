"""The commands probe and embed: what they leave on disk, what they refuse, whose people they leave out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
from imuspec import probing  # noqa: E402
from imuspec.datasets import Windows, subject_split  # noqa: E402
from imuspec.experiments.made_up import made_up_windows  # noqa: E402

WINDOWS = made_up_windows("probing", n_subjects=10, n_windows=4, length=128)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Windows:
    def load(name: str, path: str) -> Windows:
        assert (name, path) == ("hapt", "somewhere")
        return WINDOWS

    monkeypatch.setattr("imuspec.datasets.reference.load", load)
    return WINDOWS


def run(*arguments: str) -> None:
    from imuspec.cli import main

    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0


FAST: Sequence[str] = ("--set", "head.epochs=2", "--set", "head.learning_rates=[0.01]")


def test_the_command_probes_and_leaves_tables_figures_and_recipe(
    made_up: Windows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "probe"
    small = ("--set", "pictures.nfft=[32]", "--set", "pictures.hop=[16]", "--set", "pictures.size=[24, 32]")
    run(
        "probe",
        "random",
        "--data",
        "hapt=somewhere",
        "--out",
        str(out),
        "--shots",
        "2",
        "--shots",
        "4",
        "--seeds",
        "2",
        *FAST,
        *small,
    )
    message = capsys.readouterr().out
    assert "hapt: random" in message
    assert "±" in message
    table = pd.read_csv(out / "seeds.csv")
    assert table[["shots", "seed"]].to_numpy().tolist() == [[2, 0], [2, 1], [4, 0], [4, 1]]
    assert {"macro_f1_low", "kappa", "learning_rate", "nfft"} <= set(table.columns)
    assert (out / "confusion-last-2-clean.png").stat().st_size > 3000
    assert "labelled windows per class" in (out / "shots.svg").read_text("utf-8")
    assert json.loads((out / "recipe.json").read_text("utf-8"))["head"]["epochs"] == 2
    facts = json.loads((out / "probe.json").read_text("utf-8"))
    assert (facts["run"], facts["data"]) == ("random", "hapt=somewhere")
    split = subject_split(made_up, 1)
    assert facts["splits"]["1"] == {name: list(members) for name, members in split.members.items()}
    run("probe", "statistics", "--data", "hapt=somewhere", "--out", str(out), "--test-subjects", "0,1", "--seeds", "2")
    table = pd.read_csv(out / "seeds.csv")
    assert (table["n_test"] == ((made_up.subject < 2).sum())).all()
    assert table["macro_f1"].mean() > 0.8


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_the_command_embeds_every_window(made_up: Windows, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"embedding.{suffix}"
    run("embed", "statistics", "--data", "hapt=somewhere", "--out", str(out))
    want = probing.StatisticsSource(made_up.rate).features(made_up.x, {})["statistics"]
    if suffix == "npz":
        with np.load(out) as stored:
            np.testing.assert_array_equal(stored["features"], want)
            np.testing.assert_array_equal(stored["label"], made_up.label)
    else:
        frame = pd.read_parquet(out)
        assert frame["class"].tolist() == [made_up.class_names[i] for i in made_up.label]
        np.testing.assert_array_equal(frame["feature_3"], want[:, 3])


@pytest.mark.parametrize(
    ("encoder", "arguments", "message"),
    [
        (
            "statistics",
            ("--norm", "fixed"),
            "norm: expected options that statistics uses (--data, --out, --seeds, --shots",
        ),
        ("statistics", ("--layer", "layer1"), "got --layer"),
        ("supervised", ("--shots", "3"), "shots: expected options that supervised uses"),
        ("random", ("--seeds", "0"), "seeds: expected at least 1, got 0"),
        ("random", ("--head", "mlp"), "head: expected linear or logistic for random, got mlp, a head for patches"),
        ("statistics", ("--head", "lstm"), "head: expected linear or logistic for statistics, got lstm"),
        (
            "patches",
            ("--head", "mlp", "--set", "nonsense=1"),
            "set: expected options that patches, an encoder of patches",
        ),
        (
            "statistics",
            ("--set", "pictures.nfft=[64]"),
            "set: expected settings that statistics uses (split), got pictures",
        ),
        ("statistics", ("--set", "head.epochs=2"), "(split), got head.epochs"),
        ("supervised", ("--set", "pictures.nfft=[64]"), "pictures.size), got pictures.nfft"),
        ("supervised", ("--set", "split.shots=[3]"), "got split.shots"),
        ("random", ("--head", "logistic", "--set", "head.epochs=2"), "(split, pictures), got head.epochs"),
        (
            "pictures",
            ("--head", "mlp"),
            "head: expected linear or logistic for pictures, an encoder of pictures, got mlp",
        ),
        ("random:pictures", ("--head", "lstm"), "an encoder of pictures, got lstm"),
        ("patches", ("--test-subjects", "1"), "got --test-subjects"),
        ("random:patches", ("--head", "lstm", "--norm", "fixed"), "got --norm"),
        ("patches", ("--head", "lstm", "--shots", "3"), "(--data, --out, --seeds, --head, --device), got --shots"),
    ],
)
def test_an_option_that_the_run_does_not_use_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    encoder: str,
    arguments: Sequence[str],
    message: str,
) -> None:
    from imuspec import encoders
    from imuspec.cli import main
    from imuspec.run.run import Run

    monkeypatch.chdir(tmp_path)
    Run("pictures").save_encoder(encoders.build("resnet18"))
    Run("patches").save_encoder(encoders.build("roformer", width=32, depth=1, n_heads=2))
    with pytest.raises(SystemExit) as ended:
        main(["probe", encoder, "--data", "hapt=somewhere", *arguments])
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("encoder", "arguments", "message"),
    [
        ("statistics", ("--nfft", "64"), "nfft: expected options that statistics uses (none), got --nfft"),
        ("statistics", ("--layer", "layer1"), "got --layer"),
        ("statistics", ("--set", "pictures.norm=fixed"), "set: expected settings that statistics uses (none)"),
        ("signals", ("--hop", "4"), "hop: expected options that signals uses (layer, device), got --hop"),
        ("signals", ("--norm", "fixed"), "got --norm"),
        ("random", ("--set", "head.epochs=2"), "set: expected settings that random uses (pictures.norm, "),
        ("random", ("--set", "pictures.nfft=64"), "pictures.size), got pictures.nfft"),
        (
            "random",
            ("--norm", "fixed", "--set", "pictures.norm=fixed"),
            "set: expected each value once, got pictures.norm",
        ),
        ("random", ("--set", "pictures.range_db=[-60, 40]"), "set: expected pictures.norm to be fixed or dataset for"),
    ],
)
def test_an_option_that_no_embedding_uses_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    encoder: str,
    arguments: Sequence[str],
    message: str,
) -> None:
    from imuspec import encoders
    from imuspec.cli import main
    from imuspec.run.run import Run

    monkeypatch.chdir(tmp_path)
    Run("signals").save_encoder(encoders.build("cnn1d"))
    with pytest.raises(SystemExit) as ended:
        main(["embed", encoder, "--data", "hapt=somewhere", "--out", "x.npz", *arguments])
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_pictures_are_no_option_of_an_encoder_of_signals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from imuspec import encoders
    from imuspec.cli import main
    from imuspec.run.run import Run

    Run(tmp_path / "run").save_encoder(encoders.build("cnn1d"))
    with pytest.raises(SystemExit):
        main(["probe", str(tmp_path / "run"), "--data", "hapt=somewhere", "--norm", "fixed"])
    assert "norm: expected options that" in " ".join(capsys.readouterr().err.split())


def source(folder: Path, **facts: object) -> str:
    folder.mkdir()
    (folder / "source.json").write_text(json.dumps(facts), "utf-8")
    return str(folder)


def test_people_are_left_out_by_who_they_are_not_by_the_name_of_their_set(tmp_path: Path) -> None:
    from dataclasses import replace

    from imuspec.cli.runs import unseen

    recovered = replace(WINDOWS, name="recovered", people=("wisdm",))
    left, note = unseen(recovered, source(tmp_path / "a", set="wisdm", people=["wisdm"], subjects=[0, 1, 2]))
    assert not set(left.subjects) & {0, 1, 2}
    assert note == "recovered: judged on 7 subjects; pre-training saw the other 3"
    study = replace(WINDOWS, name="folder", people=("folder /b", "folder 2"))
    other = source(tmp_path / "b", set="folder", people=["folder /a", "folder 1"], subjects=[0, 1, 2])
    left, note = unseen(study, other)
    assert len(left) == len(study)
    assert "pre-trained on another folder; subjects with the same names there are taken as other people" in note
    moved = source(tmp_path / "c", set="folder", people=["folder /old", "folder 2"], subjects=[0, 1])
    assert len(unseen(study, moved)[0].subjects) == 8
    left, note = unseen(study, source(tmp_path / "d", set="hapt", people=["hapt"], subjects=[0]))
    assert (len(left), note) == (len(study), "")


def test_the_people_of_both_runs_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from dataclasses import replace

    from imuspec import encoders
    from imuspec.run.run import Run

    people = replace(WINDOWS, name="hapt", people=("hapt",))
    monkeypatch.setattr("imuspec.datasets.reference.load", lambda *_: people)
    own = source(tmp_path / "own", set="hapt", people=["hapt"], subjects=people.subjects[:2].tolist())
    other = source(tmp_path / "other", set="hapt", people=["hapt"], subjects=people.subjects[2:4].tolist())
    Run(own).save_encoder(encoders.build("cnn1d"))
    few = ("--seeds", "1", "--shots", "2", *FAST)
    run("probe", own, "--data", "hapt=somewhere", "--unseen-by", other, "--out", str(tmp_path / "out"), *few)
    facts = json.loads((tmp_path / "out" / "probe.json").read_text("utf-8"))
    members = {who for part in facts["splits"]["0"].values() for who in part}
    assert members == {*people.subjects[4:].tolist()}
    assert facts["people"].count("pre-training saw the other 2") == 2


def test_public_weights_say_whose_signals_they_were_trained_on(tmp_path: Path) -> None:
    from dataclasses import replace

    from imuspec.cli.runs import unseen
    from imuspec.datasets import people_of
    from imuspec.run.pretrained import MODELS

    (tmp_path / "run").mkdir()
    people = MODELS["limu-bert-uci"].people
    (tmp_path / "run" / "model.json").write_text(json.dumps({"name": "limu-bert-uci", "people": people}), "utf-8")
    left, note = unseen(replace(WINDOWS, name="mine", people=people_of("hapt", "x")), str(tmp_path / "run"))
    assert len(left) == len(WINDOWS)
    assert "pre-trained on the people of mine: scores are not of unseen people" in note


def test_the_table_of_a_probe_has_an_interval_and_says_where_labels_were_fewer() -> None:
    from imuspec.cli.probing import _table
    from imuspec.evaluation import mean_interval
    from imuspec.probing.results import ProbeResult

    scores = {"macro_f1": [0.5, 0.6, 0.7], "balanced_accuracy": 0.6, "kappa": 0.5, "accuracy": 0.6}
    facts = {"layer": "last", "shots": 10, "seed": [0, 1, 2], "test": "clean", "n_train": [20, 17, 20]}
    frame = pd.DataFrame({**facts, **scores, "test_over_train": 1 / 3})
    table = _table(ProbeResult(frame, {}, {}, ("rest", "walk")), "title")
    low, high = mean_interval(frame)
    cells = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert cells["macro f1"] == ["0.600 ± 0.100"]
    assert cells["95 % interval"] == [f"[{low:.3f}, {high:.3f}]"]
    assert cells["labels per class"] == ["10, in all 17 of 20"]
    single = _table(ProbeResult(frame[:1], {}, {}, ("rest", "walk")), "title")
    cells = {str(column.header): [str(cell) for cell in column.cells] for column in single.columns}
    assert (cells["macro f1"], cells["95 % interval"], cells["labels per class"]) == (["0.500"], ["-"], ["10"])
