"""Cost of a fitted model on this machine: its picture, its network, and the whole of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from imuspec.bench.peers import installed
from imuspec.bench.table3 import Cost, Step, costs_of_steps, machine, session, thread_counts
from imuspec.spectral.image import rgb_image

if TYPE_CHECKING:
    from imuspec.prediction import Model

__all__ = ["model_costs"]


def model_costs(model: Model, *, name: str = "model", exported: bool = True) -> list[Cost]:
    """Measure the parts of a fitted model and the whole of it, with one thread and with all.

    The input is one window of a simulated wrist; of a model of patches, as many patches as its encoder takes.

    Parameters
    ----------
    model : Model
        Model of ``imuspec fit``.
    name : str, default "model"
        Name of the model in the rows.
    exported : bool, default True
        Whether to run it exported too, where ONNX Runtime or ExecuTorch is installed. What is exported must agree with Python
        before it is timed.

    Returns
    -------
    list of Cost
        Steps "visualise" (window to picture) or "statistics", "inference" (encoder and head) and "whole" (window in g to
        probabilities), one row for each number of threads.

    Raises
    ------
    RuntimeError
        If what is exported and Python differ.
    """
    from imuspec.prediction.export import export_model, simulated_windows

    windows = simulated_windows(model, 8)
    parts = _parts(model, windows[:1])
    parts["whole"] = partial(model.predict_proba, windows[:1])
    steps = [Step(machine(n, name, "Python"), step, n, call) for n in thread_counts() for step, call in parts.items()]
    with tempfile.TemporaryDirectory() as folder:
        exported = exported and model.encoder is not None
        if exported and installed("onnxruntime") and installed("onnxscript"):
            path = Path(folder) / "model.onnx"
            export_model(model, path, windows)
            for n in thread_counts():
                onnx = partial(session(path, n).run, ["probability"], {"acceleration": windows[:1]})
                steps.append(Step(machine(n, name, "ONNX Runtime"), "whole", n, onnx))
        if exported and installed("executorch"):
            from imuspec.prediction.executorch import export_program, program_call

            path = Path(folder) / "model.pte"
            export_program(model, path, windows)
            run, n = program_call(path, windows[:1])
            steps.append(Step(machine(n, name, "ExecuTorch"), "whole", n, run))
        return costs_of_steps(steps)


def _parts(model: Model, x: NDArray[np.float32]) -> dict[str, Callable[[], object]]:
    """Return the steps before the probabilities of a window [1, 3, time]."""
    import torch

    from imuspec.prediction.network import Network

    front = model.front
    if model.encoder is None:
        features = torch.from_numpy(front.features(None, x))
        return {"statistics": partial(front.features, None, x), "inference": partial(model.head, features[None])}
    network = Network(model.encoder, model.head, front).eval()
    if front.picture is None:
        return {"inference": partial(network, torch.from_numpy(x))}
    draw = partial(rgb_image, x, dtype="float32", **cast("Any", front.picture))
    return {"visualise": draw, "inference": partial(network, torch.from_numpy(draw()))}
