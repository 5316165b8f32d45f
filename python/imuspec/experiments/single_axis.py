"""One axis alone, copied to three channels, beside all three axes; pre-training without Hue, which would mix the copies.

The encoder comes from ``--runs encoder=FOLDER``, or is pre-trained here by IMG2IMU's recipe for small sets on the pictures of
``--set images=PATH``; a row of random weights stands beside it. The paper gives no numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from imuspec import encoders
from imuspec.evaluation import summary
from imuspec.experiments import _rows
from imuspec.experiments.frame import Result, Setup
from imuspec.pretraining.pretraining import pretrain
from imuspec.probing.protocol import probe
from imuspec.recipe import PretrainRecipe
from imuspec.recipe.probing import HeadSettings
from imuspec.run.named import load_encoder

if TYPE_CHECKING:
    from torch import nn

DATA = ("wisdm",)
_SHARED = (
    "images",
    "image_epochs",
    "image_batch",
    "image_limit",
    "nfft",
    "hop",
    "norm",
    "height",
    "width",
    "head_epochs",
    "max_judged",
    "window_s",
)
OPTIONS: dict[str, Any] = {
    **{name: _rows.OPTIONS[name] for name in _SHARED},
    "rows": "",  # names with semicolons between; all
    "shots": 10,
}
TINY = {name: value for name, value in _rows.TINY.items() if name in OPTIONS}
_AXES = {"x alone": 0, "y alone": 1, "z alone": 2, "three axes": None}


def run(setup: Setup) -> Result:
    """Judge each axis by itself and all together, with the encoder and with a random one."""
    made = {"random": _random(), **_trained(setup)}
    notes = (
        [] if len(made) > 1 else ["pre-trained: left out, as neither --runs encoder=FOLDER nor images=PATH was given"]
    )
    asked = [name.strip() for name in setup.option("rows", str).split(";") if name.strip()] or list(_AXES)
    if unknown := [name for name in asked if name not in _AXES]:
        raise ValueError(f"rows: expected some of {'; '.join(_AXES)}, got {'; '.join(unknown)}")
    found = []
    for name in _rows.columns(setup, DATA):
        wanted = setup.option("window_s", float)
        windows = setup.windows(name, **({"window_s": wanted} if wanted else {}))
        for row in asked:
            axis = _AXES[row]
            shown = windows if axis is None else replace(windows, x=np.repeat(windows.x[:, axis : axis + 1], 3, axis=1))
            for what, encoder in made.items():
                result = probe(
                    _rows.source(setup, encoder),
                    shown,
                    seeds=setup.seeds,
                    shots=(setup.option("shots", int),),
                    settings=HeadSettings(epochs=setup.option("head_epochs", int)),
                    max_validation=setup.option("max_judged", int) or None,
                    max_test=setup.option("max_judged", int) or None,
                )
                found.append(result.table.assign(row=f"{row}, {what}", column=name))
    judged = pd.concat(found, ignore_index=True)
    table = summary(judged, ["row", "column"], ["macro_f1"]).rename(columns={"macro_f1": "value", "macro_f1_sd": "sd"})
    return Result(table, notes=notes, tables={"seeds": judged})


def _random() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return encoders.build("resnet18")


def _trained(setup: Setup) -> dict[str, nn.Module]:
    if "encoder" in setup.runs:
        return {"pre-trained": load_encoder(setup.runs["encoder"])}
    if not setup.option("images", str) and not setup.tiny:
        return {}
    recipe = PretrainRecipe.load("img2imu-small").set('views.operations=["translate_x", "permute_x", "jitter"]')
    batch, limit = setup.option("image_batch", int), setup.option("image_limit", int)
    numbers = {"training.epochs": setup.option("image_epochs", int), "training.batch": batch, "source.limit": limit}
    if batch:
        numbers["objective.queue"] = max(1, min(1024, limit or 1024) // batch) * batch
    recipe = recipe.set(*(f"{key}={value}" for key, value in numbers.items() if value))
    data = setup.option("images", str) or _rows.made_up_pictures(setup.out)
    folder = setup.out / "runs" / "without-hue"
    return {"pre-trained": pretrain(recipe, data, folder, resume=(folder / "recipe.json").exists()).load_encoder()}
