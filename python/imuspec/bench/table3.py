"""Cost of a picture and a network on this machine, after the table of the paper's phones.

The window has 600 samples. "visualise" is window to tensor, "inference" one forward pass of that tensor. Figures are medians of
ten rounds, in which the steps take turns: wall time, share of one core (above 100 % for several threads); and the growth of
memory in the first call. Data and network are loaded before the clock starts.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imuspec import _core
from imuspec.bench.peers import installed
from imuspec.bench.timing import peak_memory
from imuspec.spectral.image import rgb_image

__all__ = ["PHONES", "Cost", "Step", "costs", "costs_of_steps", "machine", "session", "thread_counts"]

_ROUNDS = 10
_SAMPLES = 600


class Cost(NamedTuple):
    """Milliseconds, percent of one core, megabytes (None where the system does not say)."""

    machine: str
    step: str
    ms: float
    cpu_percent: float
    memory_mb: float | None


class Step(NamedTuple):
    """A call to measure, and the number of threads that it may use."""

    machine: str
    step: str
    n_threads: int
    call: Callable[[], object]


PHONES = (
    Cost("Galaxy S20 Ultra", "visualise", 55.33, 116, 11),
    Cost("Galaxy S20 Ultra", "inference", 26.47, 143, 189),
    Cost("Galaxy S22 Ultra", "visualise", 48.72, 120, 11),
    Cost("Galaxy S22 Ultra", "inference", 16.5, 105, 174),
    Cost("Pixel 2 XL", "visualise", 88.86, 108, 13),
    Cost("Pixel 2 XL", "inference", 40.67, 133, 156),
)
"""Yoon et al., IMG2IMU, Table III: means of ten runs."""


def costs(encoder: Any = None, *, name: str = "ResNet-18", onnx: bool = True) -> list[Cost]:
    """Measure a picture and a network with one thread and with all.

    Parameters
    ----------
    encoder : nn.Module, optional
        Network for pictures [1, 3, 96, 128]; by default a ResNet-18 with random weights, which costs as much as a trained one.
    name : str, default "ResNet-18"
        Name of the network in the rows.
    onnx : bool, default True
        Whether to run it with ONNX Runtime too, where that is installed.

    Returns
    -------
    list of Cost
        Rows of "visualise", then of "inference", one for each number of threads.
    """
    x = np.random.default_rng(0).standard_normal((3, _SAMPLES))
    x += np.array([0.0, 0.0, 9.81])[:, None]

    def visualise() -> Any:
        return rgb_image(x, nfft=128, noverlap=116, dtype="float32")

    steps = [Step(machine(n), "visualise", n, visualise) for n in thread_counts()]
    if (torch := installed("torch")) is None:
        return costs_of_steps(steps)
    if encoder is None:
        from imuspec.encoders import build

        encoder = build("resnet18")
    encoder = encoder.eval()
    picture = torch.from_numpy(visualise())[None]
    steps += [Step(machine(n, name, "PyTorch"), "inference", n, partial(encoder, picture)) for n in thread_counts()]
    with tempfile.TemporaryDirectory() as folder:
        if onnx and installed("onnxruntime") and installed("onnxscript"):
            path = Path(folder) / "encoder.onnx"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the exporter's own deprecations
                torch.onnx.export(encoder, (picture,), str(path), input_names=["picture"], dynamo=True, verbose=False)
            for n in thread_counts():
                run = partial(session(path, n).run, None, {"picture": picture.numpy()})
                steps.append(Step(machine(n, name, "ONNX Runtime"), "inference", n, run))
        return costs_of_steps(steps)


def costs_of_steps(steps: Sequence[Step], *, rounds: int | None = None) -> list[Cost]:
    """Measure steps in turn: each round calls every step once untimed and once timed.

    Parameters
    ----------
    steps : sequence of Step
        What is measured; threads are of imuspec and of torch, if it is installed.
    rounds : int, optional
        Number of rounds, by default 10.

    Returns
    -------
    list of Cost
        In the order of `steps`: median over the rounds, and the growth of memory in the first call.
    """
    memory: list[int | None] = []
    wall: list[list[float]] = [[] for _ in steps]
    processor: list[list[float]] = [[] for _ in steps]
    with _threads() as use:
        for step in steps:
            use(step.n_threads)
            memory.append(peak_memory(step.call))
        for _ in range(rounds or _ROUNDS):
            for step, own_wall, own_processor in zip(steps, wall, processor, strict=True):
                use(step.n_threads)
                step.call()
                start, start_processor = time.perf_counter(), time.process_time()
                step.call()
                own_wall.append(time.perf_counter() - start)
                own_processor.append(time.process_time() - start_processor)
    return [
        Cost(
            step.machine,
            step.step,
            statistics.median(own_wall) * 1e3,
            100 * sum(own_processor) / sum(own_wall),
            None if grown is None else grown / 1e6,
        )
        for step, own_wall, own_processor, grown in zip(steps, wall, processor, memory, strict=True)
    ]


@contextmanager
def _threads() -> Iterator[Callable[[int], None]]:
    """Give a function that sets the number of threads of imuspec and of torch; both are as before at the end."""
    torch = installed("torch")
    before = None if torch is None else torch.get_num_threads()
    current = 0

    def use(n: int) -> None:
        nonlocal current
        if n != current:
            _core.set_threads(n)
            if torch is not None:
                torch.set_num_threads(n)
            current = n

    try:
        if torch is None:
            yield use
        else:
            with torch.inference_mode():
                yield use
    finally:
        _core.set_threads(0)
        if torch is not None:
            torch.set_num_threads(before)


def thread_counts() -> list[int]:
    """Return the numbers of threads that are measured: one, and all that this process may use."""
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [1] if every == 1 else [1, every]


def session(path: Path, n_threads: int) -> Any:
    """Return a session of ONNX Runtime on the CPU, with its number of threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def machine(n_threads: int, *parts: str) -> str:
    """Return the name of a row."""
    return ", ".join(("this machine", "1 thread" if n_threads == 1 else f"{n_threads} threads", *parts))
