"""The experiment of fine-tuning in its tiny form: rows, splits, cells that are stored, and who pre-trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
pd = pytest.importorskip("pandas")
from imuspec.cli import main  # noqa: E402
from imuspec.experiments import fine_tuning  # noqa: E402


def run(out: Path, *settings: str, seeds: int = 1) -> None:
    arguments = ["experiment", "fine-tuning", "--tiny", "--seeds", str(seeds), "--out", str(out), "--cache", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *(part for setting in settings for part in ("--set", setting))])
    assert ended.value.code == 0


def test_each_encoder_has_a_row_for_the_weights_that_are_trained(tmp_path: Path) -> None:
    run(tmp_path, "rows=statistics; signed means and log deviations; means of the picture's rows; random (1D)", seeds=2)
    seeds = pd.read_csv(tmp_path / "seeds.csv", comment="#")
    free = ("statistics", "signed means and log deviations", "means of the picture's rows")
    rows = [
        *(f"{each}, head only" for each in free),
        *(f"random (1D), {each}" for each in ("head only", "last block", "all weights")),
    ]
    assert list(seeds["row"].unique()) == rows
    assert len(seeds) == len(rows) * 2 * 2 * 3  # splits, labels, sets
    free_scores = seeds[seeds["row"].isin(rows[:3])].pivot(index=["column", "seed"], columns="row", values="macro_f1")
    assert not free_scores.T.duplicated().any()  # each has features of its own
    by_split = seeds[seeds["column"] == "hapt, 2 a class"].groupby("seed")
    assert (by_split["test_subjects"].nunique() == 1).all()  # every row on the same people
    assert by_split["test_subjects"].first().nunique() == 2  # distinct splits
    assert (seeds[seeds["labels"] == "2 a class"]["n_train"] == 8).all()
    paired = pd.read_csv(tmp_path / "paired.csv", comment="#")
    assert {"low", "high", "p_holm"} <= set(paired.columns)
    notes = json.loads((tmp_path / "experiment.json").read_text("utf-8"))["notes"]
    assert "CPC on hapt: pre-trained on windows of wisdm_windows" in notes
    assert not any(note.startswith("CPC on hapt: pre-trained on windows of hapt") for note in notes)


def test_a_stored_cell_is_not_computed_again_and_another_number_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "rows=statistics")
    before = pd.read_csv(tmp_path / "table.csv", comment="#")
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".csv", ".json", ".txt", ".svg")]
    assert [path.name for path in files if "TINY" not in path.read_text("utf-8")] == []
    assert any(path.parent.name == "cells" for path in files)
    computed = []
    judged = fine_tuning._judged
    monkeypatch.setattr(fine_tuning, "_judged", lambda *parts: computed.append(parts[1]) or judged(*parts))
    run(tmp_path, "rows=statistics")
    assert computed == []
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv", comment="#"), before)
    run(tmp_path, "rows=statistics", "shots=3")
    assert computed == ["hapt", "wisdm_windows", "motionsense"]


def test_img2imu_without_pictures_is_left_out_with_a_note(tmp_path: Path) -> None:
    setup_notes: list[str] = []
    from imuspec.experiments import describe

    setup = describe("fine-tuning").setup(tmp_path, assignments=["rows=IMG2IMU"])
    assert fine_tuning._sources(setup, "IMG2IMU", "hapt", {}, setup_notes) == []
    assert setup_notes == ["IMG2IMU: left out on hapt, as neither a run nor images is given"]
