"""How fast this machine is: bench, bench table3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App

from imuspec.cli import output
from imuspec.cli.app import app, existing

__all__ = ["compare", "table3"]

bench_app = App(name="bench", help="Measure this machine.")
app.command(bench_app)


@bench_app.default
def compare(*, quick: bool = False, json: bool = False) -> int:
    """Measure spectrograms, pictures and LMM features beside the libraries that are installed: SciPy, torch, FFTW, MKL.

    Each row is a library: a batch on one thread (its processor time) and on all (by the wall), one window by itself, the
    memory that the batch takes beyond its input, and how many times as long as ours it takes on one thread. Results are
    compared first.

    Parameters
    ----------
    quick
        One setting and fewer rounds.
    json
        Print JSON, for programs.
    """
    output.begin(json=json)
    from itertools import groupby

    from imuspec.bench import compare as measured
    from imuspec.cli.console import bench_facts, bench_table

    output.say("1 thread and one window: processor time; all threads: by the wall, so best with nothing else running")
    facts = []
    for job, group in groupby(measured(quick=quick), key=lambda result: result.job):
        results = list(group)
        facts += bench_facts(results)
        output.show(bench_table(job, results))
    if json:
        output.emit(facts)
    return 0


@bench_app.command
def table3(*, model: Path | None = None, json: bool = False) -> int:
    """Measure a picture and a network as the paper did on phones: window to tensor, and one forward pass.

    Ten runs after warm-up on 600 samples, on one thread and on all; wall time, share of one core, memory; in PyTorch and,
    where it is installed, in ONNX Runtime.

    Parameters
    ----------
    model
        A run's folder, whose encoder of pictures is measured; by default a ResNet-18 with random weights.
    json
        Print JSON, for programs.
    """
    from imuspec.bench import PHONES, costs
    from imuspec.cli.console import cost_table

    measured = list(costs() if model is None else costs(_encoder(Path(existing(model))), name=model.name))
    if json:
        output.emit({"measured": [cost._asdict() for cost in measured], "paper": [cost._asdict() for cost in PHONES]})
    else:
        output.show(cost_table(measured, list(PHONES)))
    return 0


def _encoder(folder: Path) -> Any:
    from imuspec.run.run import Run

    encoder = Run(folder).load_encoder()
    if encoder.kind != "image":
        raise ValueError(f"model: expected an encoder of pictures, got one of {encoder.kind}s in {folder}")
    return encoder
