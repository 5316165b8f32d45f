"""Settings of the pages: Sphinx with MyST for prose and numpydoc for the API."""

from __future__ import annotations

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
suppress_warnings = ["config.cache"]

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
