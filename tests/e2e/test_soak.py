"""The soak run in small: a few dozen recordings, a worker killed after every few."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import soak


def test_workers_killed_at_random_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--recordings", "60", "--minutes", "60", "--kill-every", "6", "--engine", "local"]
    monkeypatch.setattr(sys, "argv", ["soak.py", *arguments, "--folder", str(tmp_path)])
    assert soak.main() == 0
    result = json.loads(capsys.readouterr().out)
    assert result["faults"] == []
    assert sum(result["outcomes"].values()) == 60
    assert result["kills"] >= 2
