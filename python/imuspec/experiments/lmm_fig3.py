"""LMM masked auto-encoder, Fig 3: features of patches in two dimensions (UMAP, PCA), and confusion matrices, of three losses."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Study, StudyOptions, tabulated, tiny_rows, weights
from imuspec.experiments.setup import Setup
from imuspec.probing.patch_heads import PatchHeadSettings
from imuspec.probing.patch_protocol import probe_patches
from imuspec.report.activities import class_colours
from imuspec.report.scores import draw_confusion
from imuspec.report.style import new_figure, style

DATA = ("cohort", "capture24")
_LOSSES = {"LMM": weights(1.0), "MSE": weights(0.0, 1.0), "LMM + .001 MSE": weights(1.0, 0.001)}
RUNS = dict.fromkeys(_LOSSES, "a run of imuspec pretrain in place of a pre-training here")


class Fig3Options(StudyOptions):
    """Numbers of this figure."""

    points: PositiveInt = Field(6000, description="patches that are drawn")

    TINY: ClassVar[Mapping[str, Any]] = {**StudyOptions.TINY, "points": 400}


OPTIONS = Fig3Options


class _Row(NamedTuple):
    """A row of the figure: features ``[points, features]`` and classes of the patches drawn, and the confusion matrix."""

    loss: str
    x: NDArray[np.float32]
    truth: NDArray[np.int64]
    confusion: NDArray[np.int64]


def run(setup: Setup[Fig3Options]) -> Result:
    """Embed the labelled days without overlap by each of three pre-trainings; draw the same random patches of each.

    The confusion matrix is the sum over the validation parts of all splits. ``--runs LMM=FOLDER`` takes a run of one's own. Of
    several pre-trainings the first is drawn, and all are scored.
    """
    study, rows, scores, tables = Study(setup), [], [], []
    names = study.labelled().class_names
    for loss, sets in tiny_rows(setup, _LOSSES, ("LMM", "MSE")).items():
        encoder = study.encoder(loss, sets, 0)
        features = study.features(encoder, study.labelled(), None)
        truth = features.truth()
        chosen = np.sort(np.random.default_rng(0).permutation(len(truth))[: setup.options.points])
        x = np.concatenate([part[label >= 0] for part, label in zip(features.x, features.label, strict=True)])[chosen]
        result = probe_patches(
            lambda part, stride, encoder=encoder: study.features(encoder, part, stride),  # type: ignore[misc]  # mypy does not infer a bound default
            study.labelled(),
            PatchHeadSettings(epochs=setup.options.head_epochs),
            seeds=setup.seeds,
            stride=setup.options.stride or None,
            device=setup.device,
            say=setup.say,
        )
        confusion = result.confusion("last", 0, "validation")
        rows.append(_Row(loss, x.astype(np.float32), truth[chosen], confusion))
        scores.append(result.table.assign(row=f"{loss}, linear", weights_seed=0, column=study.column))
        for seed in range(1, study.n_seeds(loss)):
            others = study.probe(study.encoder(loss, sets, seed))
            scores.append(others.assign(row=f"{loss}, linear", weights_seed=seed))
        tables.append(pd.DataFrame(confusion, names, names).reset_index(names="truth").assign(row=loss))
    table = tabulated(pd.concat([*scores, study.baselines()], ignore_index=True))
    shown = {"confusion": pd.concat(tables, ignore_index=True), **table.tables}
    return Result(table.table, figures={"fig3": _figure(rows, names)}, tables=shown)


def _figure(rows: Sequence[_Row], names: tuple[str, ...]) -> Figure:
    with style():
        figure = new_figure(11.2, 3.6 * len(rows) + 0.5)
        panels = figure.subplots(len(rows), 3, squeeze=False)
        for (umap, pca, confusion), row in zip(panels, rows, strict=True):
            flat, (plane, explained) = _umap(row.x), _pca(row.x)
            _scatter(umap, flat, row.truth, names)
            _scatter(pca, plane, row.truth, names)
            pca.set(xlabel=f"{explained[0]:.0%} of the variance", ylabel=f"{explained[1]:.0%}")
            umap.set_ylabel(row.loss)
            draw_confusion(confusion, row.confusion, names, size=6)
        for confusion in panels[:-1, 2]:
            confusion.set_xlabel("")  # stated below the last row
        titles = ("UMAP, 15 neighbours, least distance 0.1", "PCA", "validation part, linear head")
        for axes, title in zip(panels[0], titles, strict=True):
            axes.set_title(title)
        _legend(figure, names)
        figure.tight_layout(pad=0.6, rect=(0, 0.5 / figure.get_figheight(), 1, 1))
        return figure


def _umap(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the plane of UMAP ``[points, 2]``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap's own: a seed makes it single-threaded
        import umap

        neighbours, n_threads = min(15, len(x) - 1), torch.get_num_threads()
        plane: NDArray[np.float32] = umap.UMAP(
            n_neighbors=neighbours, min_dist=0.1, random_state=0, n_jobs=1
        ).fit_transform(x)
        torch.set_num_threads(n_threads)  # numba sets those of OpenMP, which torch shares
    return plane


def _pca(x: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the first two principal components ``[points, 2]``, and their shares of the variance."""
    from sklearn.decomposition import PCA

    pca = PCA(2, random_state=0).fit(x)
    return pca.transform(x), pca.explained_variance_ratio_


def _scatter(axes: Axes, points: NDArray[np.float32], truth: NDArray[np.int64], names: tuple[str, ...]) -> None:
    order = np.random.default_rng(0).permutation(len(points))
    colours = np.array(class_colours(names))[truth[order]]
    axes.scatter(points[order, 0], points[order, 1], s=3, c=colours, lw=0, alpha=0.7, rasterized=True)
    axes.set(xticks=[], yticks=[])


def _legend(figure: Figure, names: tuple[str, ...]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=c, lw=0, label=name) for name, c in zip(names, class_colours(names), strict=True)]
    layout: Any = {"loc": "lower center", "ncols": len(names), "handlelength": 1, "handleheight": 0.8}
    figure.legend(handles=handles, **layout)
