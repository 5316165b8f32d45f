"""Options that would have no effect, values that contradict each other, and names that occur twice are errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from imuspec import Recipe
from imuspec.cli import main
from imuspec.cluster import open_engine
from imuspec.datasets import DatasetReference
from imuspec.recipe import FitRecipe, PretrainRecipe, ProbeRecipe
from imuspec.recipe.settings import NamedRecipe


@pytest.mark.parametrize("recipe", [Recipe(), ProbeRecipe(), FitRecipe(), PretrainRecipe()])
def test_a_setting_that_is_set_twice_is_refused(recipe: NamedRecipe) -> None:
    key, value = {
        Recipe: ("lowpass.order", 4),
        ProbeRecipe: ("head.epochs", 3),
        FitRecipe: ("head.epochs", 3),
        PretrainRecipe: ("training.epochs", 3),
    }[type(recipe)]
    assert recipe.set(f"{key}={value}") != recipe
    with pytest.raises(ValueError, match=rf"set: expected each value once, got {key} twice"):
        recipe.set(f"{key}={value}", f"{key} = {value + 1}")


@pytest.mark.parametrize(
    ("recipe", "assignment"),
    [
        (ProbeRecipe(), "split.seeds=0,1,0"),
        (ProbeRecipe(), "split.shots=10,10"),
        (ProbeRecipe(), "pictures.nfft=64,64"),
        (ProbeRecipe(), "head.learning_rates=0.1,0.1"),
        (PretrainRecipe(), "views.operations=hue,hue"),
        (PretrainRecipe.load("moco-all"), "views.operations=shear,invert,shear"),
        (PretrainRecipe.load("multi-task"), "views.operations=noise,noise"),
        (PretrainRecipe.load("mae-lmm"), "objective.nfft=32,32"),
    ],
)
def test_a_value_that_occurs_twice_in_a_list_is_refused(recipe: NamedRecipe, assignment: str) -> None:
    with pytest.raises(ValueError, match="expected each value once, got"):
        recipe.set(assignment)


@pytest.mark.parametrize(
    ("name", "assignments", "message"),
    [
        (
            "img2imu",
            ["views.cascade_probability=0.3"],
            "expected views.cascade to be true for views.cascade_probability",
        ),
        ("img2imu", ["views.hue_max=0.2"], "views.hue to be hsv for views.hue_max to have an effect, got perm"),
        ("img2imu", ["views.operations=jitter", "views.hue=hsv"], "views.operations to have hue for views.hue"),
        ("img2imu", ["views.operations=jitter", "views.hue=hsv", "views.hue_max=0.2"], "to have hue for views.hue"),
        ("img2imu", ["training.beta1=0.8", "training.optimiser=sgd"], "training.optimiser to be adam or adamw"),
        ("img2imu", ["training.momentum=0.8"], "training.optimiser to be sgd for training.momentum"),
        ("img2imu", ["training.warmup_epochs=0", "training.start_lr=1e-9"], "training.warmup_epochs above 0"),
        ("img2imu", ["training.fall=constant", "training.end_lr=1e-9"], "training.fall to be cosine or restarts"),
        ("img2imu", ["source.memory=cpu", "source.memory_gb=9"], "source.memory to be auto for source.memory_gb"),
        ("moco", ["views.version=1", "views.blur_probability=0.1"], "views.version to be 2"),
        ("moco-all", ["views.operations=shear", "views.enhance_max=0.1"], "views.operations to have sharpness or"),
        ("moco", ["encoder.weights=imagenet", "encoder.zero_init_residual=true"], "encoder.weights to be random"),
        ("mae-lmm", ["objective.eps_per_root_n=0.1", "objective.floor=0.2"], "objective.eps_per_root_n to be none"),
    ],
)
def test_a_setting_that_has_no_effect_beside_the_others_is_refused(
    name: str, assignments: Sequence[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainRecipe.load(name).set(*assignments)


def test_settings_of_what_is_switched_off_are_refused() -> None:
    assert Recipe().set("lowpass.enabled=false").lowpass.cutoff_hz == 15
    with pytest.raises(
        ValueError, match=r"expected lowpass.enabled to be true for lowpass.cutoff_hz to have an effect"
    ):
        Recipe().set("lowpass.enabled=false", "lowpass.cutoff_hz=5")
    with pytest.raises(ValueError, match=r"expected calibration.enabled to be true for calibration.min_windows"):
        Recipe().set("calibration.enabled=false").set("calibration.min_windows=5")
    with pytest.raises(ValueError, match=r"expected pictures.norm to be fixed or dataset for pictures.range_db"):
        ProbeRecipe().set("pictures.range_db=[-60, 40]")


@pytest.mark.parametrize("name", PretrainRecipe.names())
def test_no_recipe_of_the_package_and_no_tiny_form_sets_what_has_no_effect(name: str) -> None:
    recipe = PretrainRecipe.load(name).tiny()
    if recipe.views.name == "img2imu":
        assert PretrainRecipe.load(name).set("views.operations=hue").tiny().source.name == "images"


def _probed(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 1.0}) + "\n", "utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models", "harnet10", "--import", "F", "--as", "harnet10", "--out", "R"], "neither a name nor --json"),
        (["models", "--json", "--import", "F", "--as", "harnet10", "--out", "R"], "got --json"),
        (["info", ".", "--identifying"], "path: expected a device file with --identifying, got the folder"),
        (["info", ".", "--timestamps", "actipy"], "path: expected a device file with --timestamps"),
        (["info", ".", "--unit", "mg"], "path: expected a device file with options of what a table does not state"),
        (["prepare", ".", "--out", "c", "--check-inputs"], "check-inputs: expected --resume beside --check-inputs"),
        (["prepare", ".", "--out", "c", "--replaced", "prepare"], "replaced: expected --resume beside --replaced"),
        (["prepare", ".", "--out", "c", "--retry-failed"], "retry-failed: expected --resume beside --retry-failed"),
        (["prepare", ".", "--out", "c", "--protection", "none"], "protection: expected the engine dask for none"),
        (
            ["report", ".", "--out", "x.html", "--set", "segments.min_wear_h=1"],
            "recipe: expected a recording to prepare",
        ),
        (["report", ".", "--out", "x.html", "--recipe", "actipy"], "got the training"),
        (["report", ".", "--out", "x.html", "--recordings", "all"], "recordings: expected a cohort, got the training"),
    ],
)
def test_an_option_of_a_command_that_would_be_ignored_is_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    Path("F").touch()
    Path("week.csv").touch()
    if arguments[0] == "report":
        _probed(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_options_of_a_cluster_that_is_there_already_are_refused() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(ValueError, match="workers: expected none beside a scheduler or a cluster"):
        open_engine("dask", workers=2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(ValueError, match="protection: expected a cluster that is started here"):
        open_engine("dask", scheduler="tcp://127.0.0.1:1", protection="none")


def test_settings_that_a_cohort_does_not_take_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from imuspec.cli.embedding import _window_s
    from imuspec.pretraining.window_source import window_source

    assert _window_s(DatasetReference.parse("cohort=c,window_s=5")) == 5.0
    for text in ("cohort=c,window_s=5,overlap=0.5", "cohort=c,overlap=0.5"):
        with pytest.raises(ValueError, match=r"data: expected cohort=PATH\[,window_s=SECONDS\], got overlap=0.5"):
            _window_s(DatasetReference.parse(text))
    with pytest.raises(
        ValueError, match="data: expected cohort=PATH without settings, as the recipe's source has them"
    ):
        window_source(PretrainRecipe.load("simclr-har"), f"cohort={tmp_path},window_s=5")


def test_pictures_that_are_given_twice_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from imuspec.pretraining.pictures import find_pictures

    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"data: expected each value once, got .* twice"):
        find_pictures([tmp_path, tmp_path / "." / "x" / ".."])


def _repeated_probe(windows: object) -> None:
    from imuspec.probing import StatisticsSource, probe

    probe(StatisticsSource(50.0), windows, seeds=[0, 0], shots=[3])  # type: ignore[arg-type]  # windows of a test


def _repeated_shots(windows: object) -> None:
    from imuspec.probing import StatisticsSource, probe

    probe(StatisticsSource(50.0), windows, seeds=[0], shots=[3, 3])  # type: ignore[arg-type]  # windows of a test


def _repeated_layers(windows: object) -> None:
    from imuspec.probing import EncoderSource, probe
    from imuspec.run.named import load_encoder

    source = EncoderSource(load_encoder("random"), layers=["last", "last"])
    probe(source, windows, seeds=[0], shots=[3])  # type: ignore[arg-type]  # windows of a test


def _repeated_supervised(windows: object) -> None:
    from imuspec.probing import supervised
    from imuspec.run.named import load_encoder

    supervised(lambda seed, _: load_encoder("random", seed=seed), windows, seeds=[1, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize("attempt", [_repeated_probe, _repeated_shots, _repeated_layers, _repeated_supervised])
def test_copies_of_a_seed_a_number_of_shots_or_a_layer_are_refused(attempt: Callable[[object], None]) -> None:
    pytest.importorskip("torch")
    from imuspec.experiments.made_up import made_up_windows

    with pytest.raises(ValueError, match="expected each value once, got"):
        attempt(made_up_windows())


def test_options_of_an_experiment_that_occur_twice_are_refused() -> None:
    pytest.importorskip("torch")
    from imuspec.experiments.setup import HeadsOptions, Setup

    with pytest.raises(ValueError, match="set: expected each value once, got shots twice"):
        HeadsOptions.parse(["shots=3", "shots=4"])
    with pytest.raises(ValueError, match="set: heads: expected each value once, got 'linear,linear'"):
        HeadsOptions.parse(["heads=linear,linear"])
    with pytest.raises(ValueError, match="expected each value once, got 0 twice"):
        Setup(out=Path("x"), options=HeadsOptions(), seeds=(0, 0))


def test_a_run_for_a_set_that_is_not_given_is_refused() -> None:
    pytest.importorskip("torch")
    from imuspec import experiments

    table = experiments.describe("img2imu-table2")
    with pytest.raises(
        ValueError, match="runs: expected a set that the rows are judged on, wisdm, got 'IMG2IMU@pvs=a'"
    ):
        table.setup(Path("x"), data=["wisdm=w"], runs=["IMG2IMU@pvs=a"])
    assert table.setup(Path("x"), data=["wisdm=w"], runs=["IMG2IMU@wisdm=a"]).runs == {"IMG2IMU@wisdm": ("a",)}
    assert table.setup(Path("x"), data=["wisdm=w"], runs=["IMG2IMU@pvs=a"], tiny=True).runs


def test_a_change_of_recipes_that_an_experiment_replaces_is_refused() -> None:
    pytest.importorskip("torch")
    from imuspec.experiments import describe
    from imuspec.experiments.masked_study import Study

    study = describe("lmm-table1")
    some = Study(study.setup(Path("x"), tiny=True, assignments=["changes=training.epochs=3;training.log_steps=2"]))
    assert some.recipe(["objective.nfft=64"], 1).training.epochs == 3
    for change, sets in (
        ("training.seed=4", []),
        ("training.device=cpu", []),
        ("objective.nfft=16", ["objective.nfft=64"]),
    ):
        with pytest.raises(
            ValueError, match="set: changes: expected fields that the experiment does not set itself, got"
        ):
            Study(study.setup(Path("x"), tiny=True, assignments=[f"changes={change}"])).recipe(sets)


def test_the_official_test_subjects_are_those_of_their_people_alone() -> None:
    pytest.importorskip("torch")
    from dataclasses import replace

    from imuspec.cli.probing import _split
    from imuspec.experiments.made_up import made_up_windows

    windows = made_up_windows(n_subjects=30, n_windows=1)
    with pytest.raises(ValueError, match="test-subjects: expected the people of HAPT and UCI HAR for official"):
        _split(windows, "official")
    numbered = replace(windows, people=("hapt",))
    assert len(set(numbered.subject)) == 30
    for text, problem in (("1,1", "each value once, got 1 twice"), ("1,", "got none"), ("Nobody", "got Nobody")):
        with pytest.raises(ValueError, match=problem):
            _split(windows, text)
