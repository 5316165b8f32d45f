"""The folder of a fitted model: JSON and safetensors, written whole or not at all, checked by digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from imuspec._core import __version__
from imuspec.errors import require, without_credentials
from imuspec.prediction.card import card, scores_table
from imuspec.prediction.classifier import FittedClassifier
from imuspec.prediction.front_end import FrontEnd
from imuspec.prediction.held_out import HeldOut
from imuspec.prediction.smoothing import Smoother
from imuspec.run.run import Run
from imuspec.storage import atomic_path, is_remote, put_tree, read_json, remove_tree, temporary_name

__all__ = ["DESCRIPTION", "PEOPLE", "read_folder", "write_folder"]

DESCRIPTION, PEOPLE = "classifier.json", "source.json"
_HEAD, _HELD_OUT = "head.safetensors", "held_out.safetensors"
_SMOOTHER = ("start", "transition", "emission")
_DESCRIBED = ("sha256", "class_names", "head", "smoother", "front", "temperature", "version")
_COLUMNS = ("logits", "label", "person", "fold", "chain")


def write_folder(model: FittedClassifier, path: str | Path) -> Path:
    """Write a model to a new folder, whole or not at all, and return the folder."""
    require("a model", "safetensors")
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"out: expected a new folder, got {folder}, which exists")
    folder.parent.mkdir(parents=True, exist_ok=True)
    waiting = folder.with_name(f".{folder.name}.part.{temporary_name()}")
    try:
        _write(model, waiting)
        if folder.exists():
            folder.rmdir()
        put_tree(waiting, folder)
    finally:
        remove_tree(waiting)
    return folder


def _write(model: FittedClassifier, folder: Path) -> None:
    from safetensors.numpy import save_file

    run = Run(folder)
    folder.mkdir()
    if model.encoder is not None:
        run.save_encoder(model.encoder)
    state = {
        name: np.ascontiguousarray(value.detach().cpu().numpy()) for name, value in model.head.state_dict().items()
    }
    columns = {name: np.ascontiguousarray(getattr(model.held_out, name)) for name in _COLUMNS}
    for name, tensors in ((_HEAD, state), (_HELD_OUT, columns)):
        with atomic_path(folder / name) as file:
            save_file(tensors, file)
    run.write_text("recipe.json", model.recipe)
    facts = dict(model.facts)
    run.write_text(PEOPLE, json.dumps(facts.pop("people", {}), indent=2) + "\n")
    with atomic_path(folder / "scores.csv") as file:
        scores_table(model).to_csv(file, index=False, float_format="%.4f")
    smoother = model.smoother
    description = {
        "version": __version__,
        "front": model.front.as_json(),
        "head": {"kind": model.head.head, "n_features": model.head.n_features},
        "class_names": model.class_names,
        "temperature": model.temperature,
        "smoother": None if smoother is None else {key: getattr(smoother, key).tolist() for key in _SMOOTHER},
        **facts,
    }
    names = [name.name for name in sorted(folder.iterdir()) if name.name != PEOPLE]
    description["sha256"] = {name: _sha256(folder / name) for name in names}
    run.write_text(DESCRIPTION, json.dumps(description, indent=2) + "\n")
    run.write_text("README.md", card(model))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_folder(path: str | Path) -> dict[str, Any]:
    """Return the fields of the classifier of a folder that `write_folder` wrote, after a check of every file's digest."""
    require("a model", "torch", "safetensors")
    from safetensors.numpy import load_file
    from safetensors.torch import load_file as load_tensors

    from imuspec.probing.patch_heads import Head

    if is_remote(path):
        raise ValueError(
            f"model {without_credentials(str(path))}: expected a folder of this machine, got a URL: copy it"
        )
    folder = Path(path)
    described = folder / DESCRIPTION
    if not described.is_file():
        raise FileNotFoundError(
            f"model {folder}: expected a folder with {DESCRIPTION}, got none: `imuspec fit RUN --data NAME=PATH --out "
            f"{folder}` makes one from labelled recordings"
        )
    facts = read_json(described)
    lacking = [key for key in _DESCRIBED if key not in facts]
    if lacking:
        raise ValueError(f"model {folder}: expected a description with {', '.join(lacking)} in {DESCRIPTION}, got none")
    for name, digest in facts.pop("sha256").items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise ValueError(f"model {folder}: expected {name} as it was written, got another or none")
    names, head_facts, smoother = (facts.pop(key) for key in ("class_names", "head", "smoother"))
    front, temperature, _ = (facts.pop(key) for key in ("front", "temperature", "version"))
    head = Head(head_facts["kind"], head_facts["n_features"], len(names))
    head.load_state_dict(load_tensors(folder / _HEAD))
    people = folder / PEOPLE
    return {
        "front": FrontEnd.from_json(front),
        "encoder": Run(folder).load_encoder() if (folder / "encoder.json").is_file() else None,
        "head": head.eval(),
        "class_names": tuple(names),
        "temperature": temperature,
        "smoother": None if smoother is None else Smoother(*(np.array(smoother[key]) for key in _SMOOTHER)),
        "held_out": HeldOut(**load_file(folder / _HELD_OUT)),
        "recipe": (folder / "recipe.json").read_text("utf-8"),
        "facts": {**facts, **({"people": read_json(people)} if people.is_file() else {})},
    }
