"""The figure of augmented views of one picture."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from imuspec.report.style import COLOURS, new_figure, save, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["views_figure"]

_DRAWS = 6
_LABELS = {"translate_x": "TranslateX", "permute_x": "PermuteX", "hue": "Hue", "jitter": "Jitter"}
_MARGIN, _LABEL, _GAP, _TITLE = 0.12, 0.86, 0.06, 0.24  # inches


@overload
def views_figure(
    picture: str | os.PathLike[str] | NDArray[np.uint8], out: None = None, *, seed: int = ..., dpi: int = ...
) -> Figure: ...
@overload
def views_figure(
    picture: str | os.PathLike[str] | NDArray[np.uint8], out: str | os.PathLike[str], *, seed: int = ..., dpi: int = ...
) -> Path: ...
def views_figure(
    picture: str | os.PathLike[str] | NDArray[np.uint8],
    out: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    dpi: int = 200,
) -> Figure | Path:
    """Draw each operation of the IMG2IMU views several times, whole views of MoCo v2, and each other augmentation once.

    Parameters
    ----------
    picture : path-like or uint8 array [3, rows, columns]
        A picture, or the path of a picture, which is resized to 96 x 128.
    out : path-like, optional
        File to write: .png, .svg or .pdf. Without it, the figure is returned.
    seed : int, default 0
        Seed of the random views.
    dpi : int, default 200
        Dots per inch of a PNG.

    Returns
    -------
    Figure or Path
        The matplotlib figure, or the file written.
    """
    from imuspec.pretraining.pictures import decode

    array = picture if isinstance(picture, np.ndarray) else decode(Path(picture), (96, 128))
    with style():
        figure = _figure(array, seed)
        return figure if out is None else save(figure, out, dpi=dpi)


def _figure(array: NDArray[np.uint8], seed: int) -> Figure:
    rows = _rows(array, seed)
    wide = 1.0
    tall = wide * array.shape[1] / array.shape[2]
    width = 2 * _MARGIN + _LABEL + _DRAWS * wide + (_DRAWS - 1) * _GAP
    heights = [tall + (_TITLE if titles else 0) + _GAP for _, _, titles in rows]
    height = 2 * _MARGIN + sum(heights) - _GAP
    figure = new_figure(width, height)
    top = height - _MARGIN
    for (label, pictures, titles), step in zip(rows, heights, strict=True):
        bottom = top - (_TITLE if titles else 0) - tall
        figure.text((_MARGIN + _LABEL - 0.08) / width, (bottom + tall / 2) / height, label, ha="right", va="center")
        for column, image in enumerate(pictures):
            left = _MARGIN + _LABEL + column * (wide + _GAP)
            axes = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
            axes.imshow(image, interpolation="nearest", aspect="auto")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():  # so that a white picture has an edge on a white page
                spine.set(visible=True, color=COLOURS["faint"], linewidth=0.5)
            if titles:
                axes.set_title(titles[column], fontsize=7.5, color=COLOURS["muted"], pad=2)
        top -= step
    return figure


def _rows(array: NDArray[np.uint8], seed: int) -> list[tuple[str, list[NDArray[Any]], list[str]]]:
    """Return label, pictures and titles of the pictures of each row."""
    import torch

    from imuspec.views.automatic import AllViews
    from imuspec.views.photo import PhotoViews
    from imuspec.views.sensor import SensorViews

    generator = torch.Generator().manual_seed(seed)
    whole = torch.from_numpy(array)[None] / 255

    def drawn(change: Callable[[Any, Any], Any], n: int) -> list[NDArray[Any]]:
        changed = change(whole.expand(n, -1, -1, -1).contiguous(), generator)
        return list(changed.permute(0, 2, 3, 1).clamp(0, 1).numpy())

    rows: list[tuple[str, list[NDArray[Any]], list[str]]] = [("original", drawn(lambda x, _: x, 1), [])]
    rows += [(_LABELS[name], drawn(change, _DRAWS), []) for name, change in SensorViews().operations.items()]
    rows.append(("MoCo v2", drawn(PhotoViews().one_view, _DRAWS), []))
    automatic = [(name, drawn(change, 1)[0]) for name, change in AllViews().operations.items()]
    for begin in range(0, len(automatic), _DRAWS):
        part = automatic[begin : begin + _DRAWS]
        rows.append(
            ("all aug-\nmentations" if not begin else "", [image for _, image in part], [name for name, _ in part])
        )
    return rows
