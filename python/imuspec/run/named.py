"""What a user calls an encoder (a run, random:RUN, imagenet, a weights file), and what is known of it."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from imuspec import encoders
from imuspec.encoders import Encoder
from imuspec.run.run import Run

__all__ = [
    "PeopleSeen",
    "expect_digest",
    "load_encoder",
    "people_seen",
    "picture_size",
    "weights_digest",
    "window_form",
]

_BORN = ("random", "imagenet", "statistics")
_PARTS = ("encoder.json", "encoder.safetensors", "head.safetensors", "activities.json")


def weights_digest(what: str) -> str:
    """Return a digest of a run's folder or of a weights file; empty for what a name says.

    Raises
    ------
    FileNotFoundError
        There is no such run.
    """
    if what in _BORN and not Path(what).exists():
        return ""
    form = what.startswith("random:")  # of an encoder as it was born the form alone counts
    path = Path(what.removeprefix("random:"))
    if form and (path / "encoder.json").is_file():
        return hashlib.sha256(b"random:" + (path / "encoder.json").read_bytes()).hexdigest()
    files = [path] if path.is_file() else [path / name for name in _PARTS if (path / name).is_file()]
    if not files:
        raise FileNotFoundError(f"run: expected a run's folder, a weights file, {', '.join(_BORN)}, got {what!r}")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def expect_digest(what: str, digest: str) -> None:
    """Raise ValueError unless the weights named have this digest."""
    if weights_digest(what) != digest:
        raise ValueError(f"run: expected the weights that the run began with, got others in {what}")


def picture_size(what: str) -> tuple[int, int] | None:
    """Rows and columns of the pictures on which a run's encoder was pre-trained; None for what is no run on pictures."""
    source = _source_of(what)
    return (source["height"], source["width"]) if {"height", "width"} <= set(source) else None


def window_form(what: str) -> tuple[float, float] | None:
    """Length, s, and rate, Hz, of the windows on which a run's encoder was pre-trained; None for what is no run on them."""
    imported = _folder(what) / "model.json"
    source = json.loads(imported.read_text("utf-8")) if imported.is_file() else _source_of(what)
    return (source["window_s"], source["rate_hz"]) if {"window_s", "rate_hz"} <= set(source) else None


@dataclass(frozen=True)
class PeopleSeen:
    """People whose windows a run was pre-trained on.

    Attributes
    ----------
    name : str
        Name of the set; empty for a run on no labelled set.
    people : tuple of str
        Their identities, as `imuspec.datasets.Windows.people`.
    subjects : tuple, optional
        Subjects used; None for all.
    """

    name: str = ""
    people: tuple[str, ...] = ()
    subjects: tuple[Any, ...] | None = ()


def people_seen(what: str) -> PeopleSeen:
    """Return the people whose windows a run was pre-trained on: its source's, or a public model's."""
    model, source = (_folder(what) / name for name in ("model.json", "source.json"))
    if model.is_file():
        facts = json.loads(model.read_text("utf-8"))
        return PeopleSeen(facts["name"], tuple(facts.get("people", ())), None)
    facts = json.loads(source.read_text("utf-8")) if source.is_file() else {}
    return PeopleSeen(facts.get("set", ""), tuple(facts.get("people", ())), tuple(facts.get("subjects", ())))


def _source_of(what: str) -> dict[str, Any]:
    """The section ``source`` of a run's recipe; empty for what is no run."""
    recipe = _folder(what) / "recipe.json"
    return dict(json.loads(recipe.read_text("utf-8")).get("source", {})) if recipe.is_file() else {}


def _folder(what: str) -> Path:
    return Path(what.removeprefix("random:"))


def load_encoder(what: str, *, seed: int = 0) -> Encoder:
    """Return a frozen encoder by what a user calls it.

    Parameters
    ----------
    what : str
        A run's folder; "random:" and a run's folder, an encoder of its form as it was born; "random", a ResNet-18 as it
        was born; "imagenet", torchvision's supervised one; or the path of a weights file of torchvision's form.
    seed : int
        Of the random weights.

    Returns
    -------
    nn.Module
        In eval mode.

    Raises
    ------
    ValueError, FileNotFoundError
        For what is none of these.
    """
    if what == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return encoders.build("resnet18").eval()
    if what.startswith("random:"):
        return Run(_folder(what)).random_encoder(seed=seed)
    path = Path(what)
    if what == "imagenet" or path.is_file():
        return encoders.build("resnet18", weights=what).eval()
    if path.is_dir():
        with warnings.catch_warnings():
            return Run(path).load_encoder()
    raise FileNotFoundError(
        f"run: expected a run's folder, random:FOLDER, a weights file, random or imagenet, got {what!r}"
    )
