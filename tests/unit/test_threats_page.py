"""Every promise of the page on threats names a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threats.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    bound = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    bound |= {ast.unparse(target) for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    assert name in bound


def test_every_promise_has_a_test_and_every_section_says_what_is_not_promised() -> None:
    tables = re.findall(r"^\| promise \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) >= 30
    assert [row for row in rows if "`tests/" not in row] == []
    sections = PAGE.split("\n## ")[1:]
    promising = [section for section in sections if "| promise |" in section]
    assert [section for section in promising if "\nNot promised:\n" not in section] == []
