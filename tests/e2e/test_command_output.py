"""What commands print: JSON for programs, tabs in a pipe, nothing with --quiet."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imuspec import cli
from imuspec.simulation import simulate, write_gt3x

SHORT = ("--recipe", "capture24", "--set", "segments.min_wear_h=0.1", "--set", "calibration.required=false")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, one of them too short, and their cohort."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / "in").mkdir()
    simulate(folder / "in" / "p1.cwa", days=0.02, seed=1, damage=("lost",))
    simulate(folder / "in" / "p2.cwa", days=0.002, seed=2)
    with pytest.raises(SystemExit) as ended:
        cli.main(["prepare", str(folder / "in"), "--out", str(folder / "cohort"), *SHORT])
    assert not ended.value.code
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def commands(folder: Path, out: Path) -> list[tuple[object, ...]]:
    """Commands that print a table and need no extra."""
    return [
        ("info", folder / "in" / "p1.cwa"),
        ("info", folder / "in"),
        ("prepare", folder / "in", "--out", out / "cohort", *SHORT),
        ("cohort", "status", folder / "cohort"),
        ("cohort", "verify", folder / "cohort"),
        ("cohort", "export", folder / "cohort", "--out", out / "export"),
        ("recipe",),
        ("recipe", "ukb"),
        ("datasets",),
        ("datasets", "hapt"),
        ("doctor",),
    ]


def keys(value: Any) -> Iterator[str]:
    """Every key of a JSON document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@pytest.mark.parametrize("number", range(11))
def test_json_is_one_document_with_keys_of_one_style(
    number: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, *commands(folder, tmp_path)[number], "--json")
    assert code == 0
    result = list(keys(json.loads(out)))
    assert result
    assert [key for key in result if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", key)] == []
    capsys.readouterr()
    quiet = run(capsys, *commands(folder, tmp_path / "again")[number], "--json", "--quiet")
    assert (quiet[0], quiet[2]) == (0, "")
    assert json.loads(quiet[1])


@pytest.mark.parametrize("number", range(11))
def test_a_table_in_a_pipe_has_tabs_and_no_padding(
    number: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = commands(folder, tmp_path)[number]
    code, out, _ = run(capsys, *command)
    assert (code, "\x1b" in out) == (0, False)
    assert [line for line in out.splitlines() if line != line.rstrip(" ")] == []
    if command[0] != "doctor":
        assert [line for line in out.splitlines() if "   " in line] == []
    if command[0] in ("recipe", "datasets"):
        assert all("\t" in line for line in out.splitlines()[1:])


@pytest.mark.parametrize("number", range(11))
def test_quiet_prints_nothing(number: int, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *commands(folder, tmp_path)[number], "--quiet") == (0, "", "")


def test_quiet_prints_errors_and_does_not_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "info", "nowhere", "--quiet") == (1, "", "error: nowhere: no such file or directory\n")
    assert run(capsys, "recipe")[1]


def test_the_facts_of_a_recording_are_there_once_and_its_events_are_grouped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads(run(capsys, "info", folder / "in" / "p1.cwa", "--json")[1])
    assert facts["nominal_rate_hz"] == 100
    assert 98 < facts["sample_rate_hz"] < 99.5
    assert sum("rate" in key for key in facts) == 2
    assert facts["size_bytes"] == (folder / "in" / "p1.cwa").stat().st_size
    assert facts["recorded_s"] < facts["span_s"]
    lost = facts["events"]["lost_blocks"]
    assert lost["n"] == sum(location["n"] for location in lost["places"]) > 0
    assert {location["time"][:13] for location in lost["places"]} == {"2023-05-15T10"}
    assert not [key for key in facts if "wear" in key.lower()]  # no wear was looked for


def test_dates_of_an_actigraph_are_times_and_not_ticks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signal = np.zeros((3, 3000), np.float32)
    signal[2] = 1
    time = np.datetime64("2023-05-15T10:00:00", "ns").astype(np.int64) + np.arange(3000) * 1_000_000_000 // 30
    write_gt3x(tmp_path / "a.gt3x", signal, time)
    metadata = json.loads(run(capsys, "info", tmp_path / "a.gt3x", "--json")[1])["metadata"]
    assert not [value for value in metadata.values() if re.fullmatch(r"\d{15,}", value or "")]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", metadata["start_date"])
    table = run(capsys, "info", tmp_path / "a.gt3x")[1]
    assert f"start date\t{metadata['start_date']}" in table


def test_one_file_has_one_size_in_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "s.cwa"
    shown = run(capsys, "simulate", path, "--days", 0.05)[1]
    size = re.findall(r"[\d.]+ [kM]?i?B", shown)
    assert size == [f"{path.stat().st_size / 1e6:.3g} MB"]
    assert f"file\t{size[0]}" in run(capsys, "info", path)[1]
    assert f"s.cwa\t{size[0]}" in run(capsys, "info", tmp_path / "in")[1]


@pytest.mark.parametrize("command", sorted(name for name in cli.app if not name.startswith("-")))
def test_help_describes_every_option_and_shows_no_false(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    children = [name for name in cli.app[command] if not name.startswith("-")]
    for words in [(command,), *((command, child) for child in children)]:
        chosen = cli.app[command] if len(words) == 1 else cli.app[command][words[1]]
        for argument in chosen.assemble_argument_collection(parse_docstring=True) if chosen.default_command else ():
            assert argument.parameter.help or argument.children, f"{words}: {argument.name}"
        text = run(capsys, *words, "--help")[1]
        assert "[default: False]" not in text
        assert "--help" not in text or "Usage" in text


@pytest.mark.parametrize("command", ["datasets", "experiment", "models", "recipe"])
def test_help_says_that_a_name_is_optional(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"NAME\s+Optional:", run(capsys, command, "--help")[1])


@pytest.mark.parametrize("words", [("embed",), ("bench",), ("cohort", "export")])
def test_help_shows_the_paragraphs_of_a_docstring_and_not_its_lines(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "imuspec.cli", *words, "--help"]
    environment = {**os.environ, "COLUMNS": "2000"}  # a console takes it when it is made: not in this process
    text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    first = {
        "embed": "A cohort is embedded in parallel, .* work on this folder.$",
        "bench": "Each row is a library.*within 4 levels on average.$",
        "cohort": "The columns are time_ns.*a recording is excluded.$",
    }
    assert re.search(first[words[0]], text, re.MULTILINE)
    assert "--json" in text
