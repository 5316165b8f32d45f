"""The frame of the experiments: found by file, given numbers, compared with the paper, kept."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("matplotlib")
from imuspec import experiments  # noqa: E402
from imuspec.experiments import experiment as experiment_module  # noqa: E402
from imuspec.experiments.setup import Names, Numbers, Options, PictureOptions, RowOptions  # noqa: E402


class MadeUp(experiments.Experiment):
    """An experiment whose file is made here."""

    @property
    def module(self) -> ModuleType:
        return MODULES[self.name]


MODULES: dict[str, ModuleType] = {}


def made_up_experiment(data: tuple[str, ...] = (), **names: Any) -> experiments.Experiment:
    module = ModuleType("made_up_experiment", "What it shows.")
    for name, value in names.items():
        setattr(module, name, value)
    MODULES["img2imu-table2"] = module
    return MadeUp("img2imu-table2", "What it shows.", data)


def test_every_experiment_says_what_it_shows_and_what_it_takes() -> None:
    for name in experiments.names():
        result = experiments.describe(name)
        assert len(result.about) > 20, name
        assert callable(result.module.run), name
        assert issubclass(result.module.OPTIONS, Options), name
        assert set(result.module.OPTIONS.TINY) <= set(result.module.OPTIONS.model_fields), name
        assert result.options(tiny=True) != result.options(), name
        assert result.data == result.module.DATA, name


def test_an_encoder_that_was_pre_trained_on_people_that_it_is_judged_on_is_named(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    seen = {"set": "wisdm_windows", "people": ["wisdm"], "subjects": [1, 2, 7], "data": [], "digest": "", "counts": {}}
    for name in ("seen", "seed1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.json").write_text(json.dumps(seen), "utf-8")
        (tmp_path / name / "encoder.json").write_text("{}", "utf-8")
    judged = judged_rows(MoCo=[[0.2, 0.4]]).assign(test_subjects=["2; 3", "1; 4"])

    def run(setup: Any) -> experiments.Result:
        setup.pretrained["CPC (HAR)"] = str(tmp_path / "seed1")
        setup.pretrained["CPC@hapt, seed 0"] = str(tmp_path / "seed1")  # judged on the other set alone
        setup.pretrained["CPC@wisdm_windows, seed 0"] = str(tmp_path / "seed1")
        table = pd.DataFrame({"row": ["MoCo"], "column": ["wisdm"], "value": [0.3]})
        return experiments.Result(table, tables={"seeds": judged})

    runs = {"MoCo": "m", "CPC (HAR)": "c"}
    experiment = made_up_experiment(("wisdm", "hapt"), DATA=("wisdm", "hapt"), OPTIONS=Options, RUNS=runs, run=run)
    data = ["wisdm@wisdm_windows=raw.txt", "hapt=HAPT"]
    folders = [f"MoCo={tmp_path / 'seen'}", f"MoCo=random:{tmp_path / 'seen'}"]
    setup = experiment.setup(tmp_path / "out", data=data, runs=folders)
    notes = experiments.perform(experiment, setup)[0].notes
    ending = "pre-trained on 2 of the 4 test subjects of wisdm (1, 2): scores are not of unseen people"
    expected = [f"{row}: {ending}" for row in ("MoCo", "CPC (HAR)", "CPC@wisdm_windows, seed 0")]
    assert [note for note in notes if "unseen people" in note] == expected == notes[:3]


def test_an_unknown_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_module, "names", lambda: ["img2imu-table1", "lmm-fig2"])
    with pytest.raises(
        ValueError, match="experiment: expected one of 'img2imu-table1', 'lmm-fig2', got 'img2imu-tabel1'"
    ):
        experiments.describe("img2imu-tabel1")


def test_the_papers_averages_are_the_mean_of_their_rows() -> None:
    table = experiments.targets("img2imu-table2")
    for row, cells in table.groupby("row"):
        values = cells.set_index("column")["paper"]
        assert values.drop("average").mean() == pytest.approx(values["average"], abs=0.0011), row


def test_the_papers_drops_follow_from_its_scores() -> None:
    cells = experiments.targets("img2imu-table1").set_index(["row", "column"])["paper"]
    printed = {(row, column): value for (row, column), value in cells.items() if column.endswith(", %")}
    assert len(printed) == 20
    for (row, column), value in printed.items():
        score = cells[row, column.removesuffix(", %")]
        assert (score / cells[row, "original"] - 1) * 100 == pytest.approx(value, abs=0.2), (row, column)


def test_every_target_row_has_a_number_for_each_column() -> None:
    text = (resources.files("imuspec") / "experiments" / "targets.toml").read_text("utf-8")
    for name, section in tomllib.loads(text).items():
        for kind in ("mean", "sd"):
            for row, values in section.get(kind, {}).items():
                assert len(values) == len(section["columns"]), (name, kind, row)
                assert kind == "mean" or row in section["mean"]
        assert len(experiments.targets(name)) == len(section["columns"]) * len(section["mean"])


def test_ours_stand_beside_the_papers_and_what_we_lack_is_shown() -> None:
    ours = pd.DataFrame({"row": ["ours", "MoCo"], "column": ["wisdm", "wisdm"], "value": [0.9, 0.7], "sd": [0.1, 0.01]})
    table = experiments.compare(ours, "img2imu-table2")
    assert table["row"].tolist()[:2] == ["ours", "MoCo"]
    assert np.isnan(table.loc[0, "paper"])
    assert table.loc[1, ["paper", "paper_sd"]].tolist() == [0.689, 0.023]
    assert table.loc[1, "difference"] == pytest.approx(0.011)
    assert len(table) == 13 * 5 + 1
    assert table.loc[2:, "value"].isna().all()
    assert experiments.compare(ours, "no such section")["paper"].isna().all()


class Shown(RowOptions):
    """Options of an experiment of these tests."""

    ROWS: ClassVar = ("MoCo", "ViT-S, MAE")
    TINY: ClassVar = {"shots": 2}

    shots: int = 10
    norm: str = "fixed"
    nfft: Numbers = (32, 64)
    full: bool = False
    others: Names = ()


def test_options_have_types_and_a_tiny_trial_changes_some() -> None:
    assert Shown.parse(tiny=True).model_dump() == {
        "rows": (),
        "shots": 2,
        "norm": "fixed",
        "nfft": (32, 64),
        "full": False,
        "others": (),
    }
    result = Shown.parse(["shots=5", "full=true", "nfft=16, 128", "rows=ViT-S, MAE; MoCo"], tiny=True)
    assert (result.shots, result.full, result.nfft) == (5, True, (16, 128))
    assert result.chosen == ("ViT-S, MAE", "MoCo")
    assert Shown.parse().chosen == Shown.ROWS


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("shot=5", "set: expected NAME=VALUE with NAME one of rows, shots, norm, nfft, full, others, got 'shot=5'"),
        ("shots", "set: expected NAME=VALUE with NAME one of rows, shots"),
        ("shots=few", "set: shots: expected a valid integer, unable to parse string as an integer, got 'few'"),
        ("full=perhaps", "set: full: expected a valid boolean"),
        ("nfft=32,0", "set: nfft: expected greater than 0, got '32,0'"),
        ("nfft=", "set: nfft: expected one value or more, got ''"),
        ("rows=MAE", "set: rows: expected some of MoCo; ViT-S, MAE, without MAE, got 'MAE'"),
    ],
)
def test_an_unknown_option_or_a_wrong_value_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message is compared)
        Shown.parse([assignment])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"data": ["hapt=x"]}, "data: expected a set of img2imu-nfft: wisdm, got 'hapt'"),
        ({"data": ["wisdm=x", "wisdm@hapt=y"]}, "data: expected wisdm once, got it twice"),
        ({"runs": ["MoCo=x"]}, "runs: expected ROW=FOLDER with ROW one of IMG2IMU, got 'MoCo=x'"),
        ({"runs": ["IMG2IMU"]}, "runs: expected ROW=FOLDER with ROW one of IMG2IMU, got 'IMG2IMU'"),
        ({"runs": ["IMG2IMU@goat=x"]}, "runs: expected a set that the rows are judged on, wisdm, got"),
        ({"assignments": ["nnft=4"]}, "set: expected NAME=VALUE with NAME one of"),
    ],
)
def test_an_unknown_set_run_or_option_of_an_experiment_is_refused(names: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  (the whole message is compared)
        experiments.describe("img2imu-nfft").setup(Path("x"), **names)
    assert message in str(error.value)


def test_a_set_in_anothers_place_and_a_run_for_one_set_are_taken() -> None:
    setup = experiments.describe("img2imu-nfft").setup(
        Path("x"), data=["wisdm@folder=mine,window_s=3"], runs=["IMG2IMU@wisdm=a", "IMG2IMU=b"]
    )
    assert (setup.data["wisdm"].loader, setup.data["wisdm"].path) == ("folder", "mine")
    assert setup.runs == {"IMG2IMU@wisdm": ("a",), "IMG2IMU": ("b",)}
    assert list(experiments.describe("img2imu-table2").setup(Path("x"), data=["hapt=x"]).data) == ["hapt"]


def test_the_list_of_experiments_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom imuspec.cli import main\ntry:\n    main(['experiment'])\nexcept SystemExit as end:\n"
        "    assert not end.code\n"
        "print('LOADED', *sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'pandas', 'matplotlib', 'sklearn'}),"
        " *[name for name in sys.modules if name.startswith('imuspec.experiments.') and 'lmm' in name])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lmm-table6" in run.stdout
    assert run.stdout.splitlines()[-1] == "LOADED"


def test_a_result_is_compared_and_stored_with_its_recipe_and_a_tiny_one_says_so_everywhere(tmp_path: Path) -> None:
    from imuspec.report.style import new_figure

    def run(setup: experiments.Setup[Shown]) -> experiments.Result:
        table = pd.DataFrame({"row": ["MoCo"], "column": ["wisdm"], "value": [float(setup.options.shots)]})
        return experiments.Result(table, {"plot": new_figure(2, 2)}, ["cut short"], {"seeds": table})

    matches = made_up_experiment(("wisdm",), run=run, OPTIONS=Shown, RUNS={"IMG2IMU": "the four operations"})
    for tiny in (True, False):
        out = tmp_path / str(tiny)
        result, comparison = experiments.perform(matches, matches.setup(out, tiny=tiny, assignments=["shots=10"]))
        assert result.notes == [experiment_module.TINY_NOTE, "cut short"][not tiny :]
        assert comparison.loc[0, "difference"] == pytest.approx(10 - 0.689)
        assert {path.name for path in out.iterdir()} == {
            *(f"{stem}.{kind}" for stem in ("table", "comparison", "seeds") for kind in ("csv", "json", "txt")),
            *("plot.png", "plot.svg", "experiment.json"),
        }
        recipe = json.loads((out / "experiment.json").read_text("utf-8"))
        assert (recipe["tiny"], recipe["data"]) == (tiny, {"wisdm": "made up" if tiny else None})
        assert recipe["options"]["nfft"] == [32, 64]
        assert recipe["command"].startswith("imuspec experiment img2imu-table2")
        assert (len(recipe["date"]), recipe["encoders"], recipe["windows"]) == (10, {}, {})
        assert recipe["seconds"] >= 0
        assert "cores" in recipe["machine"]
        for path in out.iterdir():
            if path.suffix in (".csv", ".json", ".txt", ".svg") and path.name != "experiment.json":
                assert ("TINY" in path.read_text("utf-8")) == tiny, path
    pictures = [(tmp_path / kind / "plot.png").read_bytes() for kind in ("True", "False")]
    assert pictures[0] != pictures[1]


def test_pictures_have_the_size_on_which_the_runs_were_pre_trained(tmp_path: Path) -> None:
    def run_of(name: str, height: int) -> str:
        (tmp_path / name).mkdir()
        recipe = {"name": name, "source": {"height": height, "width": 64}, "training": {"seed": 0, "batch": 8}}
        (tmp_path / name / "recipe.json").write_text(json.dumps(recipe), "utf-8")
        (tmp_path / name / "encoder.json").write_text("{}", "utf-8")
        return str(tmp_path / name)

    def run(setup: experiments.Setup[PictureOptions]) -> experiments.Result:
        size = setup.options.height * 1000 + setup.options.width
        return experiments.Result(pd.DataFrame({"row": ["MoCo"], "column": ["wisdm"], "value": [size]}))

    def drawn(runs: dict[str, str], *assignments: str) -> int:
        result = made_up_experiment(run=run, OPTIONS=PictureOptions, RUNS=dict.fromkeys(runs, ""))
        texts = [f"{row}={folder}" for row, folder in runs.items()]
        setup = result.setup(tmp_path / "out", runs=texts, assignments=assignments)
        return experiments.perform(result, setup)[0].table.loc[0, "value"]

    one, other = run_of("one", 48), run_of("other", 32)
    assert drawn({"MoCo": one, "LIMU-BERT": "random"}) == 48_064
    assert drawn({}) == 96_128
    assert drawn({"MoCo": one, "IMG2IMU": other}, "height=24", "width=32") == 24_032
    with pytest.raises(ValueError, match="MoCo 48 x 64, IMG2IMU 32 x 64"):
        drawn({"MoCo": one, "IMG2IMU": other})


def test_data_that_are_not_given_are_asked_for(tmp_path: Path) -> None:
    setup = experiments.describe("img2imu-table2").setup(tmp_path, data=["goat=somewhere"])
    with pytest.raises(ValueError, match=r"data: expected --data wisdm=PATH \(wisdm@LOADER=PATH .*\), got goat"):
        setup.windows("wisdm")


def test_a_run_is_given_for_a_row_or_for_a_row_on_one_set(tmp_path: Path) -> None:
    setup = experiments.describe("img2imu-table2").setup(tmp_path, runs=["MoCo=a", "MoCo@goat=b"])
    assert [setup.run_of("MoCo", name) for name in ("goat", "wisdm", "")] == ["b", "a", "a"]
    assert setup.run_of("SimSiam", "goat") == ""
    with pytest.raises(
        ValueError, match="runs: expected a set that the rows are judged on, capture24, got 'MSE@cohort"
    ):
        experiments.describe("lmm-table1").setup(tmp_path, runs=["MSE@cohort=x"])  # no row is judged on a cohort


def test_a_cohort_with_settings_that_nobody_uses_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from imuspec.experiments.masked_study import Study

    setup = experiments.describe("lmm-table1").setup(tmp_path, data=["cohort=here,window_s=5"])
    with pytest.raises(ValueError, match="data: expected a cohort without settings, got cohort=here,window_s=5"):
        Study(setup).cohort()


def judged_rows(**scores: list[list[float]]) -> Any:
    """Scores [draw of the weights][split] of each row, as the experiments store them."""
    return pd.DataFrame(
        {
            **{"row": row, "column": "wisdm", "seed": seed, "weights_seed": draw, "macro_f1": value, "n_test": 80},
            **{"balanced_accuracy": value + 0.1, "test_over_train": 1 / 3, "n_rarest": 10 - seed},
            **{"test_subjects": f"S {seed}; S {seed + 1}"},
        }
        for row, draws in scores.items()
        for draw, splits in enumerate(draws)
        for seed, value in enumerate(splits)
    )


def test_a_table_names_splits_subjects_and_the_rarest_class_and_its_deviation_is_over_splits() -> None:
    pytest.importorskip("torch")
    from imuspec.experiments.judging import score_table

    judged = judged_rows(random=[[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]], MoCo=[[0.5, 0.5, 0.8]])
    random, moco = score_table(judged).to_dict("records")
    assert (random["value"], random["sd"], random["n"], random["n_weights"]) == (
        pytest.approx(0.3),
        pytest.approx(0.1),
        3,
        2,
    )
    assert (moco["n_weights"], moco["n_test_subjects"], moco["n_rarest"]) == (1, 4, 8)
    assert moco["balanced_accuracy"] == pytest.approx(0.7)


def test_an_experiments_notes_say_what_its_table_rests_on(tmp_path: Path) -> None:
    judged = judged_rows(better=[[0.9, 0.91, 0.92]], random=[[0.1, 0.12, 0.12]], other=[[0.1, 0.2, 0.9]])
    judged.loc[judged["row"] == "other", "n_test"] = 70
    matches = made_up_experiment(
        ("wisdm",),
        run=lambda _: experiments.Result(judged.assign(value=judged["macro_f1"]), tables={"seeds": judged}),
        OPTIONS=Shown,
    )
    result, _ = experiments.perform(matches, matches.setup(tmp_path))
    assert "wisdm: 3 distinct splits, 4 test subjects, 8 test windows of the rarest class at least" in result.notes
    assert any("rows have unlike test windows" in note and "other 70" in note for note in result.notes)
    (significant,) = (note for note in result.notes if note.startswith("paired.csv"))
    assert "wisdm: better - random +0.797 [" in significant
    assert "other" not in significant
    paired = pd.read_csv(tmp_path / "paired.csv")
    assert set(paired["score"]) == {"macro_f1", "balanced_accuracy"}
    assert len(paired) == 6


def test_an_experiment_says_who_trained_validated_and_tested(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from imuspec import probing
    from imuspec.experiments.made_up import made_up_windows
    from imuspec.report.learning import learning_page

    windows = made_up_windows(n_subjects=6, n_windows=3)
    fewer = windows.select(windows.subject != windows.subjects[0])

    def judged(row: str, shown: Any, seeds: tuple[int, ...]) -> pd.DataFrame:
        result = probing.probe(probing.MomentsSource(), shown, seeds=seeds, shots=(2,), head="logistic")
        return result.table.assign(row=row, column="made up, turned", set="made up", weights_seed=0)

    table = pd.concat([judged("first", windows, (0, 1)), judged("second", windows, (0,)), judged("third", fewer, (0,))])
    experiment = made_up_experiment(
        ("made up",), run=lambda _: experiments.Result(table.assign(value=0.5), tables={"seeds": table}), OPTIONS=Shown
    )
    experiments.perform(experiment, experiment.setup(tmp_path))
    assert "split_members" not in {*pd.read_csv(tmp_path / "seeds.csv"), *pd.read_csv(tmp_path / "table.csv")}
    splits = pd.read_csv(tmp_path / "splits.csv")
    assert list(splits.columns) == ["set", "seed", "part", "n", "members", "rows"]
    by_rows = splits.groupby(["set", "seed", "rows"])
    assert sorted(by_rows.groups) == [("made up", 0, "first; second"), ("made up", 0, "third"), ("made up", 1, "all")]
    for (_, seed, rows), part in by_rows:
        shown = fewer if rows == "third" else windows
        members = probing.probe(probing.MomentsSource(), shown, seeds=(seed,), shots=(2,), head="logistic").members[
            seed
        ]
        assert dict(zip(part["part"], part["members"].str.split("; "), strict=True)) == {
            name: [str(who) for who in people] for name, people in members.items()
        }
        assert part["n"].sum() == len(shown.subjects)
    learning_page("experiment", tmp_path, tmp_path / "page.html")
    assert "Who trained, validated and tested" in (tmp_path / "page.html").read_text("utf-8")


def test_the_mean_over_sets_deviates_as_it_does_from_split_to_split() -> None:
    pytest.importorskip("torch")
    from imuspec.experiments.methods import long_table

    first = judged_rows(**{"MoCo": [[0.2, 0.4]], "signed means and log deviations": [[0.5, 0.5]]})
    second = first.assign(column="goat", macro_f1=1 - first["macro_f1"])
    table = long_table(pd.concat([first, second]), ("wisdm", "goat")).set_index(["row", "column"])
    assert table.loc[("MoCo", "average"), "value"] == pytest.approx(0.5)
    assert table.loc[("MoCo", "average"), "sd"] == pytest.approx(0)  # what one set gains the other loses
    assert table.loc[("MoCo", "wisdm"), "sd"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert table.loc[("MoCo", "average"), "n"] == 2


def test_columns_that_rest_on_the_same_evidence_share_a_note() -> None:
    from imuspec.experiments.evidence import evidence_notes

    judged = judged_rows(MoCo=[[0.2, 0.4]])
    notes = evidence_notes(pd.concat([judged, judged.assign(column="wisdm, all labels")]), None)
    assert notes[1:] == [
        "wisdm; wisdm, all labels: 2 distinct splits, 3 test subjects, 9 test windows of the rarest class at least"
    ]


def test_validation_alone_picks_a_recipe_of_a_grid() -> None:
    from imuspec.experiments.img2imu_grid import picked

    rows = [
        {"family": "cpc", "column": "wisdm", "seed": split, "row": row, "weights_seed": weights} | scores
        for split, by_row in {
            0: {"a": [(0.9, 0.1), (0.7, 0.2)], "b": [(0.6, 0.8), (0.9, 0.9)]},
            1: {"a": [(0.1, 0.9), (0.2, 0.9)], "b": [(0.3, 0.1), (0.2, 0.2)]},
        }.items()
        for row, pairs in by_row.items()
        for weights, pair in enumerate(pairs)
        for scores in [dict(zip(("validation_f1", "macro_f1"), pair, strict=True))]
    ]
    picks = picked(pd.DataFrame(rows))
    assert picks["row"].unique().tolist() == ["cpc, best of 2 by validation"]
    assert picks.groupby("seed")["picked"].first().to_dict() == {0: "a", 1: "b"}  # .8 > .75, .25 > .15
    assert picks["macro_f1"].tolist() == [0.1, 0.2, 0.1, 0.2]  # the test scores of the picks, which are the lower ones
