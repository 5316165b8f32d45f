"""Settings of the pages: Sphinx with MyST for prose and numpydoc for the API."""

from __future__ import annotations

import imuspec

project = "imuspec"
author = "The imuspec developers"
copyright = "2026, the imuspec developers"
version = release = imuspec.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "myst_parser", "numpydoc"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Wearable motion sensors, from device files to pictures", "fixed_sidebar": True}
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "code"
