"""How a training computes: stated for each device, recorded in the run, refused where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from imuspec import objectives
from imuspec.pretraining.computation import LEAST_STEPS, computing, resolve
from imuspec.pretraining.loop import train
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run
from training_task import ArraySource, SmallEncoder, stripes

AUTO = TrainingSettings()


def a_card(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


@pytest.mark.parametrize(
    ("capability", "n_steps", "one_graph", "precision", "compiled"),
    [
        ((9, 0), LEAST_STEPS, True, "bf16-mixed", True),
        ((8, 0), LEAST_STEPS - 1, True, "bf16-mixed", False),
        ((8, 0), LEAST_STEPS, False, "bf16-mixed", False),
        ((7, 5), LEAST_STEPS, True, "32-true", True),
    ],
)
def test_auto_means_what_the_card_has(
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    n_steps: int,
    one_graph: bool,
    precision: str,
    compiled: bool,
) -> None:
    a_card(monkeypatch, capability)
    settings = resolve(AUTO, n_steps=n_steps, one_graph=one_graph)
    assert (settings.device, settings.precision, settings.compile) == ("cuda", precision, compiled)
    on_cpu = resolve(TrainingSettings(device="cpu"), n_steps=n_steps, one_graph=one_graph)
    assert (on_cpu.device, on_cpu.precision, on_cpu.compile) == ("cpu", "32-true", False)


def test_what_a_recipe_states_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    a_card(monkeypatch, (9, 0))
    stated = TrainingSettings(device="cuda", precision="32-true", compile=False, channels_last=False, tf32=False)
    assert resolve(stated, n_steps=10**6, one_graph=True) == stated


@pytest.mark.parametrize(
    ("settings", "world", "message"),
    [
        ({"device": "cpu"}, 1, r"training.graph: expected false, as only a GPU has graphs, got true on cpu"),
        ({}, 2, r"training.graph: expected false, or one process, got true and 2 processes"),
        ({"precision": "16-mixed"}, 1, r"training.graph: .* got true and 16-mixed"),
    ],
)
def test_a_graph_is_refused_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], world: int, message: str
) -> None:
    a_card(monkeypatch, (9, 0))
    with pytest.raises(ValueError, match=message):
        resolve(TrainingSettings(graph=True, **settings), n_steps=1, one_graph=True, world=world)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_by_its_setting(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"training.device: expected auto or cpu, as this machine has no {device}"):
        resolve(TrainingSettings(device=device), n_steps=1, one_graph=True)


def test_a_training_refuses_a_graph_on_a_cpu_before_it_writes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training.graph: expected false"):
        train(
            objectives.build("supervised", SmallEncoder(), n_classes=2),
            ArraySource(*stripes(64, 1), batch=32),
            settings=TrainingSettings(epochs=1, device="cpu", graph=True),
            run=Run(tmp_path),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tf32", [True, False])
def test_the_rules_of_a_card_hold_in_the_training_alone(tf32: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with computing(TrainingSettings(device="cuda", tf32=tf32)):
        assert torch.backends.cudnn.allow_tf32 is tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.deterministic
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before
    assert not torch.are_deterministic_algorithms_enabled()
    with computing(TrainingSettings(device="cuda", deterministic=False)):
        assert not torch.are_deterministic_algorithms_enabled()


def trained(run: Run, settings: TrainingSettings, *, resume: bool = False) -> dict[str, Tensor]:
    torch.manual_seed(0)
    pictures = stripes(512, 1)[0]
    objective = objectives.build("moco", SmallEncoder(), features=8, queue=128, norm_group=8)
    source = ArraySource(pictures, pictures + 0.3, batch=32)
    train(objective, source, settings=settings, run=run, resume=resume)
    state = run.load_checkpoint()
    assert state is not None
    return dict(state["objective"])


def test_a_run_records_how_it_computes_and_a_resumed_one_names_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, settings = Run(tmp_path), TrainingSettings(epochs=1, batch=32, device="cpu")
    trained(run, settings)
    facts = json.loads((tmp_path / "computation.json").read_text())
    assert facts["device"] == "cpu"
    assert facts["precision"] == "32-true"
    assert facts["compile"] is facts["graph"] is False
    capsys.readouterr()
    trained(run, settings, resume=True)
    assert "resumed" not in capsys.readouterr().err
    trained(run, settings.model_copy(update={"precision": "bf16-mixed"}), resume=True)
    assert "resumed with another precision: 32-true then, bf16-mixed now" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_graph_computes_the_same_numbers(tmp_path: Path, precision: str) -> None:
    settings = TrainingSettings(epochs=1, batch=32, device="cuda", precision=precision, base_lr=1e-3)
    expected = trained(Run(tmp_path / "usual"), settings)
    got = trained(Run(tmp_path / "graph"), settings.model_copy(update={"graph": True}))
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("graph", [False, True])
def test_a_resumed_training_on_a_card_gives_the_same_bits(tmp_path: Path, graph: bool) -> None:
    settings = TrainingSettings(epochs=2, batch=32, device="cuda", graph=graph)
    whole = trained(Run(tmp_path / "whole"), settings)
    stopped = Run(tmp_path / "stopped")
    source_epoch, broken = ArraySource.epoch, iter([False, True])

    def epoch(self: ArraySource, number: int, first_step: int = 0) -> object:
        if next(broken, False):
            raise OSError("the disk is gone")
        return source_epoch(self, number, first_step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArraySource, "epoch", epoch)
        with pytest.raises(OSError, match="the disk is gone"):
            trained(stopped, settings.model_copy(update={"checkpoint_steps": 16}))
    resumed = trained(stopped, settings.model_copy(update={"checkpoint_steps": 16}), resume=True)
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
