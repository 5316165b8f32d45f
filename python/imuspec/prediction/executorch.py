"""Export a whole model to ExecuTorch: one program for a phone, whose encoder XNNPACK computes."""

from __future__ import annotations

import importlib.metadata
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imuspec.prediction.classifier import FittedClassifier
from imuspec.prediction.export import (
    Parity,
    WholeModel,
    check_outputs,
    parity_of,
    whole_model,
    write_contract,
)
from imuspec.storage import atomic_path

__all__ = ["export_program", "program_call", "program_outputs"]


def export_program(
    model: FittedClassifier, out: str | Path, x: NDArray[np.float32], *, n_patches: int | None = None
) -> Parity:
    """Export a model to ExecuTorch, for one window at a time, and compare it with Python.

    Parameters
    ----------
    model : FittedClassifier
        Model with an encoder.
    out : path
        The program (.pte); an existing file is replaced. A file of the same name with .json at its end describes input,
        outputs and parity.
    x : array of float32 [N, 3, time]
        Windows to compare with, g; two or more.
    n_patches : int, optional
        Patches of an input of an encoder of patches, by default as many as it takes.

    Returns
    -------
    Parity
        The comparison.

    Raises
    ------
    ValueError
        If the model has no encoder, or there are fewer than two windows.
    RuntimeError
        If a probability of the program differs from PyTorch's by 1e-3 or more, over the windows with the same grey levels, or
        if there is no such window. Then no file is written.
    """
    whole = whole_model(model, x, n_patches=n_patches)
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unchecked:
        unchecked.write_bytes(_program(whole, torch.from_numpy(x[:1])))
        outputs = program_outputs(unchecked, x)
        check_outputs(whole, x, outputs)
    parity = parity_of(model, x, outputs)
    version = importlib.metadata.version("executorch")
    write_contract(
        path.with_name(f"{path.name}.json"), model, outputs, parity, 1, executorch=version, backend="XNNPACK"
    )
    return parity


def _program(whole: WholeModel, x: torch.Tensor) -> bytes:
    with _quiet(), torch.no_grad():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

        graph = torch.export.export(whole, (x,))
        # The check of operators refuses float64, which the transform of a picture needs.
        config = EdgeCompileConfig(_check_ir_validity=False)
        edge = to_edge_transform_and_lower(graph, partitioner=[XnnpackPartitioner()], compile_config=config)
        return bytes(edge.to_executorch().buffer)


def program_outputs(path: Path, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the outputs of a program for windows [N, 3, time], one window at a time, computed by ExecuTorch's runtime."""
    with _quiet():
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(path).load_method("forward")
        parts = [method.execute([torch.from_numpy(window[None])]) for window in x]
    return [torch.cat([part[i] for part in parts]).numpy() for i in range(len(parts[0]))]


def program_call(path: Path, x: NDArray[np.float32]) -> tuple[Callable[[], object], int]:
    """Return a call that computes the outputs of a program for one window [1, 3, time], and its number of threads.

    The number is ExecuTorch's own choice: to set it is unsafe, and ends in a double free (1.5.1).
    """
    with _quiet():
        from executorch.extension.pybindings.portable_lib import _threadpool_get_thread_count
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(path).load_method("forward")
    window = torch.from_numpy(x)
    return lambda: method.execute([window]), int(_threadpool_get_thread_count())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings of ExecuTorch about its own use of PyTorch."""
    logger = logging.getLogger("torch.utils._pytree")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
