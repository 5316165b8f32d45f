"""The readme's figures are those of the report, and a section of it can be made anew alone."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| ([\d.]+x) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report", ROOT / "benches" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readmes_rows_are_in_the_report() -> None:
    readme = (ROOT / "README.md").read_text("utf-8").split("## How fast")[1].split("\n## ")[0]
    measured = ROW.findall((ROOT / "benches" / "RESULTS.md").read_text("utf-8"))
    told = ROW.findall(readme)
    assert len(told) >= 8
    for row in told:
        assert row in measured


def test_a_section_is_written_alone(report: ModuleType) -> None:
    rows = report.interleaved_rows('text\n{"what": "a|b", "ours_s": 0.002, "peer": "p", "peer_s": 0.03, "note": "n"}\n')
    script = ROOT / "benches" / "interleaved_image.py"
    section = report.section(script, rows, ", load 0.5 before the run")
    assert "| a/b | 2 ms | p | 30 ms | 15.0x | n |" in section
    assert "load 0.5" in section
    assert section.startswith(f"## Image: {report.processor()}\n")
    first = report.joined("", [section, "## Recording: a processor\n\nold\n", "## Image: another processor\n\nother\n"])
    again = report.joined(first, [section.replace("15.0x", "16.0x")])
    assert "16.0x" in again
    assert "15.0x" not in again
    assert again.count("## ") == 3
    assert "old" in again
    assert "other" in again
