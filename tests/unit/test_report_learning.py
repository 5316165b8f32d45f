"""The pages of a training run, a probe and an experiment, and the choice of the page by a path."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imuspec.report import learning
from report_inputs import HOSTILE, Tags, text_of


def training(folder: Path, n: int = 50) -> Path:
    (folder / "recipe.json").write_text(json.dumps({"name": HOSTILE, "about": HOSTILE, "objective": {"name": "moco"}}))
    lines = [
        {"step": i, "epoch": i / 10, "loss": 5 - i / n, "top1": i / n, "lr": 0.1, HOSTILE: 1.0} for i in range(1, n + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_trainings_page_draws_every_logged_figure_and_escapes_names(tmp_path: Path) -> None:
    out = learning.learning_page("training", training(tmp_path), tmp_path / "a.html")
    html = out.read_text("utf-8")
    text = text_of(out)
    for name in ("loss", "learning rate", "top-1 accuracy"):
        assert name in text
    assert "loss 4.980 4 4 4.980" in text
    assert "<script>" not in html
    assert HOSTILE in Tags(html).text


def test_curves_of_a_long_training_are_means_and_end_at_its_last_step() -> None:
    steps, values = learning._fewer([float(i) for i in range(1, 10_001)], [float(i) for i in range(10_000)])
    assert len(steps) <= 400
    assert steps[-1] == 10_000
    assert np.mean(values) == pytest.approx(4999.5, rel=0.01)


def test_a_training_without_a_line_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    assert "Nothing was logged yet" in text_of(learning.learning_page("training", tmp_path, tmp_path / "a.html"))


def test_a_probes_page_has_spread_intervals_and_confusion(tmp_path: Path) -> None:
    files = {
        "probe.json": {"run": "r", "data": HOSTILE, "splits": {"0": {"train": ["a"]}}},
        "summary.json": [{"layer": "last", "n": 2, "macro_f1": 0.5, "macro_f1_sd": 0.1, "kappa": None}],
        "seeds.json": [{"layer": "last", "seed": 0, "macro_f1": 0.5, "macro_f1_low": 0.4, "macro_f1_high": 0.6}],
        "confusion-last-0.json": [{"truth": "a", "a": 3, "b": 1}, {"truth": "b", "a": 0, "b": 0}],
        "broken.json": "no table",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    text = text_of(learning.learning_page("probe", tmp_path, tmp_path / "a.html"))
    assert "0.500 \u00b1 0.100" in text
    assert "0.400 to 0.600" in text
    assert "macro f1 sd" not in text
    assert "a 75 % 3 25 % 1" in text
    assert "b 0 % 0 0 % 0" in text
    assert HOSTILE in text


def test_an_experiments_page_has_its_tables_notes_and_figures(tmp_path: Path) -> None:
    from imuspec.report.style import new_figure, save, style

    (tmp_path / "experiment.json").write_text(
        json.dumps({"experiment": "e", "notes": ["TINY"], "data": {"hapt": "made up"}})
    )
    (tmp_path / "comparison.json").write_text(json.dumps([{"row": "r", "value": 0.25, "sd": 0.05, "paper": 0.3}]))
    (tmp_path / "table.json").write_text(json.dumps([{"row": "only here", "value": 0.25}]))
    with style():
        figure = new_figure(2, 2)
        figure.subplots().plot([0, 1], color="#0072b2")
        save(figure, tmp_path / "map.svg")
    (tmp_path / "broken.svg").write_text("<svg")
    out = learning.learning_page("experiment", tmp_path, tmp_path / "a.html")
    text = text_of(out)
    assert "TINY" in text
    assert "r 0.250 \u00b1 0.050 0.300" in text
    assert "only here" not in text
    assert "var(--data)" in out.read_text("utf-8")
    assert "map.svg in the folder" in text


def test_a_page_of_what_is_neither_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    from imuspec.errors import RecordingError
    from imuspec.report import write_page

    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "README.md").write_text("hello")
    out = tmp_path / "out.html"
    with pytest.raises(FileNotFoundError) as missing:
        write_page(tmp_path / "missing.cwa", out)
    assert missing.value.filename == str(tmp_path / "missing.cwa")
    with pytest.raises(RecordingError, match="got another folder"):
        write_page(tmp_path / "folder", out)
    with pytest.raises(RecordingError, match="not a recording"):
        write_page(tmp_path / "README.md", out)
    assert not out.exists()


def test_a_value_and_its_sd_have_equally_many_digits() -> None:
    assert learning._with_spread(0.31, 0.00315) == "0.310 \u00b1 0.003"
    assert learning._with_spread(0.31, None) == "0.310"
    assert learning._with_spread(None, None) == "\u2013"


def test_a_page_is_written_of_whatever_lies_there(tmp_path: Path) -> None:
    from imuspec.report import write_page

    (tmp_path / "bad.cwa").write_text("hello")
    written = write_page(tmp_path / "bad.cwa", tmp_path / "bad.html")
    assert (written.kind, "cwa: expected" in written.problem) == ("recording", True)
    assert write_page(training(tmp_path), tmp_path / "run.html").kind == "training"
