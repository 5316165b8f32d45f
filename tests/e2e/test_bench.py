"""`imuspec bench` measures what is installed, and refuses to compare results that differ."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imuspec.bench import PHONES, comparison, costs, model_costs, peers, table3, timing
from imuspec.cli import main


@pytest.fixture(autouse=True)
def _two_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The costs of two rounds in place of ten."""
    monkeypatch.setattr(table3, "_ROUNDS", 2)


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    return out


def test_bench_prints_a_table_for_each_job_with_ours_first(monkeypatch, capsys) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr(comparison, "_N", 8)
    monkeypatch.setattr(comparison, "_PATCHES", 2)
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    message = _run(capsys, "bench", "--quick")
    assert torch.get_num_threads() == before
    for job in ("spectrogram in dB", "pictures of 96 x 128", "LMM features"):
        assert job in message
    lines = message.splitlines()
    rows = [line for line in lines if line.startswith(("imuspec", "scipy.signal.spectrogram"))]
    assert "imuspec" in rows[0]
    assert any("scipy.signal.spectrogram" in row for row in rows)
    assert "one window, us" in message


def test_a_library_that_is_not_installed_is_left_out_and_ours_is_left(monkeypatch) -> None:
    requested: list[str] = []
    monkeypatch.setattr(peers, "installed", requested.append)  # which returns None: nothing is installed
    x = peers.windows(2, 3, 500)
    for calls in (
        peers.spectrogram_calls(x, 64, 32, 1),
        peers.image_calls(x, 64, 32, 1),
        peers.magnitude_calls(x, 1),
    ):
        assert all(name.startswith("imuspec") for name in calls)
        assert all(call() is not None for call in calls.values())
    assert {"scipy", "torch"} <= {name.split(".")[0] for name in requested}


@pytest.mark.parametrize("job", ["spectrogram", "image", "magnitude"])
def test_every_peer_that_is_installed_gives_our_result(job: str) -> None:
    x = peers.windows(3, 3, 500)
    calls, agree = {
        "spectrogram": (peers.spectrogram_calls(x, 64, 60, 1), peers.same_decibels),
        "image": (peers.image_calls(x, 64, 60, 1, "float32"), peers.same_picture),
        "magnitude": (peers.magnitude_calls(x[..., :300], 1), peers.same_features),
    }[job]
    ours = calls["imuspec"]()
    for call in calls.values():
        agree(ours, call())
    with pytest.raises(AssertionError, match="expected the peer's"):
        agree(ours, np.asarray(ours) + 30)


def test_results_that_differ_are_not_timed() -> None:
    def agree(ours: Any, theirs: Any) -> None:
        if ours != theirs:
            raise AssertionError("differ")

    assert len(timing.interleaved({"a": lambda: 1, "b": lambda: 1}, rounds=2, least_s=1e-4, agree=agree)) == 2
    with pytest.raises(AssertionError, match="differ"):
        timing.interleaved({"a": lambda: 1, "b": lambda: 2}, rounds=2, least_s=1e-4, agree=agree)


def test_memory_is_what_a_call_takes_at_most() -> None:
    grown = timing.peak_memory(lambda: np.ones(8_000_000).sum())
    if grown is None:
        pytest.skip("this system does not tell")
    assert 50e6 < grown < 100e6
    remaining = timing.peak_memory(lambda: 1)
    assert remaining is not None
    assert remaining < 5e6


def test_table3_shows_this_machine_beside_the_papers_phones(monkeypatch, capsys) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(table3, "installed", lambda name: None if "onnx" in name else peers.installed(name))
    before = torch.get_num_threads()
    message = _run(capsys, "bench", "table3")
    assert torch.get_num_threads() == before
    for part in ("visualise", "inference", "this machine, 1 thread", "ResNet-18, PyTorch", "Galaxy S20 Ultra", "55.33"):
        assert part in message
    assert len(PHONES) == 6


def test_table3_measures_the_encoder_of_a_run(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("torch")
    from imuspec import encoders
    from imuspec.run.run import Run

    run = tmp_path / "photographs"
    Run(run).save_encoder(encoders.build("resnet18"))
    monkeypatch.setattr(table3, "installed", lambda name: None if "onnx" in name else peers.installed(name))
    message = _run(capsys, "bench", "table3", "--model", str(run))
    assert "this machine, 1 thread, photographs, PyTorch" in message
    assert "ResNet-18" not in message
    with pytest.raises(SystemExit) as stop:
        main(("bench", "table3", "--model", str(tmp_path / "none")))
    assert stop.value.code != 0
    assert "none" in capsys.readouterr().err


def test_a_given_network_is_measured_in_both_runtimes() -> None:
    nn = pytest.importorskip("torch").nn
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 12 * 16, 8))
    measured = costs(network, name="small")
    machines = [cost.machine for cost in measured if cost.step == "inference"]
    assert any("small, PyTorch" in machine for machine in machines)
    assert any("small, ONNX Runtime" in machine for machine in machines)
    assert all(cost.ms > 0 for cost in measured)


def saved(folder: Path, encoder: str | None) -> Path:
    """A small fitted model in its folder."""
    pytest.importorskip("torch")
    from imuspec import encoders
    from imuspec.experiments.made_up import made_up_windows
    from imuspec.prediction import fit_windows
    from imuspec.recipe import FitRecipe

    recipe = FitRecipe().set("split.folds=3", "pictures.nfft=64", "pictures.hop=32", "pictures.size=[24,32]")
    built = None if encoder is None else encoders.build(encoder).eval()
    fit_windows(built, made_up_windows(n_subjects=3, n_windows=2), recipe).save(folder)
    return folder


@pytest.mark.parametrize(
    ("encoder", "steps"),
    [
        ("resnet18", ["visualise", "inference", "whole"]),
        ("cpc", ["inference", "whole"]),
        (None, ["statistics", "inference", "whole"]),
    ],
)
def test_table3_measures_the_parts_of_a_model_and_the_whole(
    encoder: str | None, steps: list[str], tmp_path: Path, capsys
) -> None:
    model = saved(tmp_path / "fitted", encoder)
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    measured = json.loads(_run(capsys, "bench", "table3", "--json", "--model", str(model)))["measured"]
    assert torch.get_num_threads() == before
    threads = [f"{n} thread{'s' * (n > 1)}" for n in table3.thread_counts()]
    expected = [(f"this machine, {n}, fitted, Python", step) for n in threads for step in steps]
    if encoder is not None and installed_packages("onnxruntime", "onnxscript"):
        expected += [(f"this machine, {n}, fitted, ONNX Runtime", "whole") for n in threads]
    if encoder is not None and installed_packages("executorch"):
        assert measured[-1]["step"] == "whole"
        assert measured[-1]["machine"].endswith("fitted, ExecuTorch")  # its number of threads is its own choice
        assert measured[-1]["ms"] > 0
        measured = measured[:-1]
    assert [(cost["machine"], cost["step"]) for cost in measured] == expected
    assert all(cost["ms"] > 0 for cost in measured)


def installed_packages(*names: str) -> bool:
    return all(peers.installed(name) for name in names)


def test_a_graph_that_differs_from_python_is_not_timed(tmp_path: Path, monkeypatch) -> None:
    if not installed_packages("onnxruntime", "onnxscript"):
        pytest.skip("ONNX Runtime is not installed")
    from imuspec import load
    from imuspec.prediction import export

    model = load(saved(tmp_path / "fitted", "cpc"))
    outputs_of = export.outputs_of
    monkeypatch.setattr(export, "outputs_of", lambda *given: [part + 0.1 for part in outputs_of(*given)])
    with pytest.raises(RuntimeError, match="expected probabilities within"):
        model_costs(model)


def test_steps_take_turns_each_with_its_threads(monkeypatch) -> None:
    calls: list[str] = []
    threads: list[int] = []
    monkeypatch.setattr(table3._core, "set_threads", threads.append)
    steps = [table3.Step("m", name, n, partial(calls.append, name)) for name, n in (("a", 1), ("b", 2))]
    measured = table3.costs_of_steps(steps, rounds=3)
    assert "".join(calls) == "ab" + 3 * "aabb"
    assert threads == [1, 2] + 3 * [1, 2] + [0]
    assert [cost.step for cost in measured] == ["a", "b"]


def test_memory_that_an_earlier_call_freed_counts_for_the_next() -> None:
    if timing.peak_memory(lambda: 1) is None:
        pytest.skip("this system does not tell")
    blocks = [bytes(60_000) for _ in range(1000)]  # below the size that is mapped by itself
    del blocks[::2]  # holes, which the heap keeps
    grown = timing.peak_memory(lambda: 1)
    assert grown is not None
    assert grown < 5e6
    grown = timing.peak_memory(lambda: [bytes(60_000) for _ in range(500)])
    assert grown is not None
    assert grown > 15e6


def test_without_torch_a_picture_on_one_thread_is_measured_first(monkeypatch) -> None:
    monkeypatch.setattr(table3, "installed", lambda name: None if name == "torch" else peers.installed(name))
    first = costs(onnx=False)[0]
    assert (first.step, first.machine) == ("visualise", "this machine, 1 thread")
    assert first.ms > 0
    assert first.cpu_percent > 0
