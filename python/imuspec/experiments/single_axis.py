"""One axis alone, copied to three channels, beside all three axes; pre-training without Hue, which would mix the copies.

The encoder comes from ``--runs encoder=FOLDER``, or is pre-trained here by IMG2IMU's recipe for small sets on the pictures of
``--set images=PATH``; rows of random weights are compared with it. The paper gives no numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from imuspec import encoders
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge, judge_draws, judge_parameter_free, score_table, seeded_network
from imuspec.experiments.methods import PictureMethodOptions, made_up_pictures, source
from imuspec.experiments.pretraining import pretrain_once
from imuspec.experiments.setup import RowOptions, Setup
from imuspec.recipe import PretrainRecipe
from imuspec.run.named import load_encoder

if TYPE_CHECKING:
    from torch import nn

    from imuspec.probing.sources import FeatureSource

DATA = ("wisdm",)
OTHER_DATA = True
RUNS = {"encoder": "a run on pictures, of recipe img2imu without Hue"}
_AXES = {"x alone": 0, "y alone": 1, "z alone": 2, "three axes": None}


class SingleAxisOptions(PictureMethodOptions, RowOptions):
    """Numbers of this study."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(_AXES)


OPTIONS = SingleAxisOptions


def run(setup: Setup[SingleAxisOptions]) -> Result:
    """Judge each axis by itself and all together: the encoder, random weights, and features without parameters."""

    def random_source(seed: int) -> FeatureSource:
        return source(setup, seeded_network(lambda: encoders.build("resnet18"), seed))

    tables, notes = [], []
    for name in setup.columns(DATA):
        windows = setup.windows(name, **setup.options.window_settings)
        encoder = _trained(setup, name)
        if encoder is None:
            notes = ["pre-trained: left out, as neither --runs encoder=FOLDER nor --set images=PATH was given"]
        for row in setup.options.chosen:
            axis = _AXES[row]
            shown = windows if axis is None else replace(windows, x=np.repeat(windows.x[:, axis : axis + 1], 3, axis=1))
            judged = {"random": judge_draws(setup, random_source, shown)}
            if encoder is not None:
                judged["pre-trained"] = judge(setup, source(setup, encoder), shown).table
            judged |= dict(judge_parameter_free(setup, shown, pictures=setup.options.pictures()))
            tables += [table.assign(row=f"{row}, {kind}", column=name) for kind, table in judged.items()]
    judged_rows = pd.concat(tables, ignore_index=True)
    return Result(score_table(judged_rows), notes=notes, tables={"seeds": judged_rows})


def _trained(setup: Setup[SingleAxisOptions], name: str) -> nn.Module | None:
    if run := setup.run_of("encoder", name):
        return load_encoder(run)
    if not setup.options.images and not setup.tiny:
        return None
    recipe = PretrainRecipe.load("img2imu-small").set('views.operations=["translate_x", "permute_x", "jitter"]')
    recipe = recipe.set(*setup.options.changes(queue=True))
    data = setup.options.images or made_up_pictures(setup.runs_folder)
    return pretrain_once(setup, "without Hue", recipe, data).load_encoder()
