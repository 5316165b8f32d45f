"""docs/explanation/resampling.md: its shares are those that the code keeps of a tone."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "explanation" / "resampling.md").read_text("utf-8")
ROWS = re.findall(r"^\| (\d+) Hz \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    described = importlib.util.spec_from_file_location("draw_resampling", DOCS / "draw_resampling.py")
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def test_the_shares_of_the_page_are_those_that_the_code_keeps(drawing: ModuleType) -> None:
    assert len(ROWS) == 3
    for tone, *shares in ROWS:
        rules = [(25, "linear"), (50, "linear"), (100, "linear"), (100, "polyphase")]
        for stated, (rate, method) in zip(shares, rules, strict=True):
            assert 100 * drawing.share(float(tone), rate, method) == pytest.approx(float(stated), abs=0.06)
    cells = {tone: shares for tone, *shares in ROWS}
    assert f"10 Hz keeps {cells['10'][2]} %" in PAGE
    assert f"5 Hz {cells['5'][0]} % from 25 Hz" in PAGE


def test_the_figure_names_every_rate(drawing: ModuleType) -> None:
    figure = drawing.PICTURE.read_text("utf-8")
    assert figure.count("<polyline") == 4
    for label in (*(f"{rate} Hz, linear" for rate in drawing.COLOURS), "100 Hz, polyphase"):
        assert label in figure
