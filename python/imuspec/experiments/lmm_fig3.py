"""LMM masked auto-encoder, Fig 3: features of patches in two dimensions (UMAP, PCA), and confusion matrices."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Study, StudyOptions, tabulated, weights
from imuspec.experiments.setup import Setup
from imuspec.probing.patch_heads import PatchHeadSettings
from imuspec.probing.patch_protocol import probe_patches
from imuspec.report.activities import class_colours
from imuspec.report.scores import confusion_figure
from imuspec.report.style import new_figure, style

DATA = ("cohort", "capture24")
RUNS = {"LMM": "a run of imuspec pretrain in place of a pre-training here"}


class Fig3Options(StudyOptions):
    """Numbers of this figure."""

    points: PositiveInt = Field(6000, description="patches that are drawn")

    TINY: ClassVar[Mapping[str, Any]] = {**StudyOptions.TINY, "points": 400}


OPTIONS = Fig3Options


def run(setup: Setup[Fig3Options]) -> Result:
    """Embed the labelled days without overlap; draw a random part of the patches, and the confusion matrix of all seeds.

    ``--runs LMM=FOLDER`` takes a run of one's own.
    """
    study = Study(setup)
    encoder = study.encoder("LMM", weights(), 0)
    features = study.features(encoder, study.labelled(), None)
    x = np.concatenate([part[label >= 0] for part, label in zip(features.x, features.label, strict=True)])
    truth = features.truth()
    chosen = np.sort(np.random.default_rng(0).permutation(len(x))[: setup.options.points])
    settings = PatchHeadSettings(epochs=setup.options.head_epochs)
    result = probe_patches(
        lambda part, stride: study.features(encoder, part, stride), study.labelled(), settings, seeds=setup.seeds
    )
    scores, confusion = result.table, result.confusion("last", 0, "validation")
    figures = {
        "embedding": _embedding(x[chosen].astype(np.float32), truth[chosen], features.class_names),
        "confusion": confusion_figure(confusion, features.class_names),
    }
    shown = pd.DataFrame(confusion, features.class_names, features.class_names).reset_index(names="truth")
    scores = pd.concat([scores.assign(row="LMM, linear", weights_seed=0), study.baselines()], ignore_index=True)
    table = tabulated(scores)
    return Result(table.table, figures=figures, tables={"confusion": shown, **table.tables})


def _embedding(x: NDArray[np.float32], truth: NDArray[np.int64], names: tuple[str, ...]) -> Figure:
    from sklearn.decomposition import PCA

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap's own: a seed makes it single-threaded
        import umap

        neighbours = min(15, len(x) - 1)
        flat = umap.UMAP(n_neighbors=neighbours, min_dist=0.1, random_state=0, n_jobs=1).fit_transform(x)
    pca = PCA(2, random_state=0).fit(x)
    explained = pca.explained_variance_ratio_
    panels = (("UMAP, 15 neighbours, least distance 0.1", flat), ("PCA", pca.transform(x)))
    with style():
        figure = new_figure(8.6, 4.4)
        for axes, (title, points) in zip(figure.subplots(1, 2), panels, strict=True):
            order = np.random.default_rng(0).permutation(len(points))
            colours = np.array(class_colours(names))[truth]
            axes.scatter(*points[order].T, s=3, c=colours[order], lw=0, alpha=0.7, rasterized=True)
            axes.set(title=title, xticks=[], yticks=[])
            if title == "PCA":
                axes.set(xlabel=f"{explained[0]:.0%} of the variance", ylabel=f"{explained[1]:.0%}")
        _legend(figure, names)
        figure.subplots_adjust(left=0.02, right=0.98, top=0.92, bottom=0.14, wspace=0.1)
        return figure


def _legend(figure: Figure, names: tuple[str, ...]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=c, lw=0, label=name) for name, c in zip(names, class_colours(names), strict=True)]
    layout: Any = {"loc": "lower center", "ncols": len(names), "handlelength": 1, "handleheight": 0.8}
    figure.legend(handles=handles, **layout)
