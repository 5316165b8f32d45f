"""The bench of a GPU runs on a CPU with small sizes, so that a session with a card measures at once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from imuspec import encoders
from training_task import SmallEncoder

PATH = Path(__file__).parents[2] / "benches" / "gpu.py"


def test_every_row_of_the_gpu_bench_runs_and_the_report_names_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("gpu_bench", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_bench", module)
    spec.loader.exec_module(module)
    build = encoders.build
    monkeypatch.setattr(
        encoders, "build", lambda name, **settings: SmallEncoder() if name == "resnet18" else build(name, **settings)
    )
    out = tmp_path / "gpu.md"
    module.main(["--cpu", "--tiny", "--out", str(out)])
    report = out.read_text("utf-8")
    lines = [line for line in report.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == 19
    assert "no GPU" in report
    assert torch.__version__ in report
    numbers = [float(line.split("|")[2].replace(",", "")) for line in lines]
    assert sum(number > 0 for number in numbers) >= 17
