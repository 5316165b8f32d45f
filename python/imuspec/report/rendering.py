"""HTML files of pages: templates, drawings in two widths, and the command that writes a page again.

jinja2 escapes all text from files (names, annotations, reasons). Only the drawings, which this package makes, are marked as
safe, and matplotlib escapes the text in them. A policy in the head of each page forbids all requests, and all scripts except
that of the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imuspec.errors import require
from imuspec.recipe import Recipe
from imuspec.recipe.settings import LABELS
from imuspec.report.style import follow_page, svg

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

__all__ = ["command", "drawn", "included", "known_number", "recipe_options", "render", "shown"]


def render(template: str, fields: dict[str, Any]) -> bytes:
    """Return a page as UTF-8.

    Parameters
    ----------
    template : str
        File name of a template.
    fields : dict of str to object
        Values for the template; ``script``, if given, is JavaScript that runs in the page.
    """
    require("a page", "jinja2")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from imuspec._core import __version__

    environment = Environment(
        loader=PackageLoader("imuspec.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["options"] = _options
    script = fields.get("script", "")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = {"allowed_script": f"'sha256-{digest}'" if script else "'none'", "script": script}
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        environment.get_template(template)
        .render(version=__version__, written=written, **{**fields, **policy})
        .encode("utf-8", "replace")
    )


def _options(text: str) -> list[dict[str, Any]]:
    """Split a sentence into text and command options, so that a page can set the options in another font."""
    parts = re.split(r"(--(?:set|recipe) [\w./=\u2026-]*[\w/\u2026])", text)
    return [{"text": part, "option": bool(index % 2)} for index, part in enumerate(parts) if part]


def drawn(draw: Callable[[bool], Figure | None], name: str) -> Markup | None:
    """Return a drawing as markup, laid out for a wide page and for a phone; the page shows one of the two.

    Parameters
    ----------
    draw : callable
        Takes whether the page is narrow; returns a figure, or None if there is nothing to draw.
    name : str
        Name of the drawing, unique in the page.
    """
    from markupsafe import Markup

    figures = [(kind, draw(kind == "narrow")) for kind in ("broad", "narrow")]
    parts = [
        f'<div class="{kind}">{svg(figure, f"{name}-{kind}", caption=f"{name}-caption")}</div>'
        for kind, figure in figures
        if figure is not None
    ]
    return Markup("".join(parts)) if parts else None


def included(text: str, name: str) -> Markup:
    """Return the text of an SVG file as markup, without elements that a drawing does not need."""
    from markupsafe import Markup

    return Markup(f'<div class="wide">{follow_page(text, name, caption=f"{name}-caption")}</div>')


def command(*words: object) -> str:
    """Return an ``imuspec`` command as it is typed in a shell."""
    return shlex.join(["imuspec", *(str(word) for word in words)])


def recipe_options(followed: Recipe) -> list[str]:
    """Return the command options for a recipe: its name, and the settings that were changed.

    For a recipe from a file, the option is the name of the file; its folder is not known.
    """
    if followed.name not in Recipe.names():
        return ["--recipe", f"{followed.name}.toml"]
    given, usual = followed.model_dump(), Recipe.load(followed.name).model_dump()
    options = ["--recipe", followed.name]
    for key in sorted(set(given) - set(LABELS)):
        if not isinstance(given[key], dict):
            if given[key] != usual[key]:
                options += ["--set", f"{key}={_setting(given[key])}"]
            continue
        for field, value in given[key].items():
            if value != usual[key].get(field):
                options += ["--set", f"{key}.{field}={_setting(value)}"]
    return options


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def known_number(value: Any) -> float:
    """Return a number; NaN for None."""
    return math.nan if value is None else float(value)


def shown(rows: Sequence[object], most: int, noun: str) -> str:
    """Return the number of rows in words, and how many of them are shown if not all are."""
    text = f"{len(rows):,} {noun}{'' if len(rows) == 1 else 's'}"
    return text if len(rows) <= most else f"the first {most:,} of {text}"
