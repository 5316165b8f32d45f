"""The path that docs/how-to/nhanes.md gives those without UK Biobank: NHANES's archives to a cohort, a run, a probe, a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from imuspec import Cohort
from imuspec.cli import main
from imuspec.simulation import STATE_NAMES, wrist_motion, write_capture24_csv, write_nhanes

CLASSES = ("sleep", "sit-stand", "vehicle", "walking", "mixed", "bicycling")


def output_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert stop.value.code == 0, captured.err
    return captured.out + captured.err


def write_capture24(folder: Path) -> None:
    """Two participants of some hours in the official layout, and a dictionary whose annotations are the classes' own."""
    folder.mkdir()
    rows = "".join(f"{name},{name}\n" for name in CLASSES)
    (folder / "annotation-label-dictionary.csv").write_text(f"annotation,label:Willetts2018\n{rows}")
    for number in (1, 2):
        x, time, state = wrist_motion(days=0.12, seed=number, sample_rate=40.0, start="2016-10-17T16:30:00")
        annotation = [STATE_NAMES[code] if STATE_NAMES[code] in CLASSES else "" for code in state]
        write_capture24_csv(folder / f"P{number:03}.csv.gz", x, time, annotation)


def test_archives_of_nhanes_become_a_cohort_a_run_a_probe_and_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imuspec.cli.probing.LEAST_STEPS", 20)
    nhanes = tmp_path / "nhanes"
    nhanes.mkdir()
    for participant in (62161, 62162):
        x, time, _ = wrist_motion(days=0.025, seed=participant, sample_rate=80.0, start="2000-01-09T17:40:00")
        assert write_nhanes(nhanes / f"{participant}.tar.bz2", x, time, participant=participant) == 2
    cohort, run = tmp_path / "cohort", tmp_path / "run"
    # The recipe wants days of wear, and as many postures as days have.
    short = ("--set", "segments.min_wear_h=0.3", "--set", "calibration.required=false")
    output_of(capsys, "prepare", nhanes, "--out", cohort, "--recipe", "nhanes", *short, "--workers", 1)
    remaining = Cohort(cohort)
    assert remaining.ids == ["62161", "62162"]
    assert remaining.recordings["nominal_rate"].to_pylist() == [80.0, 80.0]
    out = output_of(capsys, "pretrain", "mae-lmm", "--data", cohort, "--out", run, "--tiny", "--set", "source.visits=4")
    assert "loss" in out
    write_capture24(tmp_path / "capture24")
    data = ("--data", f"capture24={tmp_path / 'capture24'}")
    out = output_of(capsys, "probe", run, *data, "--head", "linear", "--seeds", 2, "--out", tmp_path / "probe")
    assert "seed 1: BA" in out
    assert (tmp_path / "probe" / "summary.csv").is_file()
    output_of(capsys, "fit", run, *data, "--out", tmp_path / "model")
    archive = nhanes / "62161.tar.bz2"
    out = output_of(capsys, "predict", archive, "--model", tmp_path / "model", "--out", tmp_path / "p.csv")
    assert "09 Jan 2000" in out
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert len(lines) == 1 + 216
    assert lines[1].startswith("2000-01-09 17:40:00")
