"""One axis alone, copied to three channels, beside all three axes; pre-training without Hue, which would mix the copies.

The encoder comes from ``--runs encoder=FOLDER``, or is pre-trained here by IMG2IMU's recipe for small sets on the pictures of
``--set images=PATH``; rows of random weights are compared with it. The paper gives no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from imuspec import encoders
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table, seeded_network
from imuspec.experiments.methods import PictureMethodOptions, made_up_pictures, source
from imuspec.experiments.pretraining import pretrain_once
from imuspec.experiments.setup import DrawOptions, RowOptions, Setup
from imuspec.recipe import PretrainRecipe
from imuspec.run.named import load_encoder

if TYPE_CHECKING:
    from torch import nn

    from imuspec.probing.sources import FeatureSource

DATA = ("wisdm",)
OTHER_DATA = True
RUNS = {"encoder": "a run on pictures, of recipe img2imu without Hue"}
_AXES = {"x alone": 0, "y alone": 1, "z alone": 2, "three axes": None}


class SingleAxisOptions(PictureMethodOptions, DrawOptions, RowOptions):
    """Numbers of this study."""

    ROWS: ClassVar[tuple[str, ...]] = tuple(_AXES)
    TINY: ClassVar[Mapping[str, Any]] = {**PictureMethodOptions.TINY, "random_draws": 2}


OPTIONS = SingleAxisOptions


def run(setup: Setup[SingleAxisOptions]) -> Result:
    """Judge each axis by itself and all together: the encoder, random weights, and features without parameters."""

    def random_source(seed: int) -> FeatureSource:
        return source(setup, seeded_network(lambda: encoders.build("resnet18"), seed))

    tables, notes = [], []
    for name in setup.columns(DATA):
        windows = setup.windows(name, **setup.options.window_settings)
        trained = _trained(setup, name)
        if not trained:
            notes = ["pre-trained: left out, as neither --runs encoder=FOLDER nor --set images=PATH was given"]
        for row in setup.options.chosen:
            axis = _AXES[row]
            shown = windows if axis is None else replace(windows, x=np.repeat(windows.x[:, axis : axis + 1], 3, axis=1))
            drawn = ((seed, random_source(seed)) for seed in range(setup.options.random_draws))
            judged = [judge_row(setup, f"{row}, random", drawn, shown)]
            if trained:
                sources = ((seed, source(setup, encoder)) for seed, encoder in enumerate(trained))
                judged.append(judge_row(setup, f"{row}, pre-trained", sources, shown))
            free = judge_parameter_free(setup, shown, pictures=setup.options.pictures())
            judged += [table.assign(row=f"{row}, {kind}") for kind, table in free]
            tables += [table.assign(column=name) for table in judged]
    judged_rows = pd.concat(tables, ignore_index=True)
    return Result(score_table(judged_rows), notes=notes, tables={"seeds": judged_rows})


def _trained(setup: Setup[SingleAxisOptions], name: str) -> list[nn.Module]:
    """The encoders, one for each seed; none where neither runs nor pictures are given."""
    if runs := setup.runs_of("encoder", name):
        return [load_encoder(run) for run in runs]
    if not setup.options.images and not setup.tiny:
        return []
    recipe = PretrainRecipe.load("img2imu-small").set('views.operations=["translate_x", "permute_x", "jitter"]')
    recipe = recipe.set(*setup.options.changes(queue=True))
    data = setup.options.images or made_up_pictures(setup.runs_folder)
    return [
        pretrain_once(setup, f"without Hue, seed {seed}", recipe.set(f"training.seed={seed}"), data).load_encoder()
        for seed in range(setup.options.pretrain_seeds)
    ]
