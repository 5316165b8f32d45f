"""The training loop: it learns, resumes to the same bits, stops where it must, and says what went wrong."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterator

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from imuspec import interrupts, objectives
from imuspec.objectives import Objective
from imuspec.pretraining.log import Log
from imuspec.pretraining.loop import CollapseError, NonFiniteLossError, train
from imuspec.pretraining.rates import peak_flop, step_flop
from imuspec.pretraining.schedule import learning_rate, peak_rate
from imuspec.progress import Progress
from imuspec.recipe import PretrainRecipe, TrainingSettings
from imuspec.run.run import Run
from reference_data import DATA, needs_data
from training_task import ArraySource, SmallEncoder, stripes

QUICK = TrainingSettings(epochs=3, batch=32, base_lr=3e-3, device="cpu", log_steps=4)


def supervised(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return objectives.build("supervised", SmallEncoder(), n_classes=2)


def source(cls: type[ArraySource] = ArraySource) -> ArraySource:
    return cls(*stripes(512, 1), batch=32)


def parameters(run: Run) -> dict[str, Tensor]:
    state = run.load_checkpoint()
    assert state is not None
    return dict(state["objective"])


def test_a_small_network_learns_which_way_stripes_run(tmp_path) -> None:
    objective = supervised()
    seen: list[int] = []

    def validate(trained: nn.Module, epoch: int) -> dict[str, float]:
        assert not trained.training
        seen.append(epoch)
        return {"validation_top1": float(trained(*stripes(256, 2))[1]["top1"])}

    run = train(objective, source(), settings=QUICK, run=Run(tmp_path), validate=validate)
    lines = run.metrics()
    validated = [line["validation_top1"] for line in lines if "validation_top1" in line]
    assert seen == [0, 1, 2]
    assert validated[-1] > 0.95
    assert lines[0]["loss"] > 2 * lines[-2]["loss"]
    assert [line["step"] for line in lines if "loss" in line] == [*range(4, 49, 4)]
    assert all(line["grad_norm"] > 0 and line["per_s"] > 0 for line in lines if "loss" in line)


class Interrupted(ArraySource):
    """A source that asks the process to end at a step, as a scheduler does, and goes on yielding."""

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, ...]]:
        for step, batch in enumerate(super().epoch(epoch, first_step), first_step):
            if (epoch, step) == (1, 5):
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch


class Crashed(ArraySource):
    """A source that fails at a step, seven steps after the last checkpoint."""

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, ...]]:
        for step, batch in enumerate(super().epoch(epoch, first_step), first_step):
            if (epoch, step) == (1, 11):
                raise OSError("the disk is gone")
            yield batch


@pytest.mark.parametrize(("broken", "error"), [(Interrupted, KeyboardInterrupt), (Crashed, OSError)])
@pytest.mark.parametrize("name", ["supervised", "moco"])
def test_a_resumed_training_gives_the_same_bits_as_one_that_never_stopped(tmp_path, broken, error, name) -> None:
    settings = QUICK.model_copy(update={"checkpoint_steps": 10})

    def begin(cls: type[ArraySource]) -> tuple[nn.Module, ArraySource]:
        torch.manual_seed(3)
        if name == "supervised":
            return supervised(), source(cls)
        pictures = stripes(512, 1)[0]
        pair = (pictures, pictures + 0.3)
        return objectives.build("moco", SmallEncoder(), features=8, queue=128, norm_group=8), cls(*pair, batch=32)

    whole = train(*begin(ArraySource), settings=settings, run=Run(tmp_path / "whole"))
    stopped = Run(tmp_path / "stopped")
    with pytest.raises(error):
        train(*begin(broken), settings=settings, run=stopped)
    torch.manual_seed(99)  # what happened in between does not matter
    resumed = train(*begin(ArraySource), settings=settings, run=stopped, resume=True)
    expected, got = parameters(whole), parameters(resumed)
    assert expected.keys() == got.keys()
    for key, value in expected.items():
        assert torch.equal(value, got[key]), key
    losses = [[(line["step"], line["loss"]) for line in run.metrics() if "loss" in line] for run in (whole, resumed)]
    remaining = [pair for pair in losses[0] if pair in losses[1]]
    assert losses[0][-1] == losses[1][-1]
    assert len(remaining) >= len(losses[0]) - 1  # a line that straddles the stop averages other steps


class Exploding(Objective):
    """A loss that is NaN from the sixth step on."""

    def __init__(self) -> None:
        super().__init__(SmallEncoder())
        self.steps = 0

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        del label
        self.steps += 1
        return self.encoder(x).mean() * (math.nan if self.steps >= 6 else 1.0), {}


def test_a_loss_that_is_not_finite_stops_and_keeps_nothing_of_it(tmp_path) -> None:
    settings = QUICK.model_copy(update={"checkpoint_steps": 5, "log_steps": 10})
    run = Run(tmp_path)
    with pytest.raises(NonFiniteLossError, match=r"expected a finite number, got nan at step 6 .*was saved before"):
        train(Exploding(), source(), settings=settings, run=run)
    state = run.load_checkpoint()
    assert state is not None
    assert state["step"] == 5
    assert all(torch.isfinite(value).all() for value in state["objective"].values())


class Collapsing(Objective):
    """Features that are all the same from the ninth step on."""

    def __init__(self) -> None:
        super().__init__(SmallEncoder())
        self.steps = 0

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        del label
        self.steps += 1
        return self.encoder(x).mean(), {"spread": torch.tensor(0.5 if self.steps <= 8 else 0.001)}


def test_a_collapse_stops_the_training_unless_it_is_allowed(tmp_path) -> None:
    settings = QUICK.model_copy(update={"log_steps": 1})
    with pytest.raises(
        CollapseError, match=r"spread of at least 0\.01 .* in 20 consecutive lines of the log up to step 28"
    ):
        train(Collapsing(), source(), settings=settings, run=Run(tmp_path / "stops"))
    allowed = settings.model_copy(update={"collapse_spread": 0.0})
    assert train(Collapsing(), source(), settings=allowed, run=Run(tmp_path / "goes on")).metrics()[-1]["step"] == 48


def test_a_checkpoint_of_another_architecture_is_an_error_that_says_so(tmp_path) -> None:
    run = train(supervised(), source(), settings=QUICK.model_copy(update={"epochs": 1}), run=Run(tmp_path))
    other = objectives.build("supervised", SmallEncoder(), n_classes=5)
    with pytest.raises(ValueError, match=r"another's: .*head\.weight.*\[2, 16\].*\[5, 16\]"):
        train(other, source(), settings=QUICK, run=run, resume=True)


def test_a_file_that_is_no_checkpoint_is_an_error_that_says_so(tmp_path) -> None:
    run = Run(tmp_path)
    run.write_text("checkpoints/last.pt", "not a checkpoint")
    with pytest.raises(ValueError, match="expected a checkpoint, got"):
        train(supervised(), source(), settings=QUICK, run=run, resume=True)


@needs_data
def test_the_papers_learning_rates_are_the_golden_ones() -> None:
    golden = json.loads((DATA / "reference" / "misc_golden.json").read_text())["moco_lr_epoch"]
    rate = learning_rate(PretrainRecipe.load("img2imu").training)
    for epoch, expected in golden.items():
        assert rate(int(epoch) * 5005, 5005) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({"fall": "linear", "end_lr": 1e-4}, [1e-3, 5.5e-4, 1e-4]),
        ({"fall": "exponential", "end_lr": 1e-5}, [1e-3, 1e-4, 1e-5]),
        ({"fall": "steps", "step_epochs": (5, 8)}, [1e-3, 1e-4, 1e-5]),
        ({"fall": "constant"}, [1e-3, 1e-3, 1e-3]),
        ({"fall": "cosine", "scale_lr": True, "batch": 512}, [2e-3, 1e-3, 0.0]),
    ],
)
def test_the_rate_falls_as_its_name_says(settings: dict[str, object], rates: list[float]) -> None:
    rate = learning_rate(TrainingSettings(epochs=10, base_lr=1e-3, **settings))
    assert [rate(step, 7) for step in (0, 35, 70)] == pytest.approx(rates, abs=1e-15)


def test_the_rate_with_restarts_falls_anew_in_each_epoch_behind_the_warm_up() -> None:
    settings = TrainingSettings(
        fall="restarts", epochs=5, base_lr=1e-3, end_lr=1e-5, start_lr=1e-4, warmup_epochs=0.5, scale_lr=True, batch=512
    )
    rate = learning_rate(settings)
    rising = [2e-4 + 1.8e-3 * (step + 1) / 4 for step in range(4)]
    falling = [2e-5 + 1.98e-3 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
    assert [rate(step, 8) for step in range(20)] == pytest.approx([*rising, *falling, *falling])
    assert peak_rate(settings) == pytest.approx(2e-3)


def test_the_rate_rises_in_a_line_and_reaches_its_peak_at_the_end_of_the_warm_up() -> None:
    settings = TrainingSettings(fall="linear", epochs=4, warmup_epochs=2, base_lr=1e-3, start_lr=1e-4, end_lr=2e-4)
    rate = learning_rate(settings)
    assert [rate(step, 10) for step in (0, 10, 20, 30, 40)] == pytest.approx([1e-4, 5.5e-4, 1e-3, 6e-4, 2e-4])
    assert peak_rate(settings) == 1e-3


@pytest.mark.parametrize(("fall", "message"), [("exponential", "more than 0"), ("steps", "the epochs of the steps")])
def test_a_fall_that_lacks_a_number_says_which(fall: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learning_rate(TrainingSettings(fall=fall))


class Stopping(ArraySource):
    """Asks the training to stop before a batch, as a signal would."""

    at = (0, 3)

    def epoch(self, epoch: int, first_step: int = 0):
        for step, batch in enumerate(super().epoch(epoch, first_step), first_step):
            if (epoch, step) == self.at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_a_stop_between_lines_leaves_the_lines_of_an_undisturbed_training(tmp_path) -> None:
    settings = TrainingSettings(epochs=2, batch=32, base_lr=0.01, log_steps=4, device="cpu")
    whole = train(supervised(), source(), settings=settings, run=Run(tmp_path / "whole"))
    run = Run(tmp_path / "stopped")
    with pytest.raises(interrupts.Interrupted) as raised:
        train(supervised(), source(Stopping), settings=settings, run=run)
    assert raised.value.exit_code == 143
    assert run.checkpoint_path.is_file()
    train(supervised(1), source(), settings=settings, run=run, resume=True)

    def lines(run: Run) -> list[dict[str, object]]:
        return [{key: value for key, value in line.items() if key != "per_s"} for line in run.metrics()]

    assert lines(run) == lines(whole)


def test_a_training_that_died_before_its_first_checkpoint_leaves_no_line_after_a_resume(tmp_path) -> None:
    settings = TrainingSettings(epochs=2, batch=32, base_lr=0.01, log_steps=2, device="cpu")
    run = Run(tmp_path / "run")
    with pytest.raises(OSError, match="the disk is gone"):
        train(supervised(), source(Crashed), settings=settings, run=run)
    assert run.metrics()
    assert not run.checkpoint_path.exists()
    train(supervised(), source(), settings=settings, run=run, resume=True)
    steps = [line["step"] for line in run.metrics()]
    assert steps == sorted(set(steps))


def test_a_line_has_the_arithmetic_of_its_steps_and_their_share_of_the_peak(tmp_path, monkeypatch) -> None:
    fabric = Fabric(accelerator="cpu", devices=1)
    log = Log(fabric, Run(tmp_path), QUICK, steps_per_epoch=16, progress=Progress("training", silent=True))
    now = iter([100.0, 102.0, 102.0, 102.0])
    monkeypatch.setattr("imuspec.pretraining.log.time.monotonic", lambda: next(now))
    log.flop, log.peak = int(3e12), 60e12
    with log.writing(0):
        for _ in range(4):
            log.add(torch.tensor(1.0), torch.tensor(1.0), {})
        log.write(4)
    [line] = Run(tmp_path).metrics()
    assert (line["per_s"], line["tflop_per_s"], line["mfu"]) == (64.0, 6.0, 0.1)


def test_the_arithmetic_of_a_step_is_that_of_its_products_and_changes_nothing() -> None:
    objective = supervised()
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    x, label = stripes(32, 1)
    first, second = 32 * 6 * 10 * 75 * 8, 32 * 4 * 8 * 72 * 16  # outputs, taps, channels of the two convolutions
    last = 32 * 16 * 2
    expected = 2 * (2 * first + 3 * second + 3 * last)  # pictures have no gradient
    assert step_flop(objective, (x, label)) == expected
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())


@pytest.mark.parametrize(
    ("card", "peak"),
    [("NVIDIA H200", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA A100-SXM4-80GB", 312e12), ("GeForce", None)],
)
def test_the_peak_of_a_card_follows_from_its_name(card: str, peak: float | None) -> None:
    assert peak_flop(card) == peak


class BadGradient(Objective):
    """A finite loss whose gradient is NaN at its third step."""

    def __init__(self) -> None:
        super().__init__(SmallEncoder())
        self.n_calls = 0

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        del label
        self.n_calls += 1
        value = self.encoder(x).mean()
        root = (value - value.detach()).abs().sqrt()  # 0, its gradient 0 * infinity
        return (value + root if self.n_calls == 3 else value), {}


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(tmp_path) -> None:
    objective = BadGradient()
    settings = TrainingSettings(epochs=1, batch=32, base_lr=0.01, log_steps=1000, device="cpu")
    with pytest.raises(NonFiniteLossError, match="gradient: expected a finite number, got nan at step 3"):
        train(objective, source(), settings=settings, run=Run(tmp_path / "run"))
    assert all(torch.isfinite(parameter).all() for parameter in objective.parameters())


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_a_deferred_check_skips_the_step_and_raises_at_the_next_line(
    tmp_path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    monkeypatch.setattr("imuspec.pretraining.log.defers", lambda _: True)  # as on a GPU
    objective = BadGradient()
    settings = TrainingSettings(
        epochs=1, batch=32, base_lr=0.01, log_steps=4, device="cpu", optimiser=optimiser, checkpoint_steps=2
    )
    run = Run(tmp_path / "run")
    with pytest.raises(NonFiniteLossError, match="gradient: expected a finite number, got nan at step 3"):
        train(objective, source(), settings=settings, run=run)
    assert objective.n_calls == 4
    assert all(torch.isfinite(parameter).all() for parameter in objective.parameters())
    state = run.load_checkpoint()
    assert state is not None
    assert state["step"] == 2
