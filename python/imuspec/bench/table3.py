"""Cost of a picture and a network on this machine, by the protocol of the paper's phones.

The window has 600 samples. Figures are means of ten runs after a warm-up: wall time, share of one core (above 100 % for several
threads), and the growth of memory. "visualise" is window to tensor, "inference" one forward pass of that tensor. Data and
network are loaded before the clock starts.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imuspec import _core
from imuspec.bench.peers import installed
from imuspec.bench.timing import peak_memory
from imuspec.spectral.image import rgb_image

__all__ = ["PHONES", "Cost", "costs"]

_RUNS = 10
_SAMPLES = 600


class Cost(NamedTuple):
    """Means over the runs: milliseconds, percent of one core, megabytes (None where the system does not say)."""

    machine: str
    step: str
    ms: float
    cpu_percent: float
    memory_mb: float | None


PHONES = (
    Cost("Galaxy S20 Ultra", "visualise", 55.33, 116, 11),
    Cost("Galaxy S20 Ultra", "inference", 26.47, 143, 189),
    Cost("Galaxy S22 Ultra", "visualise", 48.72, 120, 11),
    Cost("Galaxy S22 Ultra", "inference", 16.5, 105, 174),
    Cost("Pixel 2 XL", "visualise", 88.86, 108, 13),
    Cost("Pixel 2 XL", "inference", 40.67, 133, 156),
)
"""Yoon et al., IMG2IMU, Table III."""


def costs(encoder: Any = None, *, name: str = "ResNet-18", onnx: bool = True) -> Iterator[Cost]:
    """Measure this machine with one thread and with all.

    Parameters
    ----------
    encoder : nn.Module, optional
        Network for pictures [1, 3, 96, 128]; by default a ResNet-18 with random weights, which costs as much as a trained one.
    name : str, default "ResNet-18"
        Name of the network in the rows.
    onnx : bool, default True
        Whether to run it with ONNX Runtime too, where that is installed.

    Yields
    ------
    Cost
        Rows of "visualise", then of "inference", one for each number of threads.
    """
    x = np.random.default_rng(0).standard_normal((3, _SAMPLES))
    x += np.array([0.0, 0.0, 9.81])[:, None]
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    numbers = [1] if every == 1 else [1, every]

    def visualise() -> Any:
        return rgb_image(x, nfft=128, noverlap=116, dtype="float32")

    for threads in numbers:
        _core.set_threads(threads)
        yield _cost(f"this machine, {_threads(threads)}", "visualise", visualise)
    _core.set_threads(0)
    if (torch := installed("torch")) is None:
        return
    if encoder is None:
        from imuspec.encoders import build

        encoder = build("resnet18")
    encoder = encoder.eval()
    picture = torch.from_numpy(visualise())[None]
    before = torch.get_num_threads()
    try:
        for threads in numbers:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                cost = _cost(
                    f"this machine, {_threads(threads)}, {name}, PyTorch", "inference", lambda: encoder(picture)
                )
            yield cost
    finally:
        torch.set_num_threads(before)
    if onnx and (runtime := installed("onnxruntime")) and installed("onnxscript"):
        yield from _onnx_costs(torch, runtime, encoder, picture, name, numbers)


def _onnx_costs(torch: Any, runtime: Any, encoder: Any, picture: Any, name: str, numbers: list[int]) -> Iterator[Cost]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "encoder.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            torch.onnx.export(encoder, (picture,), path, input_names=["picture"], dynamo=True, verbose=False)
        for threads in numbers:
            options = runtime.SessionOptions()
            options.intra_op_num_threads = threads
            session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            given = {session.get_inputs()[0].name: picture.numpy()}
            step = f"this machine, {_threads(threads)}, {name}, ONNX Runtime"
            yield _cost(step, "inference", partial(session.run, None, given))


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def _cost(machine: str, step: str, call: Callable[[], object]) -> Cost:
    memory = peak_memory(call)  # the first call: what the step needs beyond data and network
    call()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(_RUNS):
        call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(machine, step, wall / _RUNS * 1e3, 100 * cpu / wall, None if memory is None else memory / 1e6)
