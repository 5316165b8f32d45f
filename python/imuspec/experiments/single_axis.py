"""One axis alone, copied to three channels, beside all three axes; pre-training without Hue, which would mix the copies.

The encoder comes from ``--runs encoder=FOLDER``, or is pre-trained here by IMG2IMU's recipe for small sets on the pictures of
``--set images=PATH``; a row of random weights stands beside it. The paper gives no numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import torch

from imuspec import encoders
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge, macro_f1_table
from imuspec.experiments.methods import ImageOptions, made_up_pictures, pretrain_once, source
from imuspec.experiments.setup import RowOptions, Setup
from imuspec.recipe import PretrainRecipe
from imuspec.run.named import load_encoder

if TYPE_CHECKING:
    from torch import nn

DATA = ("wisdm",)
OTHER_DATA = True
RUNS = {"encoder": "a run on pictures, of recipe img2imu without Hue"}
_AXES = {"x alone": 0, "y alone": 1, "z alone": 2, "three axes": None}


class Options(ImageOptions, RowOptions):
    """Numbers of this study."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(_AXES)


OPTIONS = Options


def run(setup: Setup[Options]) -> Result:
    """Judge each axis by itself and all together, with the encoder and with a random one."""
    encoders_of = {"random": _random(), **_trained(setup)}
    missing = "pre-trained: left out, as neither --runs encoder=FOLDER nor images=PATH was given"
    notes = [] if len(encoders_of) > 1 else [missing]
    tables = []
    for name in setup.columns(DATA):
        windows = setup.windows(name, **setup.options.window_settings)
        for row in setup.options.chosen:
            axis = _AXES[row]
            shown = windows if axis is None else replace(windows, x=np.repeat(windows.x[:, axis : axis + 1], 3, axis=1))
            for kind, encoder in encoders_of.items():
                result = judge(setup, source(setup.options, encoder), shown)
                tables.append(result.table.assign(row=f"{row}, {kind}", column=name))
    judged = pd.concat(tables, ignore_index=True)
    return Result(macro_f1_table(judged), notes=notes, tables={"seeds": judged})


def _random() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return encoders.build("resnet18")


def _trained(setup: Setup[Options]) -> dict[str, nn.Module]:
    if "encoder" in setup.runs:
        return {"pre-trained": load_encoder(setup.runs["encoder"])}
    if not setup.options.images and not setup.tiny:
        return {}
    recipe = PretrainRecipe.load("img2imu-small").set('views.operations=["translate_x", "permute_x", "jitter"]')
    recipe = recipe.set(*setup.options.changes(queue=True))
    data = setup.options.images or made_up_pictures(setup.out)
    return {"pre-trained": pretrain_once(setup, "without Hue", recipe, data, "without-hue").load_encoder()}
