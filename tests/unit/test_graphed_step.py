"""The bookkeeping of a step that is a graph: a stand-in on a CPU repeats the step where a card would launch its kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from imuspec.pretraining.step import Figures, GraphedStep


class Repeated:
    """A graph that repeats the step on the tensors that it was captured with, and writes where the capture wrote."""

    captured: GraphedStep
    outputs: Tensor
    replays = 0

    def register_generator_state(self, generator: torch.Generator) -> None:
        assert generator.device.type == "cpu"

    def replay(self) -> None:
        type(self).replays += 1
        loss, norm, metrics = self.captured.step(self.captured._inputs)
        self.captured._outputs[0].copy_(torch.stack([loss, norm, *metrics.values()]))


class NoStream:
    def wait_stream(self, other: NoStream) -> None:
        pass


@pytest.fixture(autouse=True)
def _a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def entered(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Repeated)
    monkeypatch.setattr(torch.cuda, "graph", entered)
    monkeypatch.setattr(torch.cuda, "stream", entered)
    monkeypatch.setattr(torch.cuda, "Stream", NoStream)
    monkeypatch.setattr(torch.cuda, "current_stream", NoStream)
    monkeypatch.setattr(Repeated, "replays", 0)


def test_a_graph_is_captured_after_three_steps_and_gives_each_batch_its_own_figures() -> None:
    shapes: list[int] = []

    def step(batch: tuple[Tensor, Tensor]) -> Figures:
        shapes.append(len(batch[0]))
        return batch[0].sum(), batch[1].mean(), {"top1": batch[0].max()}

    graphed = GraphedStep(step, torch.Generator())
    Repeated.captured = graphed
    given = [(torch.full((4,), float(i)), torch.full((2,), 10.0 * i)) for i in range(6)]
    given.insert(4, (torch.ones(3), torch.ones(2)))  # another shape runs as usual
    figures = [graphed(batch) for batch in given]
    for (x, y), (loss, norm, metrics) in zip(given, figures, strict=True):
        assert (loss, norm, metrics["top1"]) == (x.sum(), y.mean(), x.max())
    assert Repeated.replays == 3
    assert shapes == [4, 4, 4, 4, 4, 3, 4, 4]  # three as usual, one to capture, then replays around the other shape
    assert torch.equal(given[0][0], torch.zeros(4))  # batches are copied, not overwritten


def test_a_step_that_cannot_be_captured_is_named_by_its_setting() -> None:
    capturing = False

    def step(batch: Tensor) -> Figures:
        if capturing:
            raise RuntimeError("operation not permitted when stream is capturing")
        return batch.sum(), batch.sum(), {}

    graphed = GraphedStep(step, torch.Generator())
    for _ in range(3):
        graphed(torch.ones(2))
    capturing = True
    with pytest.raises(RuntimeError, match=r"training.graph: expected a step without a wait .* is capturing"):
        graphed(torch.ones(2))
