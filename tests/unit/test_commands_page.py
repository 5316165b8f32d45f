"""docs/reference/options.md is what docs/write_commands.py makes of the commands."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "options.md").read_text("utf-8")


def test_the_page_of_options_is_made_of_the_commands() -> None:
    described = importlib.util.spec_from_file_location("write_commands", DOCS / "write_commands.py")
    assert described is not None
    assert described.loader is not None
    script = importlib.util.module_from_spec(described)
    described.loader.exec_module(script)
    assert script.page().splitlines() == PAGE.splitlines(), "run docs/write_commands.py"


def test_the_page_has_every_command_and_its_options() -> None:
    for command in ("prepare", "cohort status", "cohort export", "pretrain", "probe", "predict", "bench table3"):
        assert f" imuspec {command}\n" in PAGE
    for option in ("--resume", "--set", "--workers", "--people", "--json", "--coverage"):
        assert f"`{option}" in PAGE
