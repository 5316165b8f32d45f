"""IMG2IMU, Fig 8: Grad-CAM of a random, a fully supervised and the IMG2IMU encoder on a test window of each class.

The table has numbers over many test windows: the share of heat in four bands of frequency, and the rank correlation of each
encoder's heat with the supervised one's. Heat is that of the true class on the last residual stage. Random weights are drawn
several times, and IMG2IMU has a run for each ``--runs IMG2IMU=FOLDER``: each window has the mean over them, and the figure shows
the first. The supervised encoder is trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from imuspec.datasets import subject_split
from imuspec.experiments.experiment import Result
from imuspec.experiments.setup import DrawOptions, HeadOptions, Norm, Setup
from imuspec.probing.explanation import band_share, grad_cam, rank_correlation
from imuspec.spectral.image import rgb_image

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from imuspec.datasets import Windows

DATA = ("wisdm",)
RUNS = {"IMG2IMU": "recipe img2imu"}
SUPERVISED = "Fully-supervised (2D)"
RANDOM = "Randomly-init. (2D)"


class Fig8Options(HeadOptions, DrawOptions):
    """Numbers of this figure."""

    nfft: PositiveInt = Field(128, description="samples of a frame")
    hop: PositiveInt = Field(8, description="samples between frames")
    norm: Norm = Field("axis-window", description="range of a picture; fixed keeps intensity")
    height: NonNegativeInt = Field(0, description="rows; 0: as the run was pre-trained, 96 without one")
    width: NonNegativeInt = Field(0, description="columns; 0: as the run was pre-trained, 128 without one")
    supervised_epochs: PositiveInt = 20
    max_train: NonNegativeInt = Field(0, description="windows of each class for the supervised encoder; 0: all")
    heat_windows: PositiveInt = Field(20, description="test windows of each class for the numbers")
    bands: PositiveInt = Field(4, description="bands of frequency")

    TINY: ClassVar[Mapping[str, Any]] = {
        "nfft": 64,
        "hop": 16,
        "height": 48,
        "width": 64,
        "head_epochs": 5,
        "supervised_epochs": 2,
        "max_train": 8,
        "max_judged": 6,
        "heat_windows": 4,
        "random_draws": 2,
    }


OPTIONS = Fig8Options


def run(setup: Setup[Fig8Options]) -> Result:
    """Draw the heat maps of the first seed, and summarise those of many windows."""
    import torch

    from imuspec.probing.protocol import capped

    windows, seed = setup.windows("wisdm"), setup.seeds[0]
    split = subject_split(windows, seed)
    shown = capped(windows, split.test, setup.options.heat_windows, seed)
    pictures = rgb_image(windows.x[shown], dtype="float32", **_picture(setup.options))
    label = windows.label[shown]
    heat = {
        row: np.stack([grad_cam(encoder, weight, torch.from_numpy(pictures), label) for encoder, weight in models])
        for row, models in _models(setup, windows, split, seed).items()
    }
    table = _numbers(heat, setup.options.bands, windows.rate / 2)
    first = np.array([np.flatnonzero(label == each)[0] for each in np.unique(label)])
    drawn = rgb_image(windows.x[shown[first]], **_picture(setup.options))
    figure = _drawn({row: maps[0][first] for row, maps in heat.items()}, drawn, windows, label[first])
    left_out = "IMG2IMU: left out, as no --runs IMG2IMU=FOLDER was given"
    notes = [] if setup.runs_of("IMG2IMU", "wisdm") else [left_out]
    notes += [
        f"numbers over {len(shown)} test windows, seed {seed}, each the mean over the draws of the weights; sd over windows; "
        "the figure shows the first draw"
    ]
    return Result(table, figures={"fig8": figure}, notes=notes)


def _picture(options: Fig8Options) -> dict[str, Any]:
    """Keywords of `imuspec.rgb_image`."""
    size = (options.height, options.width)
    return {"nfft": options.nfft, "noverlap": options.nfft - options.hop, "norm": options.norm, "size": size}


def _models(
    setup: Setup[Fig8Options], windows: Windows, split: Any, seed: int
) -> dict[str, list[tuple[Any, NDArray[Any]]]]:
    """Row -> for each draw of its weights the encoder, and the weights of its linear head."""
    from imuspec.experiments.judging import judge
    from imuspec.probing.protocol import capped
    from imuspec.probing.sources import EncoderSource
    from imuspec.probing.supervised import fit_supervised
    from imuspec.recipe.probing import PictureSettings
    from imuspec.run.named import load_encoder

    options = setup.options
    picture = _picture(options)
    pictures = PictureSettings.model_validate(
        {"nfft": [options.nfft], "hop": [options.hop], "norm": options.norm, "size": picture["size"]}
    )
    frozen = {RANDOM: [load_encoder("random", seed=draw) for draw in range(options.random_draws)]}
    frozen |= {row: [load_encoder(run) for run in runs] for row in RUNS if (runs := setup.runs_of(row, "wisdm"))}
    models: dict[str, list[tuple[Any, NDArray[Any]]]] = {row: [] for row in frozen}
    for row, encoders in frozen.items():
        scores = []
        for encoder in encoders:
            source = EncoderSource(encoder, pictures=pictures, device=setup.device)
            result = judge(setup, source, windows, seeds=(seed,))
            weight = result.heads["last", options.shots, seed].weight
            assert weight is not None
            models[row].append((encoder.cpu(), weight))
            scores.append(result.table["macro_f1"].iloc[0])
        setup.say(f"{row}: macro-F1 {np.mean(scores):.3f}, {len(scores)} draws of the weights")
    model, best = fit_supervised(
        load_encoder("random", seed=seed),
        windows,
        capped(windows, split.train, options.max_train or None, seed),
        capped(windows, split.validation, options.max_judged or None, seed),
        picture=picture,
        epochs=options.supervised_epochs,
        batch=32,
        seed=seed,
        device=setup.device,
    )
    setup.say(f"{SUPERVISED}: validation macro-F1 {best['validation_f1']:.3f} at epoch {best['epoch']}")
    models[SUPERVISED] = [(model.encoder.cpu(), model.head.weight.detach().cpu().numpy())]
    return models


def _numbers(heat: dict[str, NDArray[Any]], n_bands: int, top_hz: float) -> pd.DataFrame:
    """Summarise the heat [draws, windows, rows, columns] of each row: for each window its mean over the draws."""
    import pandas as pd

    edges = np.linspace(0, top_hz, n_bands + 1)
    (reference,) = heat[SUPERVISED]
    rows = []
    for row, maps in heat.items():
        shares = np.moveaxis(band_share(maps, n_bands), -1, 0)
        figures = {f"{edges[i]:g}-{edges[i + 1]:g} Hz": share for i, share in enumerate(shares)}
        if row != SUPERVISED:
            figures["rank correlation"] = np.stack([rank_correlation(drawn, reference) for drawn in maps])
        for column, each in figures.items():
            known = np.isfinite(each)
            total = np.where(known, each, 0).sum(0)
            values = (total / np.maximum(known.sum(0), 1))[known.any(0)]
            mean, sd = (values.mean(), values.std(ddof=1)) if values.size > 1 else (np.nan, np.nan)
            rows.append({"row": row, "column": column, "value": mean, "sd": sd, "n": values.size, "draws": len(maps)})
    return pd.DataFrame(rows)


def _drawn(heat: dict[str, NDArray[Any]], pictures: NDArray[Any], windows: Windows, label: NDArray[Any]) -> Figure:
    """Draw a line for each class: the picture, and each encoder's heat over the picture in grey."""
    from imuspec.report.style import COLOURS, new_figure, plain_axes, style

    n = len(label)
    extent = (0, windows.window_s, 0, windows.rate / 2)
    with style():
        figure = new_figure(1.85 + 1.9 * (len(heat) + 1), 0.7 + 1.15 * n)
        panels = figure.subplots(n, len(heat) + 1, sharex=True, sharey=True, squeeze=False)
        for line in range(n):
            colours = pictures[line].transpose(1, 2, 0)
            panels[line, 0].imshow(colours, extent=extent, aspect="auto")
            for column, maps in enumerate(heat.values(), 1):
                panels[line, column].imshow(
                    colours.mean(-1), extent=extent, aspect="auto", cmap="gray", vmin=0, vmax=255
                )
                shade = panels[line, column].imshow(
                    maps[line], extent=extent, aspect="auto", cmap="inferno", vmin=0, vmax=1, alpha=0.6
                )
                if not maps[line].any():
                    style_of_text = {
                        "ha": "center",
                        "va": "center",
                        "color": COLOURS["paper"],
                        "transform": panels[line, column].transAxes,
                    }
                    panels[line, column].text(0.5, 0.5, "no heat", **style_of_text)
            panels[line, 0].set_ylabel(windows.class_names[label[line]], color=COLOURS["ink"])
        for column, name in enumerate(("picture", *heat)):
            panels[0, column].set_title(name)
            panels[-1, column].set_xlabel("time (s)")
        for panel in panels.ravel():
            plain_axes(panel)
        figure.supylabel("frequency (Hz)", fontsize=8.5, x=0.005)
        figure.tight_layout(pad=0.7, w_pad=0.8, h_pad=0.5, rect=(0, 0, 1 - 0.75 / figure.get_figwidth(), 1))
        right = panels[0, -1].get_position()
        bar = figure.add_axes(
            (right.x1 + 0.15 / figure.get_figwidth(), right.y0, 0.1 / figure.get_figwidth(), right.height)
        )
        figure.colorbar(shade, cax=bar, label="heat / its maximum", ticks=(0, 0.5, 1)).outline.set_visible(False)
        return figure
