"""The bench of a GPU runs on a CPU with small sizes, so that a session with a card measures at once."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from imuspec import encoders
from training_task import SmallEncoder
from wear_cohort import write_cohort

PATH = Path(__file__).parents[2] / "benches" / "gpu.py"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_bench", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_bench", module)
    spec.loader.exec_module(module)
    return module


def numbers(report: str) -> list[float]:
    """Items a second of each row."""
    rows = [line for line in report.splitlines() if line.startswith("| ")][2:]
    return [float(row.split("|")[2].replace(",", "")) for row in rows]


def test_every_row_of_the_gpu_bench_runs_and_the_report_names_the_machine(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = encoders.build
    monkeypatch.setattr(
        encoders, "build", lambda name, **settings: SmallEncoder() if name == "resnet18" else build(name, **settings)
    )
    out = tmp_path / "gpu.md"
    bench.main(["--cpu", "--tiny", "--out", str(out)])
    report = out.read_text("utf-8")
    rates = numbers(report)
    assert len(rates) == 32
    assert sum(rate > 0 for rate in rates) >= 25  # without graphs, lightly and a cohort
    assert all(name in report for name in ("compiled, as a graph", "int16 to uint8, fused", "torch.stft by hand"))
    assert "no GPU" in report
    assert torch.__version__ in report


def test_days_of_a_cohort_are_read_from_a_cold_and_a_warm_cache(bench: ModuleType, tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", {"A": 25.0})
    out = tmp_path / "gpu.md"
    bench.main(["--cpu", "--tiny", "--rows", "feeding", "--cohort", str(tmp_path / "cohort"), "--out", str(out)])
    report = out.read_text("utf-8")
    assert "0 workers, cold page cache" in report
    assert "0 workers, warm page cache" in report
    assert all(rate > 0 for rate in numbers(report))
