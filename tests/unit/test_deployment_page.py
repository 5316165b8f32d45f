"""docs/write_deployment.py: the page of models on people left out follows from what is stored."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("scipy")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    described = importlib.util.spec_from_file_location("write_deployment", DOCS / "write_deployment.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def stored(results: Path) -> None:
    """Six people, two classes: the statistics are right, IMG2IMU half of the time, CPC but for a window a person."""
    folder = results / "evidence" / "deployment" / "people"
    (folder / "times").mkdir(parents=True)
    truth = np.tile([0, 0, 1, 1], 6)
    wrong = np.where(np.arange(24) % 4 == 0, 1 - truth, truth)
    table = {"subject": np.repeat(np.arange(6), 4), "truth": truth, "statistics": truth, "img2imu": np.tile([0, 1], 12)}
    pd.DataFrame({**table, "cpc": wrong, "tuned": wrong}).to_csv(folder / "predictions.csv", index=False)
    model = {"rate_hz": 50.0, "n_samples": 250, "picture": None, "folds": 3, "tuning": None, "fitted_to": [1, 3]}
    parity = {"n_windows": 1000, "probability": 2e-6, "classes": 0, "levels": None, "equal_levels": None}
    cost = {
        "n_windows": 800,
        "macro_f1": [0.9, 0.85],
        "probability": 0.25,
        "classes": 31,
        "size": [4_000_000, 1_000_000],
    }
    encoder = {"recipe": "cpc", "seed": 0, "steps": 160, "data": ["others"], "sha256": "ab" * 32}
    facts = {
        "note": "made up",
        "class_names": ["rest", "walk"],
        "models": {name: dict(model) for name in ("statistics", "img2imu", "cpc", "tuned")},
        "encoders": {"img2imu": encoder, "cpc": encoder},
        "exported": {"tuned.json": {"parity": parity}, "tuned.int8.json": {"int8": cost}},
        "pictures": {"n_windows": 2333, "size": [96, 128], "nfft": 64, "hop": 8, "differing": 0, "of_another_class": 0},
        "machine": "a machine",
        "date": "2026-11-29",
        "versions": {"python": "3.11"},
    }
    facts["models"]["img2imu"]["picture"] = {"nfft": 64, "noverlap": 56, "size": [24, 32]}
    facts["models"]["tuned"]["tuning"] = {"epochs": 6}
    (folder / "facts.json").write_text(json.dumps(facts), "utf-8")
    (folder / "commands.sh").write_text(
        "imuspec fit statistics --data folder=people/ --out models/statistics\n", "utf-8"
    )
    measured = [
        {
            "machine": "this machine, 1 thread, cpc, Python",
            "step": "whole",
            "ms": 2.346,
            "cpu_percent": 99,
            "memory_mb": 1.0,
        }
    ]
    times = {"measured": measured, "machine": "a machine", "date": "2026-11-29", "load": "0.1"}
    (folder / "times" / "cpc.json").write_text(json.dumps(times), "utf-8")


def test_the_page_states_scores_differences_exports_pictures_and_times(script: ModuleType, tmp_path: Path) -> None:
    stored(tmp_path)
    page = script.page(tmp_path)
    assert "| statistics of the window | 1.000 [1.000, 1.000] |" in page
    assert "| IMG2IMU, head only | .500 [.500, .500] |" in page
    assert "| IMG2IMU, head only less statistics of the window | -.500 [-.500, -.500] |" in page
    assert "- IMG2IMU, head only: below statistics of the window on people (-.500 [-.500, -.500])." in page
    assert "- CPC, all weights: not shown to differ from CPC, head only on people (+.000 [+.000, +.000])." in page
    assert "is without 0, not corrected for 4 differences. There is one split of each set" in page
    assert "people: fitted to 2 people, scored on 6" in page
    assert "| pictures | people: nfft 64, hop 8, 24 x 32 pixels |" in page
    assert "people: 24 windows of 6 people (12 rest, 12 walk)" in page
    assert "| people | tuned.onnx | 2e-06 | 0 of 1000 |  |  |  |" in page
    assert "| people | tuned.int8 | 0.25 | 31 of 800 |  | .900 to .850 | 4.0 to 1.0 |" in page
    assert "people: made up" in page
    assert "Pictures of 2,333 windows of people" in page
    assert "| 1 thread | whole | Python | 2.35 ms, 1.0 MB |" in page
    assert "Columns did not take turns, and other programs ran beside them." in page


def test_the_commands_name_where_the_encoders_are_made_if_a_page_has_them(script: ModuleType, tmp_path: Path) -> None:
    stored(tmp_path)
    page = script.page(tmp_path)
    assert "cpc, seed 0, 160 steps on others, SHA-256 of the encoder abababababab" in page
    assert "fine-tuning.md" not in page
    folder = tmp_path / "evidence" / "fine-tuning" / "few"
    folder.mkdir(parents=True)
    for digest, known in (("cd", False), ("ab", True)):
        facts = {"encoders": {"CPC": {"name": "runs/cpc", "sha256": digest * 32}, "random": {"name": "random"}}}
        (folder / "experiment.json").write_text(json.dumps(facts), "utf-8")
        assert ("are pre-trained by the command of [](fine-tuning.md)" in script.page(tmp_path)) is known


def test_the_page_is_made_of_what_is_stored(script: ModuleType) -> None:
    assert (
        script.page(DOCS / "results").splitlines()
        == (DOCS / "results" / "deployment.md").read_text("utf-8").splitlines()
    ), "run docs/write_deployment.py"
