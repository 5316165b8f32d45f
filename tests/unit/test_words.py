"""The word list of CONTRIBUTING.md, and the form of docstrings, held over the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from wings import FILES, MODULES

# An identifier, and what to write in its place.
FORBIDDEN_NAMES = {
    "found": "matches, result, values",
    "told": "message, given",
    "said": "message, reason",
    "wanted": "required, needed",
    "what": "item, kind, values",
    "at": "index, position",
    "by": "the key, the factor",
    "kept": "stored, selected, remaining",
    "none": "missing",
    "place": "location, path",
    "places": "locations, positions",
    "born": "initial",
    "asked": "given, requested",
    "heard": "received",
    "looked": "checked",
    "meant": "expected",
    "mine": "this side by its name",
    "theirs": "the other side by its name",
    "ours": "this side by its name",
    "why": "reason",
    "how": "method, kind",
    "where": "location, index, path",
    "when": "time, moment",
    "which": "index, selected",
    "here": "location, index",
    "of": "total, and a name that says of what",
    "began": "started",
    "past": "stop",
    "todo": "pending",
    "anew": "again",
}
# A phrase of a docstring that no native would write, and what to write in its place.
FORBIDDEN_PHRASES = {
    r"\bto be: ": "say what the object is",
    r"\bwhat became of\b": "the outcome of",
    r"\bas it was born\b": "with its initial random weights",
    r"\bis none\b": "is not a known ...",
    r"\bNone was\b": "If the ... has no ...",
    r"\bwas told\b": "was given, is configured",
    r"\bhow (it|they) (lies?|stands?)\b": "the layout",
    r"\b[Aa]s of [:`]": "As in",
    r"\bnobody (looks|waits)\b": "subject first, in plain words",
    r"\bis asked to\b": "is required to, should",
    r"\bwanted\b": "required, requested",
    r"\bwhence\b|\bthence\b|\bthereof\b|\bwherein\b": "from where",
    r"\banew\b": "again",
}


# Words that a short test may bind.
ALLOWED_IN_TESTS = {"at", "by", "of", "mine", "theirs", "ours"}
TESTS = sorted(path for path in Path(__file__).parents[1].rglob("*.py") if "__pycache__" not in path.parts)


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text("utf-8"))


def identifiers(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a source binds, with its line."""
    for child in ast.walk(node):
        match child:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, child.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, child.lineno
            case ast.ExceptHandler(name=str(name)):
                yield name, child.lineno


def documented(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, str | None, ast.arguments]]:
    """Public functions, methods and classes: qualified name, docstring, parameters without `self` and private ones."""
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from documented(child, f"{child.name}.")
            start = [item for item in child.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
            if start:
                yield child.name, ast.get_docstring(child), start[0].args
        if isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
            names = {ast.unparse(decorator) for decorator in child.decorator_list}
            if "overload" not in names and not any(name.endswith((".setter", "override")) for name in names):
                yield f"{prefix}{child.name}", ast.get_docstring(child), child.args


def parameters(arguments: ast.arguments) -> list[str]:
    names = [arg.arg for arg in [*arguments.posonlyargs, *arguments.args]]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    names += [arg.arg for arg in arguments.kwonlyargs]
    names += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def section(docstring: str, title: str) -> list[str]:
    """The unindented lines of a section of a numpydoc docstring."""
    match = re.search(rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n---|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return [line for line in match[1].splitlines() if line and not line[0].isspace()] if match else []


def faults_of_form(name: str, docstring: str | None, arguments: ast.arguments) -> list[str]:
    """What is wrong with one docstring."""
    if not docstring:
        return [f"{name}: no docstring"]
    entries = section(docstring, "Parameters")
    if not entries:
        return []
    faults = [f"{name}: `{entry}` has no type" for entry in entries if " : " not in entry]
    described = [part for entry in entries for part in entry.partition(" : ")[0].replace("\\", "").split(", ")]
    if arguments.kwarg and f"**{arguments.kwarg.arg}" not in described:  # the options are described by their names
        described = [*[part for part in described if part in parameters(arguments)], f"**{arguments.kwarg.arg}"]
    if described != parameters(arguments):
        faults.append(f"{name}: describes {described}, takes {parameters(arguments)}")
    return faults


@pytest.mark.parametrize("module", MODULES)
def test_a_name_is_a_word_of_the_field(module: str) -> None:
    faults = [
        f"{FILES[module]}:{line}: {name}: use {FORBIDDEN_NAMES[name.strip('_')]}"
        for name, line in identifiers(tree(module))
        if name.strip("_") in FORBIDDEN_NAMES
    ]
    assert faults == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_a_name_in_a_test_is_a_word_of_the_field(path: Path) -> None:
    faults = [
        f"{path}:{line}: {name}: use {FORBIDDEN_NAMES[name]}"
        for name, line in identifiers(ast.parse(path.read_text("utf-8")))
        if name in FORBIDDEN_NAMES.keys() - ALLOWED_IN_TESTS
    ]
    assert faults == []


@pytest.mark.parametrize("module", MODULES)
def test_a_public_docstring_describes_the_parameters_of_the_signature(module: str) -> None:
    assert [fault for item in documented(tree(module)) for fault in faults_of_form(*item)] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_docstring_is_in_plain_english(module: str) -> None:
    texts = [
        ast.get_docstring(node) or ""
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    faults = [
        f"{match[0]!r}: use {better}"
        for text in texts
        for phrase, better in FORBIDDEN_PHRASES.items()
        for match in re.finditer(phrase, text, re.MULTILINE)
    ]
    assert faults == []


def test_the_checks_see_a_forbidden_name_and_a_docstring_that_disagrees() -> None:
    source = 'def area(width, *, height=1):\n    """Area.\n\n    Parameters\n    ----------\n    width\n    """\n    found = 1\n'
    node = ast.parse(source)
    assert "found" in {name for name, _ in identifiers(node)}
    [item] = documented(node)
    assert faults_of_form(*item) == [
        "area: `width` has no type",
        "area: describes ['width'], takes ['width', 'height']",
    ]
