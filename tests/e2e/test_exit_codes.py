"""The exit codes of docs/reference/commands.md, and the words of errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gate import PATIENCE_S
from imuspec import Cohort, cli
from imuspec.simulation import simulate
from picture_files import encoded, npz_of

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated recording of half an hour."""
    path = tmp_path_factory.mktemp("recording") / "p1.cwa"
    simulate(path, days=0.02, seed=1)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "missing"),
        ("prepare", "missing", "--out", "o"),
        ("image", "missing", "--out", "o.png"),
        ("report", "missing", "--out", "o.html"),
        ("views", "missing", "--out", "o.png"),
        ("export", "missing", "--out", "o.onnx"),
        ("predict", "missing", "--model", "m"),
        ("pretrain", "mae-lmm", "--data", "missing", "--out", "o"),
        ("models", "--import", "missing", "--as", "harnet10", "--out", "o"),
        ("embed", "statistics", "--data", "cohort=missing", "--out", "o"),
        ("cohort", "status", "missing"),
        ("cohort", "verify", "missing"),
        ("cohort", "merge", "missing"),
        ("cohort", "export", "missing", "--out", "o"),
        ("bench", "table3", "--model", "missing"),
    ],
    ids=" ".join,
)
def test_a_missing_file_is_named_in_the_same_words_by_every_command(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] not in ("info", "prepare", "cohort", "datasets", "bench"):
        pytest.importorskip("torch", reason="the extra train")
        pytest.importorskip("onnxscript", reason="the extra export")
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *arguments) == (1, "", "error: missing: no such file or directory\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (("image",), "picture.png"),
        (("report",), "page.html"),
    ],
    ids=["image", "report"],
)
def test_an_error_names_the_output_that_was_typed(
    arguments: tuple[str, ...], out: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="the extra report")
    target = tmp_path / "nowhere" / out
    expected = f"error: {target}: no such file or directory\n"
    assert run(capsys, *arguments, recording, "--out", target) == (1, "", expected)


def test_simulate_names_the_output_that_was_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "nowhere" / "x.cwa"
    code, out, err = run(capsys, "simulate", target, "--days", 0.002)
    assert (code, out, err) == (1, "", f"error: {target}: no such file or directory\n")


def test_a_recipe_file_with_an_unknown_field_is_not_understood(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text("[segments]\nmin_wear = 1\n")
    code, _, err = run(capsys, "prepare", recording, "--out", tmp_path / "o", "--recipe", tmp_path / "r.toml")
    assert code == 2
    assert "segments.min_wear" in err


def test_prepare_exits_with_0_when_nothing_is_kept_and_says_so(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "prepare", recording, "--out", tmp_path / "o", "--workers", 1)
    assert code == 0
    assert "0 ok, 1 excluded, 0 failed" in out
    assert "no recording of this run meets the requirements" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_stopped_simulate_leaves_nothing_behind(number: signal.Signals, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imuspec.cli", "simulate", str(tmp_path / "x.cwa"), "--days", "30"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    give_up = time.monotonic() + PATIENCE_S
    while not list(tmp_path.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < give_up, "nothing was written"
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, err
    assert list(tmp_path.iterdir()) == []
    assert err.splitlines()[-1].startswith("error: ")


# The signal comes when the first recording is done.
AFTER_A_RECORDING = """
import os, signal, sys
from imuspec import cli
from imuspec.cli.console import RunDisplay

def update(self, summary, outcome, real=RunDisplay.update):
    real(self, summary, outcome)
    if outcome is not None and summary.n_done == 1:
        os.kill(os.getpid(), signal.SIGTERM)

if __name__ == "__main__":  # not in a worker
    RunDisplay.update = update
    cli.main(sys.argv[1:])
"""


def test_a_terminated_prepare_exits_with_143_and_its_cohort_goes_on(recording: Path, tmp_path: Path) -> None:
    inputs, cohort, program = tmp_path / "in", tmp_path / "cohort", tmp_path / "program.py"
    inputs.mkdir()
    for number in range(12):
        (inputs / f"r{number:02}.cwa").write_bytes(recording.read_bytes())
    program.write_text(AFTER_A_RECORDING)
    arguments = ["prepare", str(inputs), "--out", str(cohort), "--workers", "1", "--duplicates", "prepare", "--resume"]
    stopped = subprocess.run(
        [sys.executable, str(program), *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert stopped.returncode == 143, stopped.stderr
    assert 1 <= len(Cohort(cohort).outcomes) < 12
    command = [sys.executable, "-m", "imuspec.cli", *arguments]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
    assert len(Cohort(cohort).outcomes) == 12
    assert list(Cohort(cohort).verify()) == []


def test_a_killed_simulate_leaves_nothing_visible_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imuspec.cli", "simulate", str(tmp_path / "x.cwa"), "--days", "30"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + PATIENCE_S
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < give_up, "nothing was written"
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_reader_that_goes_away_ends_a_command_with_1() -> None:
    program = "import sys, imuspec.cli as c; sys.stdin.read(); c.main(['recipe', 'ukb', '--json'])"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate("")
    assert (process.returncode, err) == (1, "")


# The signal comes when the output is written, beside its place, and before it has its name.
WHILE_WRITING = """
import os, signal, sys
from imuspec import cli, storage

def sync(path, real=storage.sync):
    os.kill(os.getpid(), signal.SIGTERM)
    real(path)

storage.sync = sync
cli.main(sys.argv[1:])
"""


def _command(name: str, recording: Path, tmp_path: Path) -> tuple[list[str], Path]:
    """The words of a command, and the folder that it writes to."""
    out = tmp_path / "out"
    out.mkdir()
    if name == "simulate":
        return [name, str(out / "x.cwa"), "--days", "0.01"], out
    if name == "export":
        pytest.importorskip("onnxscript", reason="the extra export")
        from imuspec import encoders
        from imuspec.run.run import Run

        Run(tmp_path / "run").save_encoder(encoders.build("cnn1d"))
        return [name, str(tmp_path / "run"), "--out", str(out / "m.onnx"), "--n-samples", "100"], out
    pytest.importorskip("matplotlib", reason="the extra report")
    return [name, str(recording), "--out", str(out / ("x.png" if name == "image" else "x.html"))], out


@pytest.mark.parametrize("name", ["simulate", "report", "image", "export"])
def test_a_command_terminated_while_it_writes_exits_with_143_and_leaves_nothing(
    name: str, recording: Path, tmp_path: Path
) -> None:
    arguments, out = _command(name, recording, tmp_path)
    command = [sys.executable, "-c", WHILE_WRITING, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 143, done.stderr
    assert list(out.iterdir()) == []
    assert done.stderr.splitlines()[-1] == "error: terminated"


def test_a_terminated_pretrain_exits_with_143_and_keeps_a_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric", reason="the extra train")
    from imuspec.run.run import Run

    photos = npz_of(tmp_path / "photos.npz", [encoded(i) for i in range(40)], label=np.arange(40) % 4)
    small = ["source.limit=32", "source.height=32", "source.width=32", "training.batch=16", "objective.queue=32"]
    small += [
        "objective.norm_group=8",
        "views.permute_min_columns=3",
        "training.epochs=500",
        "training.log_steps=1",
        "training.device=cpu",
    ]
    settings = [word for setting in small for word in ("--set", setting)]
    run = Run(tmp_path / "run")
    command = [sys.executable, "-m", "imuspec.cli", "pretrain", "img2imu-small", "--data", str(photos)]
    command += ["--out", str(run.path), *settings]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    give_up = time.monotonic() + PATIENCE_S
    while not (run.path / "metrics.jsonl").is_file() or not (run.path / "metrics.jsonl").read_text():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up, "nothing was learned"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    message, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, err
    assert "the same command with --resume continues" in message
    state = run.load_checkpoint()
    assert state is not None
    assert state["step"] == run.metrics()[-1]["step"]
    assert [path for path in run.path.rglob("*.part*") if path.is_file()] == []
