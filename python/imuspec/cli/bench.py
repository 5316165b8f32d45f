"""How fast this machine is: bench, bench table3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App

from imuspec.cli.app import app

__all__ = ["compare", "table3"]

bench_app = App(name="bench", help="Measure this machine.")
app.command(bench_app)


@bench_app.default
def compare(*, quick: bool = False) -> int:
    """Measure spectrograms, pictures and LMM features beside the libraries that are installed: SciPy, torch, FFTW, MKL.

    Each row is a library: a batch on one thread (its processor time) and on all (by the wall), one window by itself, the
    memory that the batch takes beyond its input, and how many times as long as ours it takes on one thread. Results are
    compared first.

    Parameters
    ----------
    quick
        One setting and fewer rounds.
    """
    from itertools import groupby

    from imuspec.bench import compare as measured
    from imuspec.cli.console import bench_table, screen

    console = screen()
    console.print(
        "1 thread and one window: processor time; all threads: by the wall, so best with nothing else running"
    )
    for job, results in groupby(measured(quick=quick), key=lambda result: result.job):
        console.print(bench_table(job, list(results)))
    return 0


@bench_app.command
def table3(*, model: Path | None = None) -> int:
    """Measure a picture and a network as the paper did on phones: window to tensor, and one forward pass.

    Ten runs after warm-up on 600 samples, on one thread and on all; wall time, share of one core, memory; in PyTorch and,
    where it is installed, in ONNX Runtime.

    Parameters
    ----------
    model
        A run's folder, whose encoder of pictures is measured; by default a ResNet-18 with random weights.
    """
    from imuspec.bench import PHONES, costs
    from imuspec.cli.console import cost_table, screen

    measured = costs() if model is None else costs(_encoder(model), name=model.name)
    screen().print(cost_table(list(measured), list(PHONES)))
    return 0


def _encoder(folder: Path) -> Any:
    from imuspec.run.run import Run

    encoder = Run(folder).load_encoder()
    if encoder.kind != "image":
        raise ValueError(f"model: expected an encoder of pictures, got one of {encoder.kind}s in {folder}")
    return encoder
