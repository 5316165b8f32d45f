"""The readme's figures are those of the report, and a section of it can be made anew alone."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report() -> ModuleType:
    spec = importlib.util.spec_from_file_location("report", ROOT / "benches" / "report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_has_the_figures_of_the_report(report: ModuleType) -> None:
    table = report.summary((ROOT / "benches" / "RESULTS.md").read_text("utf-8"))
    assert table.count("x |") == 16
    assert table in (ROOT / "README.md").read_text("utf-8")


def test_the_summary_has_a_column_for_each_processor(report: ModuleType) -> None:
    row = "| a week to arrays | {} | actipy_read | 9 s | {} | |\n"
    text = "# Results\n\n## Recording: A, avx2\n\n" + row.format("2 s", "4.5x")
    lines = report.summary(text + "\n## Recording: B, avx512\n\n" + row.format("1 s", "9.0x")).splitlines()
    assert lines[0] == "| task | alternative | A, avx2 | B, avx512 |"
    assert "| a week to arrays | actipy_read | 2 s, 4.5x | 1 s, 9.0x |" in lines
    assert "| a week to arrays | cwa_reader_rs_read | - | - |" not in lines


def test_a_section_is_written_alone(report: ModuleType) -> None:
    rows = report.interleaved_rows(
        'text\n{"what": "a|b", "imuspec_s": 0.002, "peer": "p", "peer_s": 0.03, "note": "n"}\n'
    )
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
