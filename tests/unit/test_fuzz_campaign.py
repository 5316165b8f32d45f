"""What fuzzing begins from, and the table that it prints."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import imuspec

ROOT = Path(__file__).parents[2]
LOG = """process: text for 5 s
#2\tINITED cov: 10 ft: 20 corp: 1/1b exec/s: 0 rss: 30Mb
#4096\tpulse  cov: 150 ft: 300 corp: 9/99b lim: 4 exec/s: 900 rss: 31Mb
==1== ERROR: libFuzzer: deadly signal
artifact_prefix='/a/text/'; Test unit written to /a/text/crash-1
stat::number_of_executed_units: 5000
ran: 2.5 s
process: text for 2 s
#1024\tNEW    cov: 160 ft: 310 corp: 10/100b lim: 4 exec/s: 900 rss: 31Mb
"""


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fuzz_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    return _loaded(ROOT / "fuzz" / "campaign.py")


@pytest.fixture(scope="module")
def seeds() -> ModuleType:
    return _loaded(ROOT / "tests" / "fuzz" / "seeds.py")


def test_every_recording_that_fuzzing_begins_from_is_read(seeds: ModuleType, tmp_path: Path) -> None:
    for kind, name, content in seeds.recordings():
        (tmp_path / name).write_bytes(content)
        recording = imuspec.read(tmp_path / name)
        assert recording.time.size >= 12, name
        assert recording.format == {"text": "csv"}.get(kind, kind), name


def test_every_target_has_inputs_within_its_length_and_a_program(seeds: ModuleType, campaign: ModuleType) -> None:
    longest: dict[str, int] = {}
    for target, _, content in seeds.inputs():
        if target != "prepare" or len(content) <= campaign.TARGETS[target][0]:  # prepare takes the shorter ones
            longest[target] = max(longest.get(target, 0), len(content))
    assert sorted(longest) == sorted(campaign.TARGETS)
    assert {name: n for name, n in longest.items() if n > campaign.TARGETS[name][0] + 1} == {}
    assert {path.stem for path in (ROOT / "fuzz" / "fuzz_targets").glob("*.rs")} == set(campaign.TARGETS)


def test_the_log_of_a_target_that_found_something_and_goes_on_gives_its_row(campaign: ModuleType) -> None:
    row = campaign.row_of("text", LOG)
    assert row == ("text", 6024, 2.5, 160, ["/a/text/crash-1"])
    assert "| text | 6,024 | 2,410 | 160 | 1 |" in campaign.table([row])
    assert "| all | 6,024 | | | 1 |" in campaign.table([row])
