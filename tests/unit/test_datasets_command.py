"""The command datasets as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imuspec import cli
from imuspec.datasets import CATALOGUE


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def daphnet(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for subject in (1, 2, 3):
        n = 2560
        values = np.round(rng.normal(0, 20, (n, 9)) + [0, 0, 1000] * 3).astype(int)
        annotation = np.repeat([0, 1, 2, 1], n // 4)
        time = (np.arange(1, n + 1) * 1000) // 64
        np.savetxt(folder / f"S{subject:02d}R01.txt", np.c_[time, values, annotation], fmt="%d")
    return folder


def test_the_list_names_every_set(capsys) -> None:
    code, out, _ = run(capsys, "datasets")
    assert code == 0
    assert all(name in out for name in CATALOGUE)


def test_a_set_is_described_for_programs_too(capsys) -> None:
    code, out, _ = run(capsys, "datasets", "daphnet", "--json")
    assert code == 0
    assert json.loads(out)["about"] == CATALOGUE["daphnet"].description


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_set_says_how_it_is_laid_out_and_whom_to_cite(capsys, name: str) -> None:
    code, out, _ = run(capsys, "datasets", name)
    info = CATALOGUE[name]
    assert code == 0
    assert info.title in out
    assert info.url in out
    assert "layout" in out
    assert all(key in out for key in info.settings)


def test_a_copy_is_counted_by_class_subject_and_reason(capsys, tmp_path) -> None:
    code, out, _ = run(capsys, "datasets", f"daphnet={daphnet(tmp_path)},window_s=2")
    assert code == 0
    lines = [line.split() for line in out.replace("│", " ").splitlines()]
    assert ["2", "18", "10", "28"] in lines or any(line[:1] == ["2"] and len(line) == 4 for line in lines)
    assert "1,920 not part of the experiment" in " ".join(out.replace("│", " ").split())
    assert "7,680 rows of the files" in out


def test_settings_of_the_reader_are_taken(capsys, tmp_path) -> None:
    code, out, _ = run(capsys, "datasets", f"legs@daphnet={daphnet(tmp_path)},sensors=trunk,thigh,subjects=3")
    assert code == 0
    assert "5,120 rows of the files" in out
    assert "legs: " in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["daphnte"], 2, "name: expected one of 'daphnet', "),
        (["daphnet=/absent"], 1, "/absent does not exist"),
        (["daphnet:/absent"], 2, "name: expected daphnet=/absent, got 'daphnet:/absent'"),
        (["daphnet=.,sensor=trunk"], 2, "settings of daphnet: expected one of 'sensors', "),
    ],
)
def test_an_argument_that_is_not_understood_is_refused(capsys, arguments, code, message) -> None:
    got, _, err = run(capsys, "datasets", *arguments)
    assert got == code
    assert message in " ".join(err.split())
