"""Commands that measure this machine: bench, bench table3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from imuspec.cli import output
from imuspec.cli.app import app, existing, unwrapped
from imuspec.cli.runs import is_model

if TYPE_CHECKING:
    from imuspec.bench import Cost

__all__ = ["compare", "table3"]

bench_app = App(name="bench")
app.command(bench_app)


@bench_app.default
@unwrapped
def compare(*, quick: bool = False, json: bool = False) -> int:
    """Time spectrograms, pictures and LMM features, beside other installed libraries: SciPy, torch, FFTW, MKL.

    Each row is a library. The columns are: a batch on one thread (processor time), a batch on all threads (wall time), a
    single window, the memory of the batch beyond its input, and the ratio to imuspec on one thread. Results are compared before
    they are timed: decibels within 0.0026, features within 1e-4, pictures within 4 levels on average.

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
    """Time a picture and a network, or a whole model, beside the phones of the paper.

    Steps take turns for ten rounds, with one thread and with all. Each figure is a median: wall time, share of one core, and
    the growth of memory in the first call. A network is measured on the picture of 600 samples. A model of imuspec fit is
    measured in its parts and as a whole, from a window in g to probabilities. PyTorch is measured; ONNX Runtime too, and for a
    model ExecuTorch with its own number of threads, if they are installed.

    Parameters
    ----------
    model : Path, optional
        The folder of a model of imuspec fit, or of a run with a picture encoder; by default a ResNet-18 with random weights.
    json : bool, default False
        Print JSON, for programs.
    """
    from imuspec.bench import PHONES, costs
    from imuspec.cli.console import cost_table

    measured = costs() if model is None else _measured(Path(existing(model)))
    if json:
        output.emit({"measured": [cost._asdict() for cost in measured], "paper": [cost._asdict() for cost in PHONES]})
    else:
        output.show(cost_table(measured, list(PHONES)))
    return 0


def _measured(folder: Path) -> list[Cost]:
    from imuspec.bench import costs, model_costs

    if is_model(folder):
        from imuspec.prediction import load

        return model_costs(load(folder), name=folder.name)
    from imuspec.run.run import Run

    encoder = Run(folder).load_encoder()
    if encoder.kind != "image":
        raise ValueError(
            f"model: expected a model of imuspec fit or a picture encoder, got an encoder of kind {encoder.kind} in {folder}"
        )
    return costs(encoder, name=folder.name)
