"""Command for encoders: models (public weights)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from imuspec.cli import output
from imuspec.cli.app import command, existing
from imuspec.errors import require

if TYPE_CHECKING:
    from imuspec.run.pretrained import PublicModel

__all__ = ["models"]


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
        if name is not None or json:
            raise ValueError(
                f"models: expected neither a name nor --json beside --import, got {'--json' if name is None else name}"
            )
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
