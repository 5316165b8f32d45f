"""Commands for encoders: models (public weights), export (ONNX)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import command, existing
from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.run.pretrained import PublicModel

__all__ = ["export", "models"]


@command
def models(
    name: str | None = None,
    /,
    *,
    import_: Annotated[Path | None, Parameter(name="--import")] = None,
    as_: Annotated[str | None, Parameter(name="--as")] = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """List public encoders with their source, licence and input, or import the weights of one.

    imuspec models --import FILE --as NAME --out RUN stores the weights as safetensors in the folder of a run. Every command
    that takes a run takes this folder. Nothing is downloaded, and only tensors are read from the file.

    Parameters
    ----------
    name : str, optional
        Optional: an encoder of the list, to show its details.
    import_ : Path, optional
        A file of published weights.
    as_ : str, optional
        The encoder that the weights belong to.
    out : Path, optional
        The folder for the run.
    json : bool, default False
        Print JSON, for programs.
    """
    output.begin(json=json)
    require("imuspec models", "torch")
    from rich.table import Table
    from rich.text import Text

    from imuspec.run.pretrained import MODELS, find_model, import_model

    if import_ is not None or as_ is not None or out is not None:
        if import_ is None or as_ is None or out is None:
            raise ValueError("models: expected --import FILE --as NAME --out RUN together")
        model = find_model(as_)
        run = import_model(as_, existing(import_), out)
        output.say(f"{run.path}: {model.about}; takes {model.takes}; licence: {model.licence}")
        return 0
    if name is not None:
        model = find_model(name)
        encoder = model.build()
        n_parameters = sum(parameter.numel() for parameter in encoder.parameters())
        if json:
            output.emit({**_facts(model), "n_features": encoder.n_features, "n_parameters": n_parameters})
            return 0
        table = Table(show_header=False, box=None, pad_edge=False)
        for key, value in {
            "name": model.name,
            "about": model.about,
            "file": model.url,
            "licence": model.licence,
            "input": model.takes,
            "output": f"[B, {encoder.n_features}]",
            "parameters": f"{n_parameters:,}",
            "encoder": f"{model.encoder} {dict(model.settings) or ''}".strip(),
            "cite": model.reference,
        }.items():
            table.add_row(Text(key, "bold"), Text(value))
        output.show(table)
        return 0
    if json:
        output.emit([_facts(model) for model in MODELS.values()])
        return 0
    table = Table("model", "description", "licence", "input", box=None, pad_edge=False)
    for model in MODELS.values():
        table.add_row(model.name, Text(model.about), Text(model.licence), Text(model.takes))
    output.show(table)
    return 0


def _facts(model: PublicModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "about": model.about,
        "licence": model.licence,
        "input": model.takes,
        "url": model.url,
        "encoder": model.encoder,
        "settings": dict(model.settings),
        "citation": model.reference,
    }


@command
def export(run: Path, /, *, out: Path, n_samples: int | None = None, data: str | None = None) -> int:
    """Write the encoder of a run, or a whole model of imuspec fit, as an ONNX file, and compare it with Python.

    A model becomes one graph: window in g, picture, encoder, probabilities. The differences of levels and probabilities over
    windows are printed.

    Parameters
    ----------
    run : Path
        The folder of the run or the model.
    out : Path
        The file to write, as model.onnx. The file model.json beside it describes input and output.
    n_samples : int, optional
        Samples per window of a run's signal encoder, or per input of a model of patches. The default is the length of the
        encoder, or else 5 s at 50 Hz.
    data : str, optional
        For a model: NAME=PATH[,setting=value,...], a labelled set whose first 1,000 windows are compared. The default is
        windows of a simulated wrist.
    """
    require("imuspec export", "onnx", "onnxscript", "onnxruntime", "torch")
    existing(run)
    from imuspec.report.words import size
    from imuspec.run.export import export_onnx

    if (run / "classifier.json").is_file():
        return _export_model(run, out, n_samples, data)
    if data is not None:
        raise ValueError(f"data: expected a model of imuspec fit for --data, got the run {run}")
    difference = export_onnx(run, out, n_samples=n_samples)
    output.say(f"{out}: {size(out.stat().st_size)}, embeddings within {difference:.1e} of PyTorch's")
    return 0


def _export_model(path: Path, out: Path, n_samples: int | None, data: str | None) -> int:
    import numpy as np

    from imuspec.datasets import DatasetReference
    from imuspec.prediction import load
    from imuspec.prediction.export import export_model, simulated_windows
    from imuspec.report.words import size

    model = load(path)
    front = model.front
    n_patches = None
    if n_samples is not None:
        n_patches, rest = divmod(n_samples, front.n_samples)
        if front.kind != "patches" or rest or not 1 <= n_patches <= front.context:
            expected = f"{front.n_samples} k, k from 1 to {front.context}" if front.kind == "patches" else "none"
            raise ValueError(f"n_samples: expected {expected} for {model!r}, got {n_samples}")
    if data is None:
        x = simulated_windows(model, 8 if front.kind == "patches" else 64, n_patches=n_patches)
    elif front.kind == "patches":
        step = front.n_samples * (n_patches or front.context)
        stretches = [item.x for item in DatasetReference.parse(data).sequences()]
        parts = [x[:, i : i + step] for x in stretches for i in range(0, x.shape[1] - step + 1, step)][:100]
        if len(parts) < 2:
            raise ValueError(f"data: expected two stretches of {step / front.rate_hz:g} s or more, got {len(parts)}")
        x = np.ascontiguousarray(np.stack(parts))
    else:
        x = DatasetReference.parse(data).windows(window_s=front.window_s, rate=front.rate_hz).x[:1000]
    parity, opset = export_model(model, out, x, n_patches=n_patches)
    output.say(
        f"{out}: {size(out.stat().st_size)}, operator set {opset}, [batch, 3, {x.shape[2]}] g at {front.rate_hz:g} Hz"
    )
    kind = "simulated windows" if data is None else "windows"
    levels = (
        ""
        if parity.levels is None or parity.equal_levels is None
        else f"levels within {parity.levels} ({parity.equal_levels:.3%} equal), "
    )
    output.say(
        f"of {parity.n_windows:,} {kind}: {levels}probabilities within {parity.probability:.1e}, {parity.classes} other classes"
    )
    return 0
