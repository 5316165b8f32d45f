"""Command: export, which writes a run's encoder or a whole model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from imuspec.cli import output
from imuspec.cli.app import command, existing
from imuspec.cli.runs import is_model
from imuspec.errors import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imuspec.prediction import Model
    from imuspec.prediction.quantisation import QuantisationCost

__all__ = ["export"]

_COMPARED = {"windows": 1000, "patches": 100}  # inputs


@command
def export(
    run: Path,
    /,
    *,
    out: Path,
    n_samples: int | None = None,
    data: str | None = None,
    int8: bool = False,
) -> int:
    """Write the encoder of a run, or a whole model of imuspec fit, as an ONNX file, and compare it with Python.

    A model becomes one graph: window in g, picture, encoder, probabilities. The differences of levels and probabilities over
    windows are printed. With --out model.pte it becomes a program of ExecuTorch.

    Parameters
    ----------
    run : Path
        The folder of the run or the model.
    out : Path
        The file to write, as model.onnx. The file model.json beside it describes input and output. For a model also
        model.pte, with model.pte.json beside it: a program of ExecuTorch for one window at a time.
    n_samples : int, optional
        Samples per window of a run's signal encoder, or per input of a model of patches. The default is the length of the
        encoder, or else 5 s at 50 Hz.
    data : str, optional
        For a model: NAME=PATH[,setting=value,...], a labelled set. 1,000 windows, spread evenly over it, are compared. The
        default is windows of a simulated wrist.
    int8 : bool, default False
        Write a second file, as model.int8.onnx, whose encoder has eight-bit weights and activations. A fifth of the people of
        --data calibrate it; the others show what it costs.
    """
    program = out.suffix == ".pte"
    if out.suffix not in (".onnx", ".pte"):
        raise ValueError(f"out: expected a name in .onnx or .pte, got {out.name!r}")
    require("imuspec export", *(("executorch",) if program else ("onnx", "onnxscript", "onnxruntime")), "torch")
    existing(run)
    if program and int8:
        raise ValueError("int8: expected --out in .onnx, got a program of ExecuTorch")
    if is_model(run):
        return _export_model(run, out, n_samples, data, int8=int8)
    if program:
        raise ValueError(f"out: expected a model of imuspec fit for a program of ExecuTorch, got the run {run}")
    for name, value in (("data", data), ("int8", int8 or None)):
        if value is not None:
            raise ValueError(f"{name}: expected a model of imuspec fit for --{name}, got the run {run}")
    from imuspec.report.words import size
    from imuspec.run.export import export_onnx

    difference = export_onnx(run, out, n_samples=n_samples)
    output.say(f"{out}: {size(out.stat().st_size)}, embeddings within {difference:.1e} of PyTorch's")
    return 0


class _Inputs(NamedTuple):
    """Inputs [N, 3, time], their classes in the model's order (-1: none), people, and whether the model was fitted to them."""

    x: NDArray[np.float32]
    label: NDArray[np.int64]
    subject: NDArray[Any]
    seen: NDArray[np.bool_]


def _export_model(path: Path, out: Path, n_samples: int | None, data: str | None, *, int8: bool) -> int:
    import numpy as np

    from imuspec.prediction import load
    from imuspec.prediction.export import export_model, simulated_windows
    from imuspec.report.words import size

    if int8 and data is None:
        raise ValueError("int8: expected --data with labelled windows that calibrate and score it, got none")
    model = load(path)
    front = model.front
    n_patches = None
    if n_samples is not None:
        n_patches, rest = divmod(n_samples, front.n_samples)
        if front.kind != "patches" or rest or not 1 <= n_patches <= front.context:
            expected = f"{front.n_samples} k, k from 1 to {front.context}" if front.kind == "patches" else "none"
            raise ValueError(f"n_samples: expected {expected} for {model!r}, got {n_samples}")
    inputs = None if data is None else _inputs(model, data, n_patches)
    if inputs is None:
        x = simulated_windows(model, 8 if front.kind == "patches" else 64, n_patches=n_patches)
    else:
        most = _COMPARED["patches" if front.kind == "patches" else "windows"]
        n = len(inputs.x)
        x = inputs.x if n <= most else inputs.x[np.linspace(0, n - 1, most).astype(np.int64)]
    if out.suffix == ".pte":
        from imuspec.prediction.executorch import export_program

        parity = export_program(model, out, x, n_patches=n_patches)
        form, batch = "ExecuTorch with XNNPACK", "1"
    else:
        parity, opset = export_model(model, out, x, n_patches=n_patches)
        form, batch = f"operator set {opset}", "batch"
    output.say(f"{out}: {size(out.stat().st_size)}, {form}, [{batch}, 3, {x.shape[2]}] g at {front.rate_hz:g} Hz")
    kind = "simulated windows" if data is None else "windows"
    levels = (
        ""
        if parity.levels is None or parity.equal_levels is None
        else f"levels within {parity.levels} ({parity.equal_levels:.3%} equal), "
    )
    output.say(
        f"of {parity.n_windows:,} {kind}: {levels}probabilities within {parity.probability:.1e}, {parity.classes} other classes"
    )
    if int8:
        assert inputs is not None
        _quantise(out, inputs)
    return 0


def _inputs(model: Model, data: str, n_patches: int | None) -> _Inputs:
    """Load a labelled set in the form of the model's input."""
    import numpy as np

    from imuspec.datasets import DatasetReference
    from imuspec.prediction.predicting import seen_by

    front, reference = model.front, DatasetReference.parse(data)
    position = {name: index for index, name in enumerate(model.class_names)}
    if front.kind != "patches":
        windows = reference.windows(window_s=front.window_s, rate=front.rate_hz)
        mapped = np.array([position.get(name, -1) for name in windows.class_names])[windows.label]
        return _Inputs(windows.x, mapped, windows.subject, seen_by(model, windows, windows.subject))
    sequences = reference.sequences()
    n = n_patches or front.context
    step = front.n_samples * n
    mapped = np.array([*(position.get(name, -1) for name in sequences.class_names), -1])
    parts = [
        (item.x[:, k * front.n_samples : k * front.n_samples + step], mapped[item.label[k : k + n]], item.subject)
        for item in sequences
        for k in range(0, len(item.label) - n + 1, n)
    ]
    if len(parts) < 2:
        raise ValueError(f"data: expected two stretches of {step / front.rate_hz:g} s or more, got {len(parts)}")
    subject = np.array([who for _, _, who in parts])
    x = np.ascontiguousarray(np.stack([part for part, _, _ in parts]))
    return _Inputs(x, np.stack([label for _, label, _ in parts]), subject, seen_by(model, sequences, subject))


def _quantise(out: Path, inputs: _Inputs) -> QuantisationCost:
    import numpy as np

    from imuspec.prediction.quantisation import quantise
    from imuspec.report.words import size

    used = ~inputs.seen
    if len(np.unique(inputs.subject[used])) < 2:
        used = np.ones(len(inputs.x), np.bool_)
        output.say("int8: the model was fitted to all these people, or all but one: scores are not of unseen people")
    small = out.with_suffix(f".int8{out.suffix}")
    cost = quantise(out, small, inputs.x[used], inputs.label[used], inputs.subject[used])
    output.say(
        f"{small}: {size(cost.size[1])} instead of {size(cost.size[0])}, {cost.n_operators} operators of the encoder"
    )
    output.say(
        f"of {cost.n_windows:,} labels of people who did not calibrate: macro-F1 {cost.macro_f1[0]:.3f} as float, "
        f"{cost.macro_f1[1]:.3f} as int8; probabilities within {cost.probability:.1e}, {cost.classes} other classes"
    )
    return cost
