"""Public encoders, and encoders for other machines: models, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import app, existing
from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.run.pretrained import PublicModel

__all__ = ["export", "models"]


@app.command
def models(
    name: str | None = None,
    /,
    *,
    import_: Annotated[Path | None, Parameter(name="--import")] = None,
    as_: Annotated[str | None, Parameter(name="--as")] = None,
    out: Path | None = None,
    json: bool = False,
) -> int:
    """List public encoders with source, licence and what they take; or import a file of one.

    imuspec models --import FILE --as NAME --out RUN keeps the weights as safetensors in a run's folder, which every
    command that takes a run takes. Nothing is fetched, and nothing but tensors is read from the file.

    Parameters
    ----------
    name
        Optional: an encoder of the list, to show all that is known of it.
    import_
        A file of weights, as published.
    as_
        Which encoder it is of.
    out
        The run's folder.
    json
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
            "takes": model.takes,
            "gives": f"[B, {encoder.n_features}]",
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
    table = Table("model", "what", "licence", "takes", box=None, pad_edge=False)
    for model in MODELS.values():
        table.add_row(model.name, Text(model.about), Text(model.licence), Text(model.takes))
    output.show(table)
    return 0


def _facts(model: PublicModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "about": model.about,
        "licence": model.licence,
        "takes": model.takes,
        "url": model.url,
        "encoder": model.encoder,
        "settings": dict(model.settings),
        "citation": model.reference,
    }


@app.command
def export(run: Path, /, *, out: Path, n_samples: int | None = None) -> int:
    """Write a run's encoder as an ONNX file, which runs without PyTorch, and hold it to PyTorch's embeddings.

    Parameters
    ----------
    run
        The run's folder.
    out
        The file to write, as model.onnx; model.json beside it says what it takes and gives.
    n_samples
        Length of a window, for an encoder of signals; by default the encoder's own, else 5 s at 50 Hz.
    """
    require("imuspec export", "onnx", "onnxscript", "onnxruntime", "torch")
    existing(run)
    from imuspec.report.words import size
    from imuspec.run.export import export_onnx

    difference = export_onnx(run, out, n_samples=n_samples)
    output.say(f"{out}: {size(out.stat().st_size)}, embeddings within {difference:.1e} of PyTorch's")
    return 0
