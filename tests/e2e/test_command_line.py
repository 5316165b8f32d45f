"""The commands as a user types them."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from imuspec import Cohort, __version__, cli, read
from imuspec.cli.console import RunDisplay, summary_lines
from imuspec.cluster import Outcome, Summary
from imuspec.simulation import simulate

SHORT = ["--recipe", "capture24", "--set", "segments.min_wear_h=0.1", "--set", "calibration.required=false"]


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated recordings, a damaged one among them, and two files that are none."""
    folder = tmp_path_factory.mktemp("recordings")
    simulate(folder / "a.cwa", days=0.02, seed=1)
    simulate(folder / "b.cwa.gz", days=0.02, seed=2, damage=("lost", "restart"))
    simulate(folder / "c.cwa", days=0.003, seed=3)
    (folder / "notes.txt").write_text("no recording")
    (folder / "garbage.cwa").write_bytes(b"no recording" * 100)
    (folder / "empty.cwa").touch()
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_prepare_prints_the_outcome_of_each_file(recordings: Path, tmp_path, capsys) -> None:
    code, out, err = _run(capsys, "prepare", recordings, "--out", tmp_path / "out", "--workers", 2, *SHORT)
    assert code == 0
    for name, outcome in {"a.cwa": "ok", "b.cwa.gz": "ok", "c.cwa": "excluded", "garbage.cwa": "failed"}.items():
        assert f" {name}: {outcome}" in err
        assert name not in out  # each file is named once
    assert "2 ok, 1 excluded, 2 failed" in out
    assert "\x1b[" not in out + err  # no colours and no bar where there is no terminal
    cohort = Cohort(tmp_path / "out")
    assert cohort.ids == ["a", "b"]
    assert cohort.recordings.to_pylist()[1]["quality_restart"] == 1
    assert cohort.read("a", 60, 10).shape == (3, 300)
    assert cohort.recipe.segments.min_wear_h == 0.1


def test_prepare_again_wants_resume_and_resume_does_nothing_twice(recordings: Path, tmp_path, capsys) -> None:
    arguments = ["prepare", recordings / "a.cwa", "--out", tmp_path / "out", "--workers", 1, *SHORT]
    assert _run(capsys, *arguments)[0] == 0
    code, _, err = _run(capsys, *arguments)
    assert code == 2
    assert "--resume" in err
    code, out, err = _run(capsys, *arguments, "--resume")
    assert code == 0
    assert "1 done before" in out
    assert _run(capsys, "cohort", "verify", tmp_path / "out")[0] == 0


def test_the_exit_code_is_1_when_nothing_worked(recordings: Path, tmp_path, capsys) -> None:
    code, out, _ = _run(capsys, "prepare", recordings / "garbage.cwa", "--out", tmp_path / "out", "--workers", 1)
    assert code == 1
    assert "0 ok, 0 excluded, 1 failed" in out


def test_cohort_status_and_verify(recordings: Path, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    _run(capsys, "prepare", recordings / "a.cwa", recordings / "empty.cwa", "--out", out, "--workers", 1, *SHORT)
    code, message, _ = _run(capsys, "cohort", "status", out)
    assert code == 0
    assert "failed" in message
    (out / "acceleration" / "a" / "c" / "0" / "0").write_bytes(b"")
    code, message, _ = _run(capsys, "cohort", "verify", out)
    assert code == 1
    assert message.startswith("a: ")
    (out / "outcomes.parquet").unlink()
    assert _run(capsys, "cohort", "merge", out)[0] == 0
    assert (out / "outcomes.parquet").exists()


def test_info_shows_the_recording_and_its_losses(recordings: Path, capsys) -> None:
    code, out, _ = _run(capsys, "info", recordings / "b.cwa.gz")
    assert code == 0
    assert "Axivity AX3" in out
    assert "restart" in out
    code, out, _ = _run(capsys, "info", recordings / "b.cwa.gz", "--json")
    facts = json.loads(out)
    assert facts["events"]["restart"]["n"] == 1
    assert facts["nominal_rate_hz"] == 100


def test_simulate_writes_a_recording_and_its_truth(tmp_path, capsys) -> None:
    code, out, _ = _run(capsys, "simulate", tmp_path / "s.cwa", "--days", 0.003, "--seed", 1, "--damage", "lost")
    assert code == 0
    assert "s.cwa" in out
    assert (tmp_path / "s.cwa").exists()
    assert (tmp_path / "s.truth.npz").exists()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["prepare", "x.cwa", "--otu", "y"], 2, "--out"),
        (
            ["prepre"],
            2,
            "expected one of 'prepare', 'recipe', 'report', 'pretrain', 'probe' (closest of 20; `imuspec --help` lists all)",
        ),
        (["cohort", "staus", "x"], 2, "command: expected one of 'status', "),
        (["prepare", "nowhere.cwa", "--out", "y"], 1, "nowhere.cwa"),
        (["prepare", __file__, "--out", "y", "--recipe", "ubk"], 2, "'ukb'"),
        (["prepare", __file__, "--out", "y", "--set", "calibration.min_window=1"], 2, "calibration.min_windows"),
        (["prepare", __file__, "--out", "y", "--shard", "3"], 2, "I/N"),
        (["prepare", __file__, "--out", "y", "--shard", "3/2"], 2, "1 <= I <= N"),
        (["prepare", __file__, "--out", "y", "--workers", "0"], 2, "at least 1"),
        (["prepare", __file__, "--out", __file__], 2, "expected a folder"),
        (["cohort", "status", "nowhere"], 1, "nowhere"),
        (["info", __file__], 1, "expected"),
        (["info", "nowhere.cwa"], 1, "nowhere.cwa"),
        (["simulate", "x.cwa", "--damage", "lsot"], 2, "lost"),
        (["simulate", "x.gt3x"], 2, ".cwa, .cwa.gz or .cwa.zip, got 'x.gt3x'"),
    ],
)
def test_a_mistake_is_one_line_without_a_traceback(arguments, code, message, capsys, tmp_path) -> None:
    result, out, err = _run(capsys, *arguments)
    assert (result, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_came_from(capsys) -> None:
    _, _, err = _run(capsys, "info", "nowhere.cwa", "--debug")
    assert "Traceback" in err


def test_the_help_of_prepare_states_the_defaults_of_its_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert "calibration.min_windows=10" in _run(capsys, "prepare", "--help")[1]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, imuspec.cli\n"
        "heavy = {'numpy', 'zarr', 'pyarrow', 'pydantic', 'torch', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_version(capsys) -> None:
    assert _run(capsys, "--version")[1].strip() == __version__


def _summary(n: int) -> Summary:
    outcomes = [
        Outcome(f"r{i}", f"r{i}.cwa", "ok", "", 10_000_000, 1.0, "5.0 h of wear in 1 segment") for i in range(n)
    ]
    outcomes += [
        Outcome(
            f"s{i}", f"s{i}.cwa", "excluded", f"the longest stretch of wear is {i} h; the recipe needs 24 h", 1, 1.0
        )
        for i in range(n)
    ]
    outcomes.append(Outcome("[x]", "[red]x[/red].cwa", "failed", "[oops]", 1, 1.0))
    return Summary(Path("cohort"), 2 * n + 5, 4, outcomes, seconds=10.0)


def _printed(*lines: object) -> str:
    screen = Console(file=io.StringIO(), width=200)
    for line in lines:
        screen.print(line)
    return screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_a_summary_of_few_files_names_each_and_of_many_each_reason() -> None:
    few = _printed(*summary_lines(_summary(3)))
    assert "r2.cwa" in few
    assert "wear is 2 h" in few
    assert "[red]x[/red].cwa" in few  # names are not markup
    many = _printed(*summary_lines(_summary(100)))
    assert "r2.cwa" not in many
    assert "100    excluded  the longest stretch of wear is … h; the recipe needs 24 h" in many
    assert "100 ok, 100 excluded, 1 failed, 4 done before; 20.10 files/s, 100 MB/s" in many


def test_a_stop_says_what_happens_next() -> None:
    screen = Console(file=io.StringIO(), width=120)
    summary = _summary(1)
    summary.interrupted = True
    with RunDisplay(screen) as display:
        display.update(summary, None)
    assert "press Ctrl-C again to stop at once" in screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO


def test_a_terminal_gets_a_bar_with_rate_time_left_and_failures() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120)
    summary = _summary(3)
    with RunDisplay(screen) as display:
        display.update(summary, None)
        display.update(summary, summary.outcomes[-1])
    shown = screen.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    for part in ("11/11", "files/s", "MB/s", "3 excluded", "1 failed"):
        assert part in shown


def test_image_draws_a_recording(recordings: Path, tmp_path, capsys) -> None:
    pytest.importorskip("matplotlib", reason="the extra report")
    code, _, err = _run(capsys, "image", recordings / "a.cwa", "--out", tmp_path / "a.png")
    assert code == 0, err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = _run(capsys, "image", recordings / "empty.cwa", "--out", tmp_path / "e.png", "--recipe", "ukb")
    assert (code, err.count("\n")) == (1, 1)


def test_report_writes_a_page_of_a_cohort_and_none_of_what_is_no_recording(recordings: Path, tmp_path, capsys) -> None:
    pytest.importorskip("jinja2", reason="the extra report")
    out = tmp_path / "out"
    _run(capsys, "prepare", recordings / "a.cwa", recordings / "empty.cwa", "--out", out, "--workers", 1, *SHORT)
    code, message, err = _run(capsys, "report", out, "--out", tmp_path / "cohort.html")
    assert (code, message.strip()) == (0, str(tmp_path / "cohort.html")), err
    assert "empty" in (tmp_path / "cohort.html").read_text()
    code, _, err = _run(capsys, "report", recordings / "empty.cwa", "--out", tmp_path / "file.html")
    assert (code, err.count("\n")) == (1, 1)
    assert "could not be read" in (tmp_path / "file.html").read_text()
    code, message, err = _run(capsys, "report", recordings, "--out", tmp_path / "folder.html")
    assert (code, message, err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "folder.html").exists()


def test_another_recipe_is_refused_with_what_to_do(recordings: Path, tmp_path, capsys) -> None:
    arguments = ["prepare", recordings / "a.cwa", "--out", tmp_path / "out", "--workers", 1]
    _run(capsys, *arguments)
    code, _, err = _run(capsys, *arguments, "--resume", "--recipe", "capture24")
    assert code == 2
    assert "segments_min_wear_h: 24.0, 1.0; another recipe needs another folder" in err


def test_completion_of_a_shell_knows_commands_and_options(capsys) -> None:
    assert "--install-completion" in _run(capsys, "--help")[1]
    for shell in ("bash", "zsh", "fish"):
        script = cli.app.generate_completion(shell=shell)
        assert all(word in script for word in ("prepare", "cohort", "memory-limit", "export"))


@pytest.mark.parametrize(
    ("command", "package", "message"),
    [
        (
            ("image", "x", "--out", "y.png"),
            "matplotlib",
            "imuspec image needs matplotlib: pip install 'imuspec[report]'",
        ),
        (("report", "x", "--out", "y.html"), "jinja2", "imuspec report needs Jinja2: pip install 'imuspec[report]'"),
        (("export", "x", "--out", "y.onnx"), "onnx", "imuspec export needs ONNX: pip install 'imuspec[export]'"),
        (("models",), "torch", "imuspec models needs PyTorch: pip install 'imuspec[train]'"),
        (
            ("pretrain", "mae-lmm", "--data", "x", "--out", "y"),
            "lightning_fabric",
            "imuspec pretrain needs Lightning Fabric: pip install 'imuspec[train]'",
        ),
    ],
)
def test_a_missing_package_is_a_plain_sentence_that_names_its_extra(command, package, message, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find("json"))
    assert _run(capsys, *command) == (1, "", f"error: {message}\n")


def test_a_recording_says_in_words_what_it_is(recordings: Path) -> None:
    assert repr(read(recordings / "c.cwa")).endswith("Hz in 1 run)")
    assert repr(read(recordings / "b.cwa.gz")).endswith(" runs)")
