"""docs/write_results.py: pages of results from the folders of experiments."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("scipy")
pytest.importorskip("torch")
from imuspec.experiments import describe  # noqa: E402
from imuspec.recipe import PretrainRecipe  # noqa: E402

DOCS = Path(__file__).parents[2] / "docs"
NOISE = np.array([0.01, -0.02, 0.0, 0.015, -0.005])
MEANS = {"MoCo": 0.5, "IMG2IMU": 0.7, "Randomly-init. (2D)": 0.55, "statistics of the window": 0.8}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    described = importlib.util.spec_from_file_location("write_results", DOCS / "write_results.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def experiment(folder: Path, name: str = "img2imu-table2", **facts: Any) -> Path:
    """A folder as an experiment leaves it, with a pre-training beside it."""
    folder.mkdir(parents=True)
    run = folder.parent / "pretrained" / "moco-12"
    run.mkdir(parents=True, exist_ok=True)
    (run / "recipe.json").write_text("{}", "utf-8")
    (run / "source.json").write_text("{}", "utf-8")
    (run / "metrics.jsonl").write_text("".join(json.dumps({"step": step}) + "\n" for step in range(1, 126)), "utf-8")
    seeds = pd.DataFrame(
        {
            **{"row": row, "column": "wisdm", "seed": seed, "weights_seed": 0, "macro_f1": value, "kappa": value},
            **{"balanced_accuracy": value, "test_over_train": 1 / 3, "n_rarest": 20, "test_subjects": f"{seed}; 9"},
        }
        for number, (row, mean) in enumerate(MEANS.items())
        for seed, value in enumerate(mean + np.roll(NOISE, number))
    )
    seeds.to_csv(folder / "seeds.csv", index=False)
    table = seeds.groupby("row", sort=False)["macro_f1"].agg(value="mean", sd="std").reset_index()
    counts = {"column": "wisdm", "n": 5, "n_weights": 1, "n_test_subjects": 6, "n_rarest": 20}
    table.assign(balanced_accuracy=table["value"], **counts).to_csv(folder / "table.csv", index=False)
    windows = {
        "windows": 90,
        "subjects": 12,
        "classes": {"walk": 90},
        "window_s": 6.4,
        "rate_hz": 50.0,
        "sha256": "e" * 64,
    }
    encoder = {"name": str(run), "sha256": "a" * 64, "recipe": "moco", "seed": 3, "steps": 125, "seconds": 7.5}
    recipe = {
        "experiment": name,
        "about": "What it shows.",
        "tiny": False,
        "command": f"imuspec experiment {name} --data wisdm=files --out {folder}",
        "data": {"wisdm": "wisdm=files", "goat": None},
        "windows": {"wisdm": windows},
        "encoders": {"MoCo": {**encoder, "data": ["photos"], "data_sha256": "d" * 64}},
        "seeds": [0, 1, 2, 3, 4],
        "options": {"shots": 10},
        "notes": ["SimSiam: left out, as no run was given", "± is the standard deviation"],
        "date": "2026-11-29",
        "seconds": 90.0,
        "machine": "A processor, 2 cores",
        "versions": {"torch": "2.15.0"},
        **facts,
    }
    (folder / "experiment.json").write_text(json.dumps(recipe), "utf-8")
    return folder


def written(script: ModuleType, out: Path, *folders: Path) -> dict[str, str]:
    for folder in folders:
        script.store(folder, out)
    return dict(script.pages(out))


def test_a_page_begins_with_what_the_table_allows_to_conclude(script: ModuleType, tmp_path: Path) -> None:
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first"))["img2imu"]
    first = page.split("\n\n")[1]
    assert first.startswith(
        "No encoder of pictures passes the statistics of the window on wisdm with 10 labelled windows a class. "
    )
    assert "TINY" not in page


def test_a_page_has_means_with_intervals_and_paired_differences(script: ModuleType, tmp_path: Path) -> None:
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first"))["img2imu"]
    assert re.search(r"^\| MoCo \| \.500 ± \.014 \[\.4\d\d, \.5\d\d\] \| 1 \|$", page, re.MULTILINE)
    assert "| wisdm | 5 | 6 | 20 |" in page
    assert "| IMG2IMU | .739 ± .038 |" in page.partition("The paper's, on its own splits and at its own scale:")[2]
    less, random = page.partition("Each encoder of pictures less the statistics of the window:")[2].split(
        "Pre-trained less"
    )
    assert re.search(r"^\| IMG2IMU \| \*\*-\.100 \[-\.1\d\d, -\.0\d\d\]\*\* \|$", less, re.MULTILINE)
    assert re.search(r"^\| IMG2IMU \| \*\*\+\.150 \[.*\]\*\* \| Randomly-init\. \(2D\) \|$", random, re.MULTILINE)
    assert re.search(r"of a column: wisdm: MoCo less IMG2IMU -\.200 \[", page)


def test_a_page_states_command_data_encoders_machine_and_what_was_left_out(script: ModuleType, tmp_path: Path) -> None:
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first"))["img2imu"]
    for text in (
        "```sh\nimuspec experiment img2imu-table2 --data wisdm=files --out runs/first\n```",
        "wisdm (`wisdm=files`): 90 windows of 6.4 s at 50 Hz, 12 subjects (90 walk), SHA-256 " + "e" * 16 + " |",
        "| MoCo | moco, 3 | 125 | 7.5 | photos | dddddddddddd, aaaaaaaaaaaa | [moco-12](",
        "| machine, date | A processor, 2 cores; 1.5 min; 2026-11-29 |",
        "| draws | 10 labelled windows a class; ",
        "- SimSiam: left out, as no run was given",
        "Test sets: wisdm, 90 windows of 12 subjects. It holds at this scale: 1 pre-trained encoder, 125 steps each.",
    ):
        assert text in page
    assert "goat" not in page


def test_a_page_states_rows_caps_and_pictures_of_its_command(script: ModuleType, tmp_path: Path) -> None:
    options = {
        "rows": ["MoCo"],
        "max_judged": 60,
        "nfft": [32, 64],
        "hop": [16],
        "height": 24,
        "width": 32,
        "norm": "fixed",
    }
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first", options=options))["img2imu"]
    for text in (
        "| rows | MoCo; beside them those of every table; others of the experiment were not run |",
        "| windows scored | at most 60 of a class in the test part of a split, and in the validation part, the same for all rows |",
        "| pictures | nfft 32, 64, hop 16, 24 x 32 pixels, norm `fixed`; a single hop, so that no overlap is chosen |",
        "125 steps each; pictures of 24 x 32.",
    ):
        assert text in page
    assert script._caps({"max_validation": 30}) == "all of the test part of a split; at most 30 of a class validate"
    assert [script._caps({}), script._drawn({}), script._rows({"rows": []})] == [""] * 3


def test_what_a_page_rests_on_is_stored_and_the_page_follows_from_it(script: ModuleType, tmp_path: Path) -> None:
    out, runs = tmp_path / "out", tmp_path / "runs"
    pages = written(script, out, experiment(runs / "first"), experiment(runs / "second", name="lmm-table1"))
    assert set(pages) == {"img2imu", "lmm"}
    stored = out / "evidence" / "img2imu" / "first"
    assert str(tmp_path) not in (stored / "experiment.json").read_text("utf-8")
    log = (stored / "encoders" / "moco-12" / "metrics.jsonl").read_text("utf-8").splitlines()
    assert len(log) <= 50
    assert json.loads(log[-1]) == {"step": 125}  # the last line is always there
    for name, text in pages.items():
        for link in re.findall(r"\]\((evidence/[^)]+)\)", text):
            assert (out / link).is_file(), (name, link)
    for path in runs.rglob("*.csv"):
        path.unlink()
    assert script.pages(out) == pages


def test_a_tiny_trial_is_marked_on_its_page(script: ModuleType, tmp_path: Path) -> None:
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first", tiny=True))["img2imu"]
    assert page.splitlines()[0].endswith("(TINY: numbers mean nothing)")
    assert f"**{script.MARK}.**" in page


def test_a_wide_table_is_cut_into_several(script: ModuleType) -> None:
    columns = [f"c{number}" for number in range(7)]
    tables = script.grid(["a"], columns, {("a", "c6"): "x"}, ("draws", {"a": "2"})).split("\n\n")
    assert [table.splitlines()[0].count("|") - 1 for table in tables] == [7, 4]
    assert tables[1].splitlines()[-1] == "| a |  | x | 2 |"


def test_earlier_conclusions_are_kept_or_withdrawn(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = [
        ("better", [["IMG2IMU", "MoCo"]], False, "kept"),
        ("worse", [["MoCo", "IMG2IMU"]], False, "withdrawn: the contrary"),
        ("limit", [["*", "statistics of the window"]], True, "kept"),
        ("gone", [["HARNet", "MoCo"]], False, "withdrawn: not measured again"),
    ]
    text = "".join(
        f'[[claim]]\npage = "img2imu"\ntext = "{name}"\nbasis = "b"\npairs = {json.dumps(pairs)}\nnot_above = {str(no).lower()}\n'
        for name, pairs, no, _ in claims
    )
    (tmp_path / "earlier.toml").write_text(text, "utf-8")
    monkeypatch.setattr(script, "EARLIER", tmp_path / "earlier.toml")
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first"))["img2imu"]
    for name, _, _, answer in claims:
        assert f"| {name} | b | {answer}{'' if 'not measured' in answer else ' on wisdm'} |" in page
    assert "| IMG2IMU less MoCo on wisdm +.200 [" in page


def test_an_answer_to_the_contrary_names_only_the_columns_that_show_it(script: ModuleType) -> None:
    differences = [
        script.Difference(column, "MoCo", "IMG2IMU", value, value - 0.1, value + 0.1, p, 5)
        for column, value, p in (
            ("wisdm, 1 shots", 0.1, 0.3),
            ("wisdm, 10 shots", -0.1, 0.2),
            ("wisdm, 50 shots", -0.2, 0.01),
        )
    ]
    assert script._scope("withdrawn: the contrary", differences, not_above=False) == " on wisdm, 50 shots"
    assert (
        script._scope("withdrawn: not shown", differences[:2], not_above=False) == " on wisdm, 1 shots; wisdm, 10 shots"
    )
    above = [script.Difference("hapt", "MoCo", "statistics", 0.2, 0.1, 0.3, 0.01, 5), *differences]
    assert script._scope("withdrawn: the contrary", above, not_above=True) == " on hapt"
    assert script._scope("withdrawn: not measured again", [], not_above=False) == ""


def test_data_that_are_made_are_called_simulated_and_their_commands_come_first(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made.toml").write_text('[[made]]\npath = "runs/made"\ncommands = "imuspec simulate a.cwa"\n', "utf-8")
    monkeypatch.setattr(script, "MADE", tmp_path / "made.toml")
    facts = {"command": "imuspec experiment x --data cohort=runs/made", "data": {"cohort": "cohort=runs/made"}}
    page = written(script, tmp_path / "out", experiment(tmp_path / "runs" / "first", **facts))["img2imu"]
    assert "```sh\nimuspec simulate a.cwa\nimuspec experiment x --data cohort=runs/made\n```" in page
    assert "cohort (`cohort=runs/made`, simulated)" in page


def test_every_earlier_conclusion_names_its_page_basis_and_rows(script: ModuleType) -> None:
    claims = tomllib.loads((DOCS / "results" / "earlier.toml").read_text("utf-8"))["claim"]
    for claim in claims:
        assert claim["page"] in script.PAGES
        assert claim["text"]
        assert claim["basis"]
        assert set(claim) <= {"page", "text", "basis", "pairs", "columns", "experiments", "not_above"}
        assert all(len(pair) == 2 for pair in claim.get("pairs", []))


def test_the_pages_are_made_of_what_is_stored(script: ModuleType) -> None:
    pages = script.pages(DOCS / "results")
    for name in script.PAGES:
        path = DOCS / "results" / f"{name}.md"
        assert path.is_file() == (name in pages), name
        if name in pages:
            assert pages[name].splitlines() == path.read_text("utf-8").splitlines(), "run docs/write_results.py"
            assert "TINY" not in pages[name]


MADE = tomllib.loads((DOCS / "results" / "made.toml").read_text("utf-8"))["made"]
PRETRAININGS = [
    shlex.split(command.replace("\\\n", " ").replace("$seed", "0"))[2:]
    for made in MADE
    for command in re.findall(r"imuspec pretrain .*?(?=\ndone|$)", made["commands"], re.DOTALL)
]


def values_of(option: str, words: list[str]) -> list[str]:
    """The values of an option in a command."""
    return [value for word, value in itertools.pairwise(words) if word == option]


@pytest.mark.parametrize("words", PRETRAININGS, ids=lambda words: words[words.index("--out") + 1])
def test_the_settings_of_a_pre_training_on_a_page_are_accepted(words: list[str]) -> None:
    recipe = PretrainRecipe.load(words[0])
    assert recipe.set(*values_of("--set", words)) != recipe


@pytest.mark.parametrize("file", sorted((DOCS / "results" / "evidence").glob("*/*/experiment.json")), ids=str)
def test_the_settings_of_an_experiment_on_a_page_are_accepted(file: Path, tmp_path: Path) -> None:
    facts = json.loads(file.read_text("utf-8"))
    words = shlex.split(facts["command"])
    data, runs, assignments = (values_of(option, words) for option in ("--data", "--runs", "--set"))
    setup = describe(facts["experiment"]).setup(tmp_path, data=data, runs=runs, assignments=assignments)
    chosen = setup.options.model_dump(mode="json")
    shared = chosen.keys() & facts["options"].keys()  # an option that had no effect may have gone since
    assert {key: chosen[key] for key in shared} == {key: facts["options"][key] for key in shared}
