"""The masked auto-encoder from a cohort to a run: resumed bit for bit, the same in two processes, then probed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gate import PATIENCE_S
from imuspec import Cohort
from imuspec.cli import main
from imuspec.pretraining.pretraining import pretrain
from imuspec.pretraining.schedule import learning_rate
from imuspec.recipe import PretrainRecipe
from imuspec.run.run import Run
from wear_cohort import write_cohort

RECIPE = (
    PretrainRecipe.load("mae-lmm")
    .tiny()
    .set("source.recordings=2", "source.hours=0.1", "source.validation=0.3", "training.epochs=3", "objective.mse=0.1")
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("wear")
    return write_cohort(folder / "cohort", {"a": 0.2, "b": 0.25, "c": 0.02, "d": 0.2, "e": 0.15, "f": 0.2})


@pytest.fixture(scope="module")
def run(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return pretrain(RECIPE, cohort.path, tmp_path_factory.mktemp("runs") / "whole")


def weights(run: Run) -> dict[str, torch.Tensor]:
    state = run.load_checkpoint()
    assert state is not None
    return {key: value for key, value in state["objective"].items() if isinstance(value, torch.Tensor)}


def test_a_run_reports_both_parts_and_validates_without_weights(run: Run) -> None:
    lines = run.metrics()
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 7))
    assert all({"lmm", "mse"} <= set(line) for line in lines if "loss" in line)
    validated = [line for line in lines if "validation_lmm" in line]
    assert len(validated) == 3
    last = validated[-1]
    assert last["validation_loss"] == pytest.approx(last["validation_lmm"] + 0.1 * last["validation_mse"], rel=1e-4)
    assert run.load_encoder()(torch.zeros(1, 3, 900)).shape == (1, 3, 32)


def test_a_resumed_run_has_the_same_bits(run: Run, cohort: Cohort, tmp_path: Path, monkeypatch) -> None:
    from imuspec.datasets import WearDays

    whole = WearDays.epoch

    def interrupted(self: WearDays, epoch: int, first_step: int = 0) -> object:
        for step, batch in enumerate(whole(self, epoch, first_step), first_step):
            if (epoch, step) == (1, 1) and self.seed_of_draws < 2**31:
                os.kill(os.getpid(), 2)  # asks to stop after this step
            yield batch

    monkeypatch.setattr(WearDays, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt, match="after step 4 of 6"):
        pretrain(RECIPE, cohort.path, tmp_path / "run")
    monkeypatch.undo()
    resumed = pretrain(RECIPE, cohort.path, tmp_path / "run", resume=True)
    for key, value in weights(run).items():
        assert torch.equal(value, weights(resumed)[key]), key


def test_two_processes_give_what_one_gives(run: Run, cohort: Cohort, tmp_path: Path) -> None:
    """Though one of them gets the recording that is too short for a window."""
    (tmp_path / "recipe.json").write_text(RECIPE.to_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "imuspec.cli",
        "pretrain",
        str(tmp_path / "recipe.json"),
        "--data",
        str(cohort.path),
    ]
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [*command, "--out", str(tmp_path / "two")],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    message = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], message
    two = Run(tmp_path / "two")
    for key, value in weights(run).items():
        torch.testing.assert_close(weights(two)[key], value, rtol=0, atol=1e-5)
    for one, other in zip(run.metrics(), two.metrics(), strict=True):
        for key in ("validation_lmm", "validation_mse"):
            assert one.get(key, 0.0) == pytest.approx(other.get(key, 0.0), abs=1e-4)


def test_half_precision_trains_too(cohort: Cohort, tmp_path: Path) -> None:
    half = pretrain(RECIPE.set("training.precision=bf16-mixed", "training.epochs=1"), cohort.path, tmp_path / "half")
    assert half.metrics()[0]["loss"] < 20


def test_nonwear_can_be_trained_on_as_missing_patches(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "cohort", {"a": 0.15, "b": 0.15}, nonwear=(6000, 9100))
    recipe = RECIPE.set("source.missing=mask", "source.validation=0", "training.epochs=1", "source.recordings=2")
    run = pretrain(recipe, cohort.path, tmp_path / "run")
    assert run.metrics()[-1]["loss"] < 20


def test_the_rates_are_the_papers() -> None:
    rate = learning_rate(PretrainRecipe.load("mae-lmm").training)
    steps = 12_255
    assert rate(0, steps) == pytest.approx(1e-3 / steps)
    assert rate(steps - 1, steps) == pytest.approx(1e-3)
    assert rate(steps, steps) == pytest.approx(1e-3)
    assert rate(3 * steps + steps // 2, steps) == pytest.approx(5e-4, rel=1e-3)
    assert rate(20 * steps - 1, steps) < 1e-9
    assert rate(5 * steps, steps) == pytest.approx(1e-3)


def test_recipes_that_do_not_fit_together_are_refused(cohort: Cohort, tmp_path: Path, capsys) -> None:
    for name in ("mae-lmm", "mae-mse", "mae-lmm-mse", "mae-lmm-small"):
        assert PretrainRecipe.load(name).objective.name == "masked"
    with pytest.raises(ValueError, match="views: expected unchanged for objective masked, got img2imu"):
        PretrainRecipe.load("mae-lmm").set("views.name=img2imu")
    with pytest.raises(ValueError, match=r"encoder\.patch"):
        pretrain(RECIPE.set("encoder.patch=100"), cohort.path, tmp_path / "run")
    with pytest.raises(SystemExit):
        main(["pretrain", "mae-lmm", "--data", str(tmp_path), "--out", str(tmp_path / "other"), "--tiny"])
    assert "expected a folder that" in capsys.readouterr().err
