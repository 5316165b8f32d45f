"""The commands of docs/how-to/fit-a-model.md, in their order, on made-up people."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from imuspec import encoders
from imuspec.cli import main
from imuspec.run.run import Run
from labelled_folder import write_folder

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "fit-a-model.md").read_text("utf-8")
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
SMALL = {"fit": ["--folds", "3", "--recipe", "small.toml"]}
SMALL_RECIPE = """name = "small"
[pictures]
size = [24, 32]
[tuning]
epochs = 1
"""


def output_of(capsys: pytest.CaptureFixture[str], command: str) -> str:
    _, name, *arguments = shlex.split(command)
    with pytest.raises(SystemExit) as stop:
        main([name, *arguments, *SMALL.get(name, [])])
    captured = capsys.readouterr()
    assert stop.value.code == 0, captured.err
    return captured.out + captured.err


def test_the_commands_and_the_program_of_the_page_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path / "people")
    write_folder(tmp_path / "others", prefix="q", n_people=2)
    (tmp_path / "small.toml").write_text(SMALL_RECIPE, "utf-8")
    (tmp_path / "person.csv").write_bytes((tmp_path / "others" / "q0.csv").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 5
    outputs = [output_of(capsys, command) for command in COMMANDS]
    assert all("on people left out" in out for out in outputs[:3])
    assert "fine-tuned on all people" in outputs[2]
    assert {path.name for path in Path("models").iterdir()} == {"statistics", "pictures", "tuned"}
    assert "macro f1" in outputs[4]
    assert Path("person.minutes.csv").is_file()
    assert {"others.csv", "others.scores.csv", "others.confusion.csv"} <= {path.name for path in Path().iterdir()}
    exec(compile(PAGE.partition("```python\n")[2].partition("```")[0], "fit-a-model.md", "exec"), {})
    assert capsys.readouterr().out == "['rest' 'rest']\n(16, 4)\n(16, 78)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "statistics", "--data", "folder=people", "--out", "people"], "expected a new folder"),
        (
            ["fit", "statistics", "--data", "folder=people", "--out", "m", "--norm", "fixed"],
            "expected a run of pictures",
        ),
        (
            ["fit", "statistics", "--data", "folder=people", "--out", "m", "--train", "all"],
            "expected head for statistics",
        ),
        (
            ["fit", "statistics", "--data", "folder=people", "--out", "m", "--norm", "axis-window"],
            "norm: expected a run of pictures",
        ),
        (
            ["fit", "random", "--head", "mlp", "--data", "folder=people", "--out", "m", "--shots", "3"],
            "expected linear or logistic",
        ),
        (
            ["fit", "patches", "--head", "mlp", "--data", "folder=people", "--out", "m", "--shots", "3"],
            "shots: expected options that an encoder of patches uses, got --shots 3",
        ),
        (["fit", "statistics", "--data", "folder=people", "--out", "m", "--cache", "c"], "expected a run of mae-"),
        (
            ["fit", "statistics", "--data", "folder=people", "--out", "m", "--set", "tuning.epochs=3"],
            "expected settings that statistics with --head logistic and --train head uses (split, head.kind, tuning.train), "
            "got tuning.epochs",
        ),
        (
            ["fit", "statistics", "--data", "folder=people", "--out", "m", "--set", "patches.epochs=3"],
            "got patches.epochs",
        ),
        (
            ["fit", "random", "--data", "folder=people", "--out", "m", "--set", "head.epochs=3"],
            "(split, pictures, head.kind, tuning.train), got head.epochs",
        ),
        (["fit", "supervised", "--data", "folder=people", "--out", "m"], "random with --train all"),
        (["predict", "people/p0.csv", "--model", "people"], "imuspec fit RUN"),
        (
            ["predict", "people/p0.csv", "--model", "people", "--coverage", "0.9"],
            "coverage: expected --out for the sets of classes of a recording",
        ),
    ],
)
def test_what_cannot_be_fitted_or_predicted_is_refused(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_folder(tmp_path / "people", n_people=3)
    monkeypatch.chdir(tmp_path)
    Run("patches").save_encoder(encoders.build("roformer", width=32, depth=1, n_heads=2))
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
