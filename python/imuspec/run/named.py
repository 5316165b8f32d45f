"""Encoders by the name that a user gives: a run, random:RUN, random, imagenet or a weights file."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from imuspec import encoders
from imuspec.encoders import Encoder
from imuspec.run.run import Run
from imuspec.storage import read_json

__all__ = [
    "PeopleSeen",
    "all_people_seen",
    "checked_device",
    "expect_digest",
    "load_encoder",
    "people_seen",
    "picture_size",
    "weights_digest",
    "window_form",
]

_WORDS = ("random", "imagenet", "efficientnet-lite0", "statistics")  # names that are no path
_FILES = ("encoder.json", "encoder.safetensors", "head.safetensors", "classifier.json")


def weights_digest(name: str) -> str:
    """Return a SHA-256 of an encoder's files.

    Parameters
    ----------
    name : str
        A run's folder, "random:" and a run's folder, a weights file, "random", "imagenet", "efficientnet-lite0" or
        "statistics". Of "random:" and a folder only the architecture counts, as the weights follow from a seed.

    Returns
    -------
    str
        Hexadecimal digits; empty for "random", "imagenet", "efficientnet-lite0" and "statistics".

    Raises
    ------
    FileNotFoundError
        If there is no such run or file.
    """
    if name in _WORDS:
        return ""
    path = _folder(name)
    if name.startswith("random:") and (path / "encoder.json").is_file():
        return hashlib.sha256(b"random:" + (path / "encoder.json").read_bytes()).hexdigest()
    files = [path] if path.is_file() else [path / file for file in _FILES if (path / file).is_file()]
    if not files:
        raise FileNotFoundError(f"run: expected a run's folder, a weights file, {', '.join(_WORDS)}, got {name!r}")
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def expect_digest(name: str, digest: str) -> None:
    """Raise an error if an encoder's files changed since `weights_digest`.

    Parameters
    ----------
    name : str
        As in `weights_digest`.
    digest : str
        The earlier result of `weights_digest`.

    Raises
    ------
    ValueError
        If the digest differs.
    """
    if weights_digest(name) != digest:
        raise ValueError(f"run: expected weights unchanged since the start, got others in {name}")


def picture_size(name: str) -> tuple[int, int] | None:
    """Return the size of the pictures that a run's encoder was pre-trained on.

    Parameters
    ----------
    name : str
        A run's folder, or another name of an encoder.

    Returns
    -------
    tuple of int or None
        Rows and columns. None if `name` is not a run that was pre-trained on pictures.
    """
    source = _source_section(name)
    return (source["height"], source["width"]) if {"height", "width"} <= set(source) else None


def window_form(name: str) -> tuple[float, float] | None:
    """Return the length and rate of the windows that a run's encoder was pre-trained on.

    Parameters
    ----------
    name : str
        A run's folder, or another name of an encoder.

    Returns
    -------
    tuple of float or None
        Length, s, and sample rate, Hz. None if `name` is not a run that was pre-trained on windows.
    """
    imported = _folder(name) / "model.json"
    source = read_json(imported) if imported.is_file() else _source_section(name)
    return (source["window_s"], source["rate_hz"]) if {"window_s", "rate_hz"} <= set(source) else None


@dataclass(frozen=True)
class PeopleSeen:
    """People whose windows a run was pre-trained on. Their windows must not be in a test split.

    Attributes
    ----------
    name : str
        Name of the labelled set; empty if the run used none.
    people : tuple of str
        Identities of the people, as `imuspec.datasets.Windows.people`.
    subjects : tuple or None
        Subjects of the set that were used; None for all.
    """

    name: str = ""
    people: tuple[str, ...] = ()
    subjects: tuple[Any, ...] | None = ()

    def as_json(self) -> dict[str, Any]:
        """Return the fields as ``source.json`` has them."""
        return {"set": self.name, "people": list(self.people), "subjects": self.subjects and list(self.subjects)}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> PeopleSeen:
        """Return the people that `as_json` described; nobody without a description."""
        subjects = facts.get("subjects", ())
        return cls(facts.get("set", ""), tuple(facts.get("people", ())), None if subjects is None else tuple(subjects))


def all_people_seen(name: str) -> tuple[PeopleSeen, ...]:
    """Return the people of a run as `people_seen`, and of a fitted model also those that its encoder was pre-trained on.

    Parameters
    ----------
    name : str
        A run's folder, the folder of a fitted model, or another name of an encoder.
    """
    source = _folder(name) / "source.json"
    facts = read_json(source) if source.is_file() else {}
    return people_seen(name), *(PeopleSeen.from_json(each) for each in facts.get("pretraining", ()))


def people_seen(name: str) -> PeopleSeen:
    """Return the people whose windows a run, or an imported public model, was pre-trained on.

    Parameters
    ----------
    name : str
        A run's folder, or another name of an encoder, for which the result is empty.
    """
    model, source = (_folder(name) / file for file in ("model.json", "source.json"))
    if model.is_file():
        facts = read_json(model)
        return PeopleSeen(facts["name"], tuple(facts.get("people", ())), None)
    return PeopleSeen.from_json(read_json(source) if source.is_file() else {})


def _source_section(name: str) -> dict[str, Any]:
    """Return the section ``source`` of a run's recipe, or the same of a fitted model; empty if `name` is neither."""
    fitted = _folder(name) / "classifier.json"
    if fitted.is_file():
        front = _front_of(fitted)
        if front["picture"] is not None:
            return dict(zip(("height", "width"), front["picture"]["size"], strict=True))
        return {"window_s": front["n_samples"] / front["rate_hz"], "rate_hz": front["rate_hz"]}
    recipe = _folder(name) / "recipe.json"
    return dict(read_json(recipe).get("source", {})) if recipe.is_file() else {}


def _front_of(described: Path) -> dict[str, Any]:
    """Return the front end that the description of a fitted model states."""
    facts = read_json(described)
    if "front" not in facts:
        raise ValueError(f"{described}: expected the description of a model, with front, got none")
    return dict(facts["front"])


def checked_device(name: str) -> str:
    """Return the name of a device, after a check that PyTorch can use it.

    Parameters
    ----------
    name : str
        "cpu", "cuda", "cuda:1", "mps" and so on.

    Raises
    ------
    ValueError
        If there is no such kind of device.
    RuntimeError
        If this machine has none of that kind, or not as many.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device: expected cpu, cuda, cuda:N or mps, got {name!r}") from error
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not usable.get(device.type, True):
        raise RuntimeError(f"device: expected {device.type} that PyTorch {torch.__version__} can use, got none here")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(f"device: expected one of {torch.cuda.device_count()} GPUs, counted from 0, got {name}")
    return name


def _folder(name: str) -> Path:
    return Path(name.removeprefix("random:"))


def load_encoder(name: str, *, seed: int = 0) -> Encoder:
    """Return an encoder by the name that a user gives.

    Parameters
    ----------
    name : str
        - a run's folder: the run's encoder
        - "random:" and a run's folder: the same architecture with its initial random weights
        - "random": a ResNet-18 with random weights
        - "imagenet": torchvision's ResNet-18, trained on ImageNet's labels
        - "efficientnet-lite0": timm's EfficientNet-Lite0, trained on ImageNet's labels (the extra ``imagenet``)
        - a weights file: a ResNet-18 with the weights of the file
    seed : int, default 0
        Seed of the random weights.

    Returns
    -------
    Encoder
        The encoder in eval mode.

    Raises
    ------
    FileNotFoundError
        If `name` is not one of these, or the run has no encoder.
    ValueError
        If the weights do not fit the encoder.
    """
    if name == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return encoders.build("resnet18").eval()
    if name.startswith("random:"):
        return Run(_folder(name)).random_encoder(seed=seed)
    if name == "efficientnet-lite0":
        return encoders.build("efficientnet_lite0", weights="imagenet").eval()
    path = Path(name)
    if name == "imagenet" or path.is_file():
        return encoders.build("resnet18", weights=name).eval()
    if path.is_dir():
        with warnings.catch_warnings():
            return Run(path).load_encoder()
    raise FileNotFoundError(
        f"run: expected a run's folder, random:FOLDER, a weights file, random, imagenet or efficientnet-lite0, got {name!r}"
    )
