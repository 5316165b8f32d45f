"""Export an encoder to ONNX, which runs without PyTorch. The result is compared with PyTorch's before it is saved."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imuspec.encoders import Encoder
from imuspec.run.run import Run
from imuspec.storage import atomic_path, write_atomically

__all__ = ["example_input", "export_onnx", "run_onnx", "write_onnx"]

_TOLERANCE = 1e-4


def example_input(encoder: Encoder, *, n_samples: int | None = None, seed: int = 0) -> torch.Tensor:
    """Return a batch of two random inputs for an encoder.

    Parameters
    ----------
    encoder : Encoder
        The encoder.
    n_samples : int, optional
        Length of a window; by default that of the encoder, or 250 samples if the encoder takes any length.
    seed : int, default 0
        Seed of the random values.

    Returns
    -------
    Tensor
        float32 ``[2, 3, rows, columns]`` or ``[2, axes, time]``; for a fusion of encoders ``[2, triad, ...]``.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, *encoder.input_shape(n_samples)), generator=generator)


def export_onnx(run: str | Path | Run, out: str | Path, *, n_samples: int | None = None) -> float:
    """Export the encoder of a run to ONNX, for any batch size.

    Parameters
    ----------
    run : str, Path or Run
        The run, or its folder.
    out : str or Path
        Path of the ONNX file; an existing file is replaced. A JSON file of the same name describes input and output.
    n_samples : int, optional
        Length of a window, for an encoder of windows; by default that of the encoder, or 250 samples if the encoder takes
        any length.

    Returns
    -------
    float
        Largest difference between the embeddings of ONNX Runtime and of PyTorch for a random batch, divided by the largest
        absolute value.

    Raises
    ------
    RuntimeError
        If that difference is 1e-4 or more. Then no file is written.
    ValueError
        If the encoder takes pictures, or no windows of `n_samples`.
    FileNotFoundError
        If the run has no encoder.

    Examples
    --------
    >>> from imuspec.run.export import export_onnx
    >>> export_onnx("runs/mine", "mine.onnx")  # doctest: +SKIP
    3.1e-07
    """
    run = run if isinstance(run, Run) else Run(run)
    encoder, path = run.load_encoder(), Path(out)
    x = _accepted_input(encoder, n_samples)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unchecked:
        write_onnx(_Checked(encoder).eval(), x, unchecked, input_name="input", output_names=["embedding"])
        batch = torch.cat([x, x.flip(-1), x[:1]])  # of another size than the exported batch
        with torch.inference_mode():
            expected = encoder(batch).numpy()
        result = run_onnx(unchecked, batch.numpy())
        difference = float(np.abs(result - expected).max() / max(float(np.abs(expected).max()), 1e-12))
        if not difference < _TOLERANCE:
            raise RuntimeError(
                f"export: expected a difference from PyTorch below {_TOLERANCE:g}, got {difference:.2g}: no file was written"
            )
    contract = {
        "encoder": json.loads((run.path / "encoder.json").read_text("utf-8")),
        "input": ["batch", *x.shape[1:]],
        "embedding": ["batch", *expected.shape[1:]],
        "largest_relative_difference": difference,
    }
    write_atomically(path.with_suffix(".json"), (json.dumps(contract, indent=2) + "\n").encode())
    return difference


def _accepted_input(encoder: Encoder, n_samples: int | None) -> torch.Tensor:
    """Return an example input, after a check that the encoder takes its length."""
    if n_samples is not None and (encoder.kind == "image" or n_samples < 1):
        expected = "none for an encoder of pictures" if encoder.kind == "image" else "at least 1"
        raise ValueError(f"n_samples: expected {expected}, got {n_samples}")
    x = example_input(encoder, n_samples=n_samples)
    try:
        with torch.inference_mode():
            encoder(x)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"n_samples: expected windows that {type(encoder).__name__} takes, got {x.shape[-1]} samples: {error}"
        ) from error
    return x


def with_nan_of(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return values, NaN for each item that has a sample or pixel that is not finite.

    Runtimes take the larger of two numbers where one is NaN, and eight bits have no NaN: a missing sample would give a result.

    Parameters
    ----------
    x : Tensor
        Input ``[B, ...]``.
    values : Tensor
        Output ``[B, ...]``.
    """
    zero = (x - x).sum(tuple(range(1, x.ndim)))  # [B]: 0, or NaN
    return values + zero.reshape(-1, *[1] * (values.ndim - 1))


class _Checked(nn.Module):
    """An encoder whose embedding is NaN where the input is not finite."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return with_nan_of(x, self.encoder(x))


def write_onnx(
    module: nn.Module, x: torch.Tensor, path: str | Path, *, input_name: str, output_names: Sequence[str]
) -> None:
    """Write a network as one ONNX file, for any batch size.

    Parameters
    ----------
    module : nn.Module
        Network in eval mode, with one input.
    x : Tensor
        A batch of two or more inputs.
    path : str or Path
        The file.
    input_name : str
        Name of the input.
    output_names : sequence of str
        Names of the outputs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings inside the exporter
        torch.onnx.export(
            module,
            (x,),
            str(path),
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def run_onnx(path: str | Path, x: NDArray[np.float32], *, threads: int = 0) -> NDArray[np.float32]:
    """Return the embeddings of a batch, computed by ONNX Runtime on the CPU.

    Parameters
    ----------
    path : str or Path
        The ONNX file.
    x : ndarray
        float32 batch of windows or pictures.
    threads : int, default 0
        Number of threads; 0 for one per core.

    Returns
    -------
    ndarray
        float32 ``[B, features]``.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: np.asarray(x, np.float32)})[0])
