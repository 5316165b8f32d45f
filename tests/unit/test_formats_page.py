"""docs/reference/formats.md names the events that the code has, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from imuspec.report import words

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/formats.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z_]+)` \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
NOTED = re.compile(r'(?:Event::at|\bevent|\bnote|\bleave_out|\bErr)\(\s*"([a-z]+_[a-z_]+|gap|restart|misaligned)"')


def sources() -> str:
    """Return the text of the readers and of the preparation, without their tests."""
    files = [path for folder in ("device", "preparation") for path in (ROOT / "rust" / folder).rglob("*.rs")]
    return "\n".join(path.read_text("utf-8").partition("#[cfg(test)]")[0] for path in files)


def test_the_page_has_a_row_for_every_event_with_words_and_no_other() -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) == len(set(rows))
    assert set(rows) == set(words._MEANINGS)


def test_every_event_that_the_readers_note_is_on_the_page() -> None:
    noted = set(NOTED.findall(sources()))
    assert len(noted) > 50
    assert noted <= set(ROW.findall(PAGE))


def test_every_event_that_the_table_of_formats_names_has_a_row() -> None:
    table = PAGE.partition("## What each format states")[2].partition("## Quality events")[0]
    named = {name for name in re.findall(r"`([a-z_]+)`", table) if "_" in name} - {"activity_bin", "damaged_share"}
    assert named <= set(ROW.findall(PAGE))


def test_the_table_has_a_row_for_every_format() -> None:
    rows = re.findall(r"^\| ([A-Za-z0-9, ]+?) \| (.*) \|$", PAGE, re.MULTILINE)
    cells = {name: row.count(" | ") for name, row in rows}
    formats = ("Axivity CWA, OMX", "ActiGraph gt3x", "GENEActiv", "Matrix", "NHANES", "CSV, text", "Parquet", "NPZ")
    assert {name: cells.get(name) for name in formats} == dict.fromkeys(formats, 4)
