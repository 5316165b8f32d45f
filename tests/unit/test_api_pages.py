"""The directives of the pages name what the package has: Sphinx is not needed to see it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import imuspec

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "{eval-rst}" in path.read_text("utf-8"))
DIRECTIVE = re.compile(
    r"^\.\. (currentmodule|automodule|autofunction|autoclass|autoexception|autodata):: (\S+)((?:\n   :.*)*)",
    re.MULTILINE,
)


def resolved(name: str) -> Any:
    """The object of a dotted name. Raises AttributeError or ImportError if it does not exist."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        if n > 1:  # a function that has the name of its module
            value = getattr(importlib.import_module(".".join(parts[: n - 1])), parts[n - 1], value)
        for part in parts[n:]:
            value = getattr(value, part)
        return value
    raise ImportError(name)


def documented(text: str) -> Iterator[str]:
    """Every dotted name that the directives of a page name, members too."""
    module = ""
    for kind, name, options in DIRECTIVE.findall(text):
        if kind.endswith("module"):
            module = name
            yield name
            continue
        full = name if name.startswith("imuspec.") else f"{module}.{name}"
        yield full
        for members in re.findall(r":members: (.+)", options):
            yield from (f"{full}.{member.strip()}" for member in members.split(","))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_documents_what_exists(page: Path) -> None:
    missing = []
    for name in documented(page.read_text("utf-8")):
        try:
            resolved(name)
        except (AttributeError, ImportError):
            missing.append(name)
    assert missing == []


#: Packages whose names are no part of the Python API: the commands have a page of their own.
NOT_API = {"imuspec.cli"}


def test_every_public_name_is_on_a_page() -> None:
    pytest.importorskip("torch", reason="the extra train is not installed")
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    known: set[int] = set()
    for page in PAGES:
        text = page.read_text("utf-8")
        known |= {id(resolved(name)) for name in documented(text)}
        for kind, name, options in DIRECTIVE.findall(text):
            if kind == "automodule" and re.search(r":members:\s*$", options, re.MULTILINE):
                module = importlib.import_module(name)
                known |= {id(getattr(module, public)) for public in module.__all__}
    packages = [
        "imuspec",
        *(f"imuspec.{info.name}" for info in pkgutil.iter_modules(imuspec.__path__) if info.ispkg),
    ]
    missing = [
        f"{package}.{name}"
        for package in sorted(set(packages) - NOT_API)
        for name in getattr(importlib.import_module(package), "__all__", ())
        if not name.startswith("__") and id(getattr(importlib.import_module(package), name)) not in known
    ]
    assert missing == []


def test_the_directives_of_a_page_are_read_with_their_module_and_members() -> None:
    text = ".. automodule:: imuspec.nn\n\n.. autoclass:: RGBImage\n   :members: forward, nothing\n"
    assert list(documented(text)) == [
        "imuspec.nn",
        "imuspec.nn.RGBImage",
        "imuspec.nn.RGBImage.forward",
        "imuspec.nn.RGBImage.nothing",
    ]
    with pytest.raises(AttributeError):
        resolved("imuspec.nn.RGBImage.nothing")
