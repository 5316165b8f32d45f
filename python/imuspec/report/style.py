"""One style for all figures: colours for colour-blind readers, thin lines, and SVG in the colours of its page.

Figures are drawn in `COLOURS`. A PNG has these colours. In a page, each colour becomes a CSS variable, so that one drawing
serves light pages, dark pages and print.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from imuspec.errors import require
from imuspec.storage import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BROAD", "COLOURS", "NARROW", "follow_page", "new_figure", "plain_axes", "save", "style", "svg"]

_SVG = "http://www.w3.org/2000/svg"
#: Elements of a matplotlib drawing; ``style``, ``metadata``, scripts and links are left out.
_ELEMENTS = frozenset(
    {"g", "path", "defs", "use", "text", "tspan", "clipPath", "rect", "circle", "line", "image", "pattern"}
)
_ATTRIBUTES = frozenset(
    {
        "clip-path", "clip-rule", "cx", "cy", "d", "fill", "height", "patternUnits", "preserveAspectRatio", "r", "style",
        "text-anchor", "transform", "viewBox", "width", "x", "x1", "x2", "y", "y1", "y2",
    }
)  # fmt: skip

#: Width of a figure for a wide page and for a phone, inches; the text is about as large as that of the page.
BROAD, NARROW = 10.0, 3.9

#: Name -> colour on white. The data colours are from Okabe and Ito (2008). All differ, because `svg` finds them by value.
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
    """Set the style of the figures made and drawn inside, then restore the matplotlib settings of the user."""
    require("a figure", "matplotlib")
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (size in inches) with an off-screen canvas: it needs no display and no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes, *, spines: tuple[str, ...] = ("left", "bottom")) -> None:
    """Hide all spines except these."""
    for name, spine in axes.spines.items():
        spine.set_visible(name in spines)


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> Path:
    """Write a figure as .png, .svg or .pdf, by the suffix of its name.

    Raises
    ------
    ValueError
        If the name has another suffix.
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


def svg(figure: Figure, name: str, *, caption: str) -> str:
    """Return a figure as an SVG element of a page: transparent, with CSS variables as colours and unique ids.

    Text remains text, so that it can be searched.

    Parameters
    ----------
    figure : Figure
        The figure.
    name : str
        Name of the drawing, unique in the page.
    caption : str
        Id of the element that describes the drawing.
    """
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Creator": None, "Date": None})
    return follow_page(buffer.getvalue().decode(), name, caption=caption)


def follow_page(text: str, name: str, *, caption: str) -> str:
    """Return an SVG that `save` or matplotlib wrote as an element in the colours and width of a page.

    Elements and attributes that a drawing does not need are left out: scripts, links, style sheets, external references.

    Parameters
    ----------
    text : str
        The SVG file.
    name, caption : str
        As in `svg`.

    Raises
    ------
    ValueError
        If the text is not an SVG.
    """
    try:
        root = ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", text, count=1))
    except ElementTree.ParseError as error:
        raise ValueError(f"{name}: expected an SVG, got {error}") from error
    box = root.get("viewBox", "")
    if root.tag != f"{{{_SVG}}}svg" or not re.fullmatch(r"[\d. -]+", box):
        raise ValueError(f"{name}: expected an SVG with a viewBox, got {root.tag!r}")
    used = {value[1:] for node in root.iter() for value in node.attrib.values() if value.startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", text))
    inner = "".join(_element(child, name, used) for child in root)
    return (
        f'<svg class="figure" role="img" aria-labelledby="{caption}" viewBox="{box}" stroke-linejoin="round" '
        f'style="--drawn-width: {float(box.split()[2]):.0f}px">{inner}</svg>'
    )


def _element(node: ElementTree.Element, name: str, used: set[str]) -> str:
    """Return an element with its content as markup; "" for an element that is not in `_ELEMENTS`."""
    tag = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
    if node.tag != f"{{{_SVG}}}{tag}" or tag not in _ELEMENTS:
        return ""
    attributes = []
    for key, value in node.attrib.items():
        bare = key.rpartition("}")[2]
        if bare == "id":
            if value in used:
                attributes.append(f'id="{name}-{escape(value)}"')
        elif bare == "href":
            if value.startswith("#"):
                attributes.append(f'href="#{name}-{escape(value[1:])}"')
            elif re.fullmatch(r"data:image/png;base64,[\w+/=\s]*", value):
                attributes.append(f'href="{value}"')
        elif bare in _ATTRIBUTES and not re.search(r"url\((?!#)|@import|expression", value):
            changed = value if bare == "transform" else _value(value)  # a scale can be small, and is not rounded
            attributes.append(f'{bare}="{escape(changed).replace("url(#", f"url(#{name}-")}"')
    inside = escape(node.text or "") if tag in ("text", "tspan") else ""
    inside += "".join(
        _element(child, name, used) + (escape(child.tail or "") if tag in ("text", "tspan") else "") for child in node
    )
    return f"<{' '.join([tag, *attributes])}>{inside}</{tag}>"


def _value(value: str) -> str:
    """Return an attribute with colours as variables, numbers to a hundredth of a point, and the font of the page."""
    for variable, colour in COLOURS.items():
        value = value.replace(colour, f"var(--{variable})")
    value = re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split()))
    return re.sub(r"font: ([\d.]+px)[^;]*", r"font: \1 var(--font)", value)
