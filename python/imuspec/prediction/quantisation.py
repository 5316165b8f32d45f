"""Write an exported model with eight-bit weights, and measure what that costs on labelled windows.

The picture and the head stay float32: a picture of eight bits would show other levels, and a head is a thousandth of the work.
"""

from __future__ import annotations

import ast
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imuspec.evaluation import confusion_matrix, metrics
from imuspec.prediction.export import outputs_of
from imuspec.storage import atomic_path, write_atomically

__all__ = ["QuantisationCost", "calibration_people", "quantise"]

_OPERATORS = ("Conv", "Gemm", "MatMul")
_CALIBRATION = 200  # windows


@dataclass(frozen=True)
class QuantisationCost:
    """What eight bits cost, on windows of people who did not calibrate.

    Attributes
    ----------
    n_calibration : int
        Windows that set the ranges of the activations.
    n_windows : int
        Labelled windows that were scored.
    n_operators : int
        Convolutions and products of the encoder with eight bits.
    macro_f1 : (float, float)
        Macro-F1 of the float graph and of the eight-bit one.
    balanced_accuracy : (float, float)
        The same of the balanced accuracy.
    probability : float
        Largest difference of a probability.
    classes : int
        Windows with another most probable class.
    size : (int, int)
        Size of the float file and of the eight-bit one, bytes.
    """

    n_calibration: int
    n_windows: int
    n_operators: int
    macro_f1: tuple[float, float]
    balanced_accuracy: tuple[float, float]
    probability: float
    classes: int
    size: tuple[int, int]


def calibration_people(subject: NDArray[np.generic], seed: int = 0) -> NDArray[np.bool_]:
    """Return which windows are of the people that calibrate: a fifth of all, at least one.

    Parameters
    ----------
    subject : array [n]
        Person of each window.
    seed : int, default 0
        Seed of the draw.

    Raises
    ------
    ValueError
        If there are fewer than two people.
    """
    people = np.unique(subject)
    if len(people) < 2:
        raise ValueError(
            f"data: expected two people or more, to calibrate eight bits and to score them, got {len(people)}"
        )
    drawn = np.random.default_rng(seed).permutation(people)[: max(1, len(people) // 5)]
    return np.isin(subject, drawn)


def quantise(
    path: str | Path,
    out: str | Path,
    x: NDArray[np.float32],
    label: NDArray[np.int64],
    subject: NDArray[np.generic],
) -> QuantisationCost:
    """Write an exported model with eight-bit weights and activations in its encoder (static, by ONNX Runtime).

    Weights have a scale for each channel. The ranges of the activations are those of at most 200 windows of a fifth of the
    people; the windows of the others are scored.

    Parameters
    ----------
    path : path
        ONNX file of `imuspec.prediction.export.export_model`.
    out : path
        The file to write; an existing file is replaced. A JSON file of the same name has input, outputs and the cost.
    x : array of float32 [N, 3, time]
        Windows, g.
    label : array of int64 [N], or [N, patches]
        True classes; -1 does not count.
    subject : array [N]
        Person of each window.

    Returns
    -------
    QuantisationCost

    Raises
    ------
    ValueError
        If there are fewer than two people, or the encoder has no convolution or product with weights.
    """
    source, target = Path(path), Path(out)
    calibrates = calibration_people(subject)
    nodes = _encoder_nodes(source)
    if not nodes:
        raise ValueError(f"int8: expected an encoder with {', '.join(_OPERATORS)}, got none in {source}")
    index = np.flatnonzero(calibrates)
    index = index[np.linspace(0, len(index) - 1, min(_CALIBRATION, len(index))).astype(np.int64)]
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as unchecked:
        _write(source, unchecked, nodes, x[index])
        before, after = (outputs_of(file, x[~calibrates])[0] for file in (source, unchecked))
    truth = label[~calibrates].ravel()
    guesses = [values.argmax(-1).ravel()[truth >= 0] for values in (before, after)]
    known = truth[truth >= 0]
    scores = [metrics(confusion_matrix(known, guess, before.shape[-1])) for guess in guesses]
    f1, balanced = ((float(scores[0][name]), float(scores[1][name])) for name in ("macro_f1", "balanced_accuracy"))
    cost = QuantisationCost(
        len(index),
        len(known),
        len(nodes),
        f1,
        balanced,
        float(np.abs(before - after).max()),
        int((guesses[0] != guesses[1]).sum()),
        (source.stat().st_size, target.stat().st_size),
    )
    contract = json.loads(source.with_suffix(".json").read_text("utf-8"))
    contract.pop("parity", None)  # of the float graph
    text = json.dumps({**contract, "int8": asdict(cost)}, indent=2) + "\n"
    write_atomically(target.with_suffix(".json"), text.encode())
    return cost


def _encoder_nodes(path: Path) -> list[str]:
    """Return the names of the encoder's operators that have weights."""
    import onnx

    graph = onnx.load(str(path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    names = []
    for node in graph.node:
        scopes = [entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        inside = scopes and "network.encoder" in ast.literal_eval(scopes[0])
        if inside and node.op_type in _OPERATORS and weights & set(node.input[1:]):
            names.append(node.name)
    return names


def _write(source: Path, out: Path, nodes: list[str], x: NDArray[np.float32]) -> None:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        """Calibration windows, 16 at a time."""

        def __init__(self) -> None:
            self._parts: Iterator[NDArray[np.float32]] = iter(np.array_split(x, -(-len(x) // 16)))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            part = next(self._parts, None)
            return None if part is None else {"acceleration": part}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        typed = Path(folder) / "typed.onnx"  # the quantiser needs the types of all tensors
        onnx.save(onnx.shape_inference.infer_shapes(onnx.load(str(source))), str(typed))
        quantize_static(
            str(typed),
            str(out),
            Reader(),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser, which warns on the root logger that the graph was not preprocessed by its own tool."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
