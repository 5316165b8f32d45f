"""Export a whole model to ONNX: window in g -> picture -> encoder -> probabilities, as one graph."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imuspec.nn import RGBImage
from imuspec.prediction.classifier import FittedClassifier
from imuspec.prediction.network import Network
from imuspec.run.export import with_nan_of, write_onnx
from imuspec.simulation import wrist_motion
from imuspec.spectral.image import rgb_image
from imuspec.storage import atomic_path, write_atomically

__all__ = [
    "Parity",
    "WholeModel",
    "check_outputs",
    "export_model",
    "outputs_of",
    "parity_of",
    "simulated_windows",
    "whole_model",
    "write_contract",
]

_OUTPUTS = ("probability", "levels")
_TOLERANCE = 1e-3  # of a probability, between a runtime and PyTorch on the same graph
_NOISE_G = 0.004  # of an accelerometer at 50 Hz


class WholeModel(nn.Module):
    """A model as one network: windows in g to calibrated probabilities.

    The transform of a picture is a product with a constant matrix, so that the graph has no operator for spectra.

    Parameters
    ----------
    model : FittedClassifier
        Model with an encoder.

    Raises
    ------
    ValueError
        If the model has no encoder.
    """

    def __init__(self, model: FittedClassifier) -> None:
        super().__init__()
        if model.encoder is None:
            raise ValueError("export: expected a model with an encoder, got one of statistics of the window")
        self.network = Network(model.encoder, model.head, model.front)
        self.temperature = model.temperature
        self.names = _OUTPUTS[: 1 if model.front.picture is None else 2]
        self.picture = None if model.front.picture is None else RGBImage(**cast("Any", model.front.picture))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the probabilities of windows ``[B, 3, time]``, and for pictures their levels ``[B, 3, rows, columns]``.

        The probabilities of a window with a sample that is not finite are NaN.
        """
        if self.picture is None:
            return (with_nan_of(x, torch.softmax(self.network(x) / self.temperature, -1)),)
        levels = self.picture.grey_levels(x)
        logits = self.network(self.picture.normalised(levels))
        return with_nan_of(x, torch.softmax(logits / self.temperature, -1)), levels


@dataclass(frozen=True)
class Parity:
    """Differences between a runtime and `FittedClassifier.predict_proba` over windows.

    Attributes
    ----------
    n_windows : int
        Number of windows.
    probability : float
        Largest difference of a probability.
    classes : int
        Windows with another most probable class.
    levels : int or None
        Largest difference of a grey level; None without pictures.
    equal_levels : float or None
        Share of the levels that are equal.
    """

    n_windows: int
    probability: float
    classes: int
    levels: int | None = None
    equal_levels: float | None = None


def export_model(
    model: FittedClassifier, out: str | Path, x: NDArray[np.float32], *, n_patches: int | None = None
) -> tuple[Parity, int]:
    """Export a model to ONNX, for any batch size, and compare it with Python.

    Parameters
    ----------
    model : FittedClassifier
        Model with an encoder.
    out : path
        The ONNX file; an existing file is replaced. A JSON file of the same name describes input, outputs and parity.
    x : array of float32 [N, 3, time]
        Windows to compare with, g; two or more.
    n_patches : int, optional
        Patches of an input of an encoder of patches, by default as many as it takes.

    Returns
    -------
    (Parity, int)
        The comparison, and the version of the operator set.

    Raises
    ------
    ValueError
        If the model has no encoder, or there are fewer than two windows.
    RuntimeError
        If a probability of ONNX Runtime differs from PyTorch's on the same graph by 1e-3 or more, over the windows with the
        same grey levels, or if there is no such window. Then no file is written.
    """
    whole = whole_model(model, x, n_patches=n_patches)
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unchecked:
        write_onnx(whole, torch.from_numpy(x[:2]), unchecked, input_name="acceleration", output_names=whole.names)
        outputs = outputs_of(unchecked, x)
        check_outputs(whole, x, outputs)
        operators, opset = _operators(unchecked)
    parity = parity_of(model, x, outputs)
    write_contract(path.with_suffix(".json"), model, outputs, parity, "batch", opset=opset, operators=operators)
    return parity, opset


def whole_model(model: FittedClassifier, x: NDArray[np.float32], *, n_patches: int | None = None) -> WholeModel:
    """Return a model as one network, after a check that windows `x` are its inputs.

    Raises
    ------
    ValueError
        If the model has no encoder, or there are fewer than two windows.
    """
    front = model.front
    whole = WholeModel(model).eval()
    step = front.n_samples * ((n_patches or front.context) if front.kind == "patches" else 1)
    if x.ndim != 3 or x.shape[1:] != (3, step) or len(x) < 2:
        raise ValueError(f"x: expected two or more windows [N, 3, {step}], got {list(x.shape)}")
    return whole


def check_outputs(whole: WholeModel, x: NDArray[np.float32], outputs: list[NDArray[np.float32]]) -> None:
    """Check outputs of an exported network for windows [N, 3, time].

    Raises
    ------
    RuntimeError
        If a probability differs from PyTorch's by 1e-3 or more, over the windows with the same grey levels, or if there is no
        such window.
    """
    with torch.inference_mode():
        parts = [whole(torch.from_numpy(part)) for part in np.array_split(x, -(-len(x) // 64))]
    compared = np.ones(len(x), bool)
    if whole.picture is not None:  # where the device lies still, the picture shows rounding, which differs
        levels = torch.cat([part[1] for part in parts]).numpy()
        compared = (outputs[1] == levels).reshape(len(x), -1).all(1)
    if not compared.any():
        raise RuntimeError(
            f"export: expected a window with PyTorch's grey levels, got none among {len(x)}: no file was written"
        )
    expected = torch.cat([part[0] for part in parts]).numpy()
    difference = float(np.abs(outputs[0] - expected)[compared].max())
    if not difference < _TOLERANCE:
        raise RuntimeError(
            f"export: expected probabilities within {_TOLERANCE:g} of PyTorch's, got {difference:.2g}: no file was written"
        )


def write_contract(
    path: Path,
    model: FittedClassifier,
    outputs: list[NDArray[np.float32]],
    parity: Parity,
    batch: str | int,
    **facts: Any,
) -> None:
    """Write what an exported model takes and gives as JSON."""
    front = model.front
    n_samples = front.n_samples * (outputs[0].shape[1] if front.kind == "patches" else 1)
    contract = {
        "input": {"name": "acceleration", "shape": [batch, 3, n_samples], "unit": "g", "rate_hz": front.rate_hz},
        "outputs": {name: [batch, *values.shape[1:]] for name, values in zip(_OUTPUTS, outputs, strict=False)},
        "class_names": model.class_names,
        **facts,
        "parity": asdict(parity),
    }
    write_atomically(path, (json.dumps(contract, indent=2) + "\n").encode())


def outputs_of(path: Path, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return the outputs of an exported model for windows [N, 3, time], computed by ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    parts = [session.run(None, {"acceleration": part}) for part in np.array_split(x, -(-len(x) // 64))]
    return [np.concatenate([np.asarray(part[i]) for part in parts]) for i in range(len(parts[0]))]


def _operators(path: Path) -> tuple[list[str], int]:
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    opset = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    return sorted({node.op_type for node in proto.graph.node}), int(opset)


def parity_of(model: FittedClassifier, x: NDArray[np.float32], outputs: list[NDArray[np.float32]]) -> Parity:
    """Compare outputs of an exported model with `FittedClassifier.predict_proba`."""
    expected = model.predict_proba(x)
    differing = int((expected.argmax(-1) != outputs[0].argmax(-1)).sum())
    probability = float(np.abs(expected - outputs[0]).max())
    if model.front.picture is None:
        return Parity(len(x), probability, differing)
    drawn = rgb_image(x, **cast("Any", model.front.picture)).astype(np.int64)
    gap = np.abs(drawn - outputs[1].astype(np.int64))
    return Parity(len(x), probability, differing, int(gap.max()), float((gap == 0).mean()))


def simulated_windows(model: FittedClassifier, n: int = 64, *, n_patches: int | None = None) -> NDArray[np.float32]:
    """Return windows of a simulated wrist at the model's rate, float32 [n, 3, time], g, with the noise of a sensor.

    Without noise, cells of a picture would show the rounding of a computation, in which two runtimes differ.
    """
    front = model.front
    step = front.n_samples * ((n_patches or front.context) if front.kind == "patches" else 1)
    days = (n + 1) * step / front.rate_hz / 86400
    x, _, _ = wrist_motion(days=days, seed=0, sample_rate=front.rate_hz, start="2023-05-15T06:30:00")
    windows = x[:, : n * step].reshape(3, n, step).transpose(1, 0, 2)
    noise = np.random.default_rng(0).normal(0, _NOISE_G, windows.shape)
    return np.ascontiguousarray((windows + noise).astype(np.float32))
