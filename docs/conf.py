"""Settings of the pages: Sphinx with MyST for prose and numpydoc for the API."""

from __future__ import annotations

import re
from typing import Any

import imuspec

project = "imuspec"
author = "The imuspec developers"
copyright = "2026, the imuspec developers"
version = release = imuspec.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
default_role = "code"

html_theme = "pydata_sphinx_theme"
html_title = "imuspec"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_align": "left",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block", "colon_fence"]

copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True

autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def _name_needs(app: Any, page: str, source: list[str]) -> None:  # noqa: ARG001 - Sphinx gives all three
    """Show above a block what it needs that the tests do not have."""
    source[0] = re.sub(r"^<!-- needs: (\w+) -->$", r"{.needs .needs-\1}", source[0], flags=re.MULTILINE)


def setup(app: Any) -> None:
    """Connect the step above to the reading of a page."""
    app.connect("source-read", _name_needs)
