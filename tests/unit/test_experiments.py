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
        found = experiments.describe(name)
        assert len(found.about) > 20, name
        assert callable(found.module.run), name
        assert issubclass(found.module.OPTIONS, Options), name
        assert set(found.module.OPTIONS.TINY) <= set(found.module.OPTIONS.model_fields), name
        assert found.options(tiny=True) != found.options(), name
        assert found.data == found.module.DATA, name


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
    for row, column, drop in (
        ("all four", "time-shifted", -27.75),
        ("no PermuteX", "masked", -43.76),
        ("no Hue", "rotated", -23.45),
        ("no Jitter", "noised", -24.91),
    ):
        assert (cells[row, column] / cells[row, "original"] - 1) * 100 == pytest.approx(drop, abs=0.2)


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
    found = Shown.parse(["shots=5", "full=true", "nfft=16, 128", "rows=ViT-S, MAE; MoCo"], tiny=True)
    assert (found.shots, found.full, found.nfft) == (5, True, (16, 128))
    assert found.chosen == ("ViT-S, MAE", "MoCo")
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
        ({"runs": ["IMG2IMU@goat=x"]}, "runs: expected ROW=FOLDER"),
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
    assert setup.runs == {"IMG2IMU@wisdm": "a", "IMG2IMU": "b"}
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

    found = made_up_experiment(("wisdm",), run=run, OPTIONS=Shown, RUNS={"IMG2IMU": "the four operations"})
    for tiny in (True, False):
        out = tmp_path / str(tiny)
        result, comparison = experiments.perform(found, found.setup(out, tiny=tiny, assignments=["shots=10"]))
        assert result.notes == [experiment_module.TINY_NOTE, "cut short"][not tiny :]
        assert comparison.loc[0, "difference"] == pytest.approx(10 - 0.689)
        assert {path.name for path in out.iterdir()} == {
            *(f"{stem}.{kind}" for stem in ("table", "comparison", "seeds") for kind in ("csv", "json", "txt")),
            *("plot.png", "plot.svg", "experiment.json"),
        }
        recipe = json.loads((out / "experiment.json").read_text("utf-8"))
        assert (recipe["tiny"], recipe["data"]) == (tiny, {"wisdm": "made up" if tiny else None})
        assert recipe["options"]["nfft"] == [32, 64]
        for path in out.iterdir():
            if path.suffix in (".csv", ".json", ".txt", ".svg") and path.name != "experiment.json":
                assert ("TINY" in path.read_text("utf-8")) == tiny, path
    pictures = [(tmp_path / kind / "plot.png").read_bytes() for kind in ("True", "False")]
    assert pictures[0] != pictures[1]


def test_pictures_have_the_size_on_which_the_runs_were_pre_trained(tmp_path: Path) -> None:
    def run_of(name: str, height: int) -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.json").write_text(json.dumps({"source": {"height": height, "width": 64}}), "utf-8")
        return str(tmp_path / name)

    def run(setup: experiments.Setup[PictureOptions]) -> experiments.Result:
        size = setup.options.height * 1000 + setup.options.width
        return experiments.Result(pd.DataFrame({"row": ["MoCo"], "column": ["wisdm"], "value": [size]}))

    def drawn(runs: dict[str, str], *assignments: str) -> int:
        found = made_up_experiment(run=run, OPTIONS=PictureOptions, RUNS=dict.fromkeys(runs, ""))
        texts = [f"{row}={folder}" for row, folder in runs.items()]
        setup = found.setup(tmp_path / "out", runs=texts, assignments=assignments)
        return experiments.perform(found, setup)[0].table.loc[0, "value"]

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
