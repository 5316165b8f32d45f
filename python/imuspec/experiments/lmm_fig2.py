"""LMM masked auto-encoder, Fig 2: how the loss parts of twelve runs go with the scores, and what the weight of MSE does.

The table has the correlations, and the scores of each weight beside the rows that every table shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import PositiveInt
from scipy import stats

from imuspec.evaluation import holm
from imuspec.experiments.experiment import Result
from imuspec.experiments.masked_study import Study, StudyOptions, tabulated, weights
from imuspec.experiments.setup import Setup
from imuspec.report.style import COLOURS, new_figure, style

DATA = ("cohort", "capture24")
_PARTS = (("LMM", "validation_lmm"), ("MSE", "validation_mse"))
_SCORES = (("kappa", "kappa"), ("balanced accuracy", "balanced_accuracy"))


class Fig2Options(StudyOptions):
    """Numbers of this figure."""

    pretrain_seeds: PositiveInt = 3

    TINY: ClassVar[Mapping[str, Any]] = {**StudyOptions.TINY, "pretrain_seeds": 2}

    def without_effect(self, pretrained: Sequence[str], setup: Setup[Any]) -> dict[str, str]:
        """Return none, as each row is pre-trained here."""
        del pretrained, setup
        return {}


OPTIONS = Fig2Options


def run(setup: Setup[StudyOptions]) -> Result:
    """Pre-train each weight of MSE with each seed; correlate the unweighted validation losses with the linear probe."""
    study = Study(setup)
    rows, judged = [], []
    for weight in (0.0, 0.1) if setup.tiny else (0.0, 0.001, 0.01, 0.1):
        for seed in range(setup.options.pretrain_seeds):
            made = study.run(f"w_MSE {weight:g}", weights(1.0, weight), seed)
            last = [line for line in made.metrics() if "validation_lmm" in line][-1]
            scores = study.probe(made.load_encoder())
            judged.append(scores.assign(row=f"w_MSE {weight:g}", weights_seed=seed))
            means = scores[["balanced_accuracy", "kappa"]].mean()
            rows.append({"w_MSE": weight, "seed": seed, **{key: last[key] for _, key in _PARTS}, **means})
    runs = pd.DataFrame(rows)
    scored = tabulated(pd.concat([*judged, study.baselines()], ignore_index=True))
    table = []
    for (part, loss), (name, score) in itertools.product(_PARTS, _SCORES):
        r, p = stats.pearsonr(runs[loss], runs[score])
        table += [{"row": f"{part}, {name}", "column": c, "value": float(v)} for c, v in (("r", r), ("p", p))]
    return Result(
        pd.concat([pd.DataFrame(table), scored.table], ignore_index=True),
        figures={"fig2": _figure(runs), "fig2_weights": _weights_figure(runs)},
        notes=[
            "two-sided p of Pearson's r; intervals by t over seeds; Welch's test between weights, Holm's correction"
        ],
        tables={"runs": runs, "weights": intervals(runs), "tests": welch(runs), **scored.tables},
    )


def intervals(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of each figure for each weight, with the 95 % interval of t over seeds."""
    rows = []
    for weight, part in runs.groupby("w_MSE"):
        for figure in ("validation_lmm", "validation_mse", "balanced_accuracy", "kappa"):
            values = part[figure].to_numpy()
            half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
            mean = values.mean()
            rows.append({"w_MSE": weight, "figure": figure, "mean": mean, "low": mean - half, "high": mean + half})
    return pd.DataFrame(rows)


def welch(runs: pd.DataFrame) -> pd.DataFrame:
    """Return Welch's test of each score between each two weights, p corrected by Holm within a score."""
    parts = []
    for figure in ("balanced_accuracy", "kappa"):
        rows: list[dict[str, Any]] = []
        for first, second in itertools.combinations(sorted(runs["w_MSE"].unique()), 2):
            a, b = (runs.loc[runs["w_MSE"] == w, figure].to_numpy() for w in (first, second))
            result = stats.ttest_ind(a, b, equal_var=False)
            rows.append(
                {
                    "figure": figure,
                    "w_MSE": first,
                    "other": second,
                    "difference": b.mean() - a.mean(),
                    "p": result.pvalue,
                }
            )
        part = pd.DataFrame(rows)
        parts.append(part.assign(p_holm=holm(part["p"].to_numpy())))
    return pd.concat(parts, ignore_index=True)


def _figure(runs: pd.DataFrame) -> Figure:
    with style():
        figure = new_figure(7.2, 5.6)
        axes = figure.subplots(2, 2, sharex="col", sharey="row")
        figure.subplots_adjust(left=0.09, right=0.98, top=0.95, bottom=0.16, hspace=0.12, wspace=0.08)
        colours = dict(zip(sorted(runs["w_MSE"].unique()), ("data", "second", "good", "bad"), strict=False))
        for (row, (name, score)), (column, (part, loss)) in itertools.product(enumerate(_SCORES), enumerate(_PARTS)):
            panel = axes[row, column]
            x, y = runs[loss].to_numpy(), runs[score].to_numpy()
            for weight, colour in colours.items():
                selected = runs["w_MSE"] == weight
                panel.scatter(x[selected], y[selected], s=18, color=COLOURS[colour], label=f"w = {weight:g}", zorder=2)
            if np.ptp(x) > 0:
                slope, level = np.polyfit(x, y, 1)
                ends = np.array([x.min(), x.max()])
                panel.plot(ends, slope * ends + level, color=COLOURS["muted"], lw=0.8, zorder=1)
            r, p = stats.pearsonr(x, y)
            panel.set_title(f"r = {r:.2f}, " + (f"p = {p:.2f}" if p >= 0.01 else "p < 0.01"))
            if column == 0:
                panel.set_ylabel(name)
            if row == 1:
                panel.set_xlabel(f"{part} on validation, without its weight")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels), title="weight of MSE", title_fontsize=8)
        return figure


def _weights_figure(runs: pd.DataFrame) -> Figure:
    """Draw the scores (a) and both loss parts (b, c) by the weight of MSE: each run, the mean, its 95 % interval over seeds."""
    panels = [
        ("score", [(name, score, colour) for (name, score), colour in zip(_SCORES, ("data", "second"), strict=True)])
    ]
    panels += [(f"{part} on validation", [(part, loss, "data")]) for part, loss in _PARTS]
    with style():
        figure = new_figure(10.0, 2.9)
        axes = figure.subplots(1, 3)
        figure.subplots_adjust(left=0.06, right=0.99, top=0.9, bottom=0.19, wspace=0.28)
        weights = sorted(runs["w_MSE"].unique())
        means = intervals(runs)
        for panel, letter, (label, series) in zip(axes, "abc", panels, strict=True):
            for number, (name, column, colour) in enumerate(series):
                rows = means[means["figure"] == column].set_index("w_MSE").loc[weights]
                half = (rows["high"] - rows["mean"]).to_numpy()
                positions = np.arange(len(weights)) + 0.3 * (number - (len(series) - 1) / 2)
                bars: dict[str, Any] = {"fmt": "o", "ms": 5, "lw": 1.2, "capsize": 3, "zorder": 3}
                panel.errorbar(positions, rows["mean"], half, color=COLOURS[colour], label=name, **bars)
                for x, weight in zip(positions, weights, strict=True):
                    seen = runs.loc[runs["w_MSE"] == weight, column].to_numpy()
                    panel.scatter(np.full(len(seen), x + 0.1), seen, s=10, color=COLOURS["muted"], zorder=2)
            panel.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
            panel.set(xlim=(-0.5, len(weights) - 0.5), xlabel="weight of MSE", ylabel=label)
            panel.set_title(letter, loc="left")
        axes[0].legend(loc="best")
        return figure
