"""Commands that measure this machine: bench, bench table3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cyclopts import App

from imuspec.cli import output
from imuspec.cli.app import app, existing, unwrapped

__all__ = ["compare", "table3"]

bench_app = App(name="bench")
app.command(bench_app)


@bench_app.default
@unwrapped
def compare(*, quick: bool = False, json: bool = False) -> int:
    """Time spectrograms, pictures and LMM features, beside other installed libraries: SciPy, torch, FFTW, MKL.

    Each row is a library. The columns are: a batch on one thread (processor time), a batch on all threads (wall time), a
    single window, the memory of the batch beyond its input, and the ratio to imuspec on one thread. All libraries must give
    the same result before they are timed.

    Parameters
    ----------
    quick : bool, default False
        Measure one setting with fewer rounds.
    json : bool, default False
        Print JSON, for programs.
    """
    output.begin(json=json)
    from itertools import groupby

    from imuspec.bench import compare as measured
    from imuspec.cli.console import bench_facts, bench_table

    output.say("1 thread and one window: processor time; all threads: wall time, so run nothing else beside it")
    facts = []
    for job, group in groupby(measured(quick=quick), key=lambda result: result.job):
        results = list(group)
        facts += bench_facts(results)
        output.show(bench_table(job, results))
    if json:
        output.emit(facts)
    return 0


@bench_app.command
@unwrapped
def table3(*, model: Path | None = None, json: bool = False) -> int:
    """Time a picture and a network as the paper did on phones: window to tensor, then one forward pass.

    Each figure is the mean of ten runs after warm-up, on 600 samples, on one thread and on all: wall time, share of one core,
    and memory. PyTorch is measured, and ONNX Runtime if it is installed.

    Parameters
    ----------
    model : Path, optional
        The folder of a run with a picture encoder; by default a ResNet-18 with random weights.
    json : bool, default False
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
        raise ValueError(f"model: expected a picture encoder, got an encoder of kind {encoder.kind} in {folder}")
    return encoder
