"""One look for all figures: colours that a colour-blind reader can tell apart, thin lines, SVG that follows the page.

Figures are drawn in the colours of `COLOURS`. Written to a PNG they stay as they are; put into a page, each becomes a
CSS variable, so that one drawing serves a light page, a dark one and paper.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "new_figure", "plain_axes", "save", "style", "svg"]

#: Name -> colour on white. The data colours are Okabe and Ito's (2008). No two are equal: `svg` tells them by value.
COLOURS = {
    "ink": "#1b1f24",
    "muted": "#5d6672",
    "faint": "#d4d9df",
    "paper": "#fefefe",
    "data": "#0072b2",
    "second": "#e69f00",
    "good": "#009e73",
    "bad": "#d55e00",
    "nonwear": "#c3cad2",
    "gap": "#f3d9c9",
}

_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": "none",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": COLOURS["paper"],
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.0,
    "hatch.linewidth": 0.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "imuspec",
    "image.composite_image": False,
}


@contextmanager
def style() -> Iterator[None]:
    """The look, for the figures made and drawn inside; the user's own matplotlib settings come back afterwards."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) with an off-screen canvas: no display and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes, *, spines: tuple[str, ...] = ("left", "bottom")) -> None:
    """Leaves only these spines."""
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> Path:
    """Writes a figure; the suffix says how (.png, .svg, .pdf).

    Raises
    ------
    ValueError
        A suffix that is none of these.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in {"png", "svg", "pdf"}:
        raise ValueError(f"path: expected a name that ends in .png, .svg or .pdf, got {os.fspath(path)!r}")
    metadata: dict[str, Any] = {"png": {"Software": "imuspec"}}.get(
        kind, {"Creator": "imuspec", "Date" if kind == "svg" else "CreationDate": None}
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return write_atomically(path, buffer.getvalue())


def svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page: transparent, its colours CSS variables, its ids unique to ``name``.

    Text stays text, so it can be searched and follows the page's colour.
    """
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Creator": None, "Date": None})
    text = buffer.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(\.\d\d)\d+", r"\1", text)  # a hundredth of a point
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    for variable, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 var(--font)", text)
    text = re.sub(
        r'<svg ([^>]*?)width="[\d.]+pt" height="[\d.]+pt"|<svg width="[^"]+" height="[^"]+"', r"<svg \1", text
    )
    text = re.sub(r'(<svg [^>]*?) (?:width|height)="[\d.]+pt"', r"\1", text, count=2)
    return text.replace("<svg ", f'<svg class="figure" role="img" aria-labelledby="{name}-caption" ', 1)
