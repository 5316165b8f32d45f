"""Export of an encoder to ONNX, a file that runs without PyTorch, checked against the original before it is saved."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imuspec.encoders import Encoder
from imuspec.run.run import Run
from imuspec.storage import atomic_path, write_atomically

__all__ = ["example_input", "export_onnx", "run_onnx"]

_TOLERANCE = 1e-4


def example_input(encoder: Encoder, *, n_samples: int | None = None, seed: int = 0) -> torch.Tensor:
    """Return a batch of two random inputs of the shape that an encoder takes.

    Parameters
    ----------
    encoder : Encoder
        The encoder.
    n_samples : int, optional
        Length of a window; by default the encoder's own, or 250 samples where it takes any.
    seed : int, default 0
        Seed of the random values.

    Returns
    -------
    Tensor
        float32 ``[2, 3, rows, columns]`` or ``[2, axes, time]``; of a fusion ``[2, triad, ...]``.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, *encoder.input_shape(n_samples)), generator=generator)


def export_onnx(run: str | Path | Run, out: str | Path, *, n_samples: int | None = None) -> float:
    """Export a run's encoder to ONNX, for any batch size, and compare its output with PyTorch's.

    Parameters
    ----------
    run : str, Path or Run
        The run, or its folder.
    out : str or Path
        The file, ``*.onnx``; a file of that name is replaced. Beside it ``*.json`` describes input and output.
    n_samples : int, optional
        Length of a window, for an encoder of signals; by default the encoder's own, or 250 samples.

    Returns
    -------
    float
        Largest difference between ONNX Runtime's and PyTorch's embeddings of a random batch, relative to the largest value.

    Raises
    ------
    RuntimeError
        If the exported network gives other embeddings; no file is written.
    FileNotFoundError
        If the run has no encoder.

    Examples
    --------
    >>> from imuspec.run.export import export_onnx
    >>> export_onnx("runs/mine", "mine.onnx")  # doctest: +SKIP
    3.1e-07
    """
    held = run if isinstance(run, Run) else Run(run)
    encoder, path = held.load_encoder(), Path(out)
    x = example_input(encoder, n_samples=n_samples)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as waiting:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            torch.onnx.export(
                encoder,
                (x,),
                str(waiting),
                input_names=["input"],
                output_names=["embedding"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        with torch.inference_mode():
            expected = encoder(torch.cat([x, x.flip(-1), x[:1]])).numpy()
        got = run_onnx(waiting, torch.cat([x, x.flip(-1), x[:1]]).numpy())
        difference = float(np.abs(got - expected).max() / max(float(np.abs(expected).max()), 1e-12))
        if not difference < _TOLERANCE:
            raise RuntimeError(f"export: expected PyTorch's embeddings within {_TOLERANCE:g}, got {difference:.2g} off")
    contract = {
        "encoder": json.loads((held.path / "encoder.json").read_text("utf-8")),
        "input": ["batch", *x.shape[1:]],
        "embedding": ["batch", int(expected.shape[1])],
        "largest_relative_difference": difference,
    }
    write_atomically(path.with_suffix(".json"), (json.dumps(contract, indent=2) + "\n").encode())
    return difference


def run_onnx(path: str | Path, x: NDArray[np.float32], *, threads: int = 0) -> NDArray[np.float32]:
    """Embeddings of a batch by ONNX Runtime; threads 0 takes as many as there are cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: np.asarray(x, np.float32)})[0])
