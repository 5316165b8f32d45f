"""Who may import whom, how lightly the package loads, and that every public name says what it does."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import imuspec
from wings import FILES, LEVEL, MODULES, PACKAGE, ROOT, circles, imports, module_arrows, wing_arrows, wing_of

INNER = module_arrows()
LEARNING = LEVEL["nn"]
HEAVY = {"torch", "zarr", "matplotlib", "pandas", "scipy", "pyarrow", "jinja2"}

# rust/<module> -> modules of the crate that it may name.
RUST = {
    "error": set(),
    "arrays": {"error"},
    "cpu": {"error"},
    "threads": {"error"},
    "device": {"error", "cpu", "threads"},
    "signal": {"error", "arrays", "cpu", "threads"},
    "spectral": {"error", "arrays", "cpu", "threads", "signal"},
    "preparation": {"error", "threads", "device", "signal"},
    "python": {"error", "arrays", "cpu", "threads", "device", "signal", "spectral", "preparation"},
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_wings_below_its_own(module: str) -> None:
    assert wing_of(module) in LEVEL, f"{module}: give its wing a line in ORDER and in the picture of the layout"
    for name in INNER[module]:
        assert name != "imuspec", f"{module}: import the module that defines the name, not the package's face"
        assert wing_of(name) in LEVEL, f"{module}: {name} belongs to no wing"
        assert LEVEL[wing_of(name)] <= LEVEL[wing_of(module)], (
            f"{module}: must not import {name}, which stands above it"
        )


def test_every_wing_of_the_order_exists() -> None:
    assert set(LEVEL) == {wing_of(module) for module in MODULES} | {"_core"}


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(INNER) == []


def test_no_wings_import_each_other_in_a_circle() -> None:
    assert circles(wing_arrows()) == []


def test_the_search_for_circles_sees_one() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


@pytest.mark.parametrize("module", [each for each in MODULES if LEVEL[wing_of(each)] < LEARNING])
def test_the_signal_chain_never_imports_torch(module: str) -> None:
    assert not {name.split(".")[0] for name in imports(FILES[module])} & {"torch", "torchvision", "lightning", "timm"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "report").glob("*.py")), ids=lambda path: path.name)
def test_report_loads_no_drawing_library_before_it_draws(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path, when_loaded=True)} & HEAVY


@pytest.mark.parametrize("module", sorted(RUST))
def test_a_module_of_the_crate_names_only_what_stands_below_it(module: str) -> None:
    single, folder = ROOT / "rust" / f"{module}.rs", ROOT / "rust" / module
    files = [single] if single.is_file() else sorted(folder.rglob("*.rs"))
    assert files
    for path in files:
        code = re.sub(r"//[^\n]*", "", path.read_text("utf-8"))
        code = code.split("#[cfg(test)]\nmod tests", 1)[0]
        named = set(re.findall(r"\bcrate::(\w+)", code))
        for group in re.findall(r"\bcrate::\{([^;]*)\};", code):
            named |= set(re.findall(r"(?:^|,|\{)\s*(\w+)", group)) & set(RUST)
        assert named & set(RUST) <= RUST[module] | {module}, path
        assert module == "python" or not re.search(r"\bpyo3\b|\bnumpy\b", code), f"{path}: only rust/python names pyo3"


def rust_code(path: Path) -> str:
    """The text of a Rust file without comments, strings and tests."""
    code = re.sub(r"//[^\n]*", "", path.read_text("utf-8"))
    code = re.sub(r"#\[cfg\(test\)\]\s*(#\[[^]]*\]\s*)*mod \w+\s*(;|\{.*\Z)", "", code, flags=re.DOTALL)
    return re.sub(r'"(\\.|[^"\\])*"', '""', code)


def rust_modules() -> dict[tuple[str, ...], Path]:
    """(file, by its path of modules from the crate's root) of every Rust file that is no test."""
    modules = {}
    for path in sorted((ROOT / "rust").rglob("*.rs")):
        parts = path.relative_to(ROOT / "rust").with_suffix("").parts
        if not path.stem.endswith("tests"):
            modules[parts[:-1] if parts[-1] in ("mod", "lib") else parts] = path
    return modules


def used_paths(code: str) -> set[tuple[str, ...]]:
    """Every path of names joined by `::`, those of a braced `use` one by one."""

    def expand(text: str) -> list[str]:
        brace = text.find("{")
        if brace < 0:
            return [text]
        depth, start, parts = 0, brace + 1, []
        for i in range(brace, len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if (text[i] == "," and depth == 1) or depth == 0:
                parts.append(text[start:i])
                start = i + 1
            if depth == 0:
                break
        return [path for part in parts for path in expand(text[:brace] + part.strip())]

    uses = [path for tree in re.findall(r"\buse\s+([^;]+);", code) for path in expand(re.sub(r"\s+", " ", tree))]
    inline = re.findall(r"\b(?:crate|super|self)(?:::\w+)+", code)
    return {tuple(re.sub(r" as \w+$", "", path).strip().split("::")) for path in uses + inline}


def rust_arrows(modules: dict[tuple[str, ...], Path]) -> dict[str, set[str]]:
    """Files that a file names: a path leads to the deepest module on it, and on from there where that only re-exports.

    The lines `mod name;` and `pub use` are no arrows: they give a name and need nothing of it.
    """
    code = {module: rust_code(path) for module, path in modules.items()}

    def absolute(module: tuple[str, ...], path: tuple[str, ...]) -> tuple[str, ...]:
        first, *rest = path
        if first == "crate":
            return tuple(rest)
        if first == "self":
            return (*module, *rest)
        if first == "super":
            location = module[:-1]
            while rest[:1] == ["super"]:
                location, rest = location[:-1], rest[1:]
            return (*location, *rest)
        return (*module, *path)

    exports: dict[tuple[str, ...], tuple[str, ...]] = {}
    for module, text in code.items():
        for line in re.findall(r"\bpub(?:\([^)]*\))? (use [^;]+;)", text):
            for path in used_paths(line):
                if len(path) > 1:  # a macro is exported by its bare name
                    exports[(*module, path[-1])] = absolute(module, path)

    def home(path: tuple[str, ...]) -> tuple[str, ...] | None:
        for end in range(1, len(path) + 1):
            if path[:end] not in modules:
                target = exports.get(path[:end])
                return home(target) if target else path[: end - 1] or None
        return path

    arrows = {}
    for module, text in code.items():
        inner = re.sub(r"\bpub(\([^)]*\))? use [^;]+;|\bpub\(in [^)]*\)", "", text)
        named = {home(absolute(module, path)) for path in used_paths(inner)}
        arrows["::".join(module)] = {"::".join(name) for name in named if name and name != module}
    return arrows


def test_no_files_of_the_crate_name_each_other_in_a_circle() -> None:
    assert circles(rust_arrows(rust_modules())) == []


def test_a_circle_of_two_files_of_one_rust_folder_is_seen(tmp_path: Path) -> None:
    texts = {
        ("a",): "pub mod b;\npub mod c;\npub use c::{Deep, Other};",
        ("a", "b"): "use super::{\n    Deep,\n    d,\n};",
        ("a", "c"): "fn f() { crate::a::b::g() }  // use super::b;",
        ("e",): "use crate::a::c::Deep as Other;\n#[cfg(test)]\nmod tests {\n    use crate::a::b;\n}",
    }
    modules = {}
    for module, text in texts.items():
        modules[module] = tmp_path / f"{'_'.join(module)}.rs"
        modules[module].write_text(text)
    arrows = rust_arrows(modules)
    assert arrows == {"a": set(), "a::b": {"a", "a::c"}, "a::c": {"a::b"}, "e": {"a::c"}}
    assert circles(arrows) == [{"a::b", "a::c"}]


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = set(fresh("import sys, imuspec; print(*{m.split('.')[0] for m in sys.modules})").split())
    assert "imuspec" in loaded
    assert not loaded & HEAVY


def test_help_loads_no_library_of_arrays_tables_or_learning() -> None:
    code = """
import sys
sys.argv = ["imuspec", "--help"]
from imuspec.cli import main
try:
    main()
except SystemExit:
    print("LOADED", *sorted({name.split(".")[0] for name in sys.modules}))
"""
    loaded = set(fresh(code).splitlines()[-1].split())
    assert {"LOADED", "cyclopts", "imuspec"} <= loaded
    assert not loaded & {*HEAVY, "numpy", "sklearn", "timm", "lightning_fabric", "dask", "distributed", "torchvision"}


@pytest.mark.parametrize("name", [name for name in imuspec.__all__ if name != "__version__"])
def test_a_public_name_is_documented(name: str) -> None:
    value = getattr(imuspec, name)
    text = inspect.getdoc(value) or ""
    assert text, f"{name} has no docstring"
    if inspect.isfunction(value):
        assert "Returns\n-------" in text, f"{name}: what does it return?"
        for argument in inspect.signature(value).parameters:
            assert re.search(rf"^(\w+, )*\*{{0,2}}{argument}\b", text, re.MULTILINE), f"{name}: what is {argument}?"
        if inspect.signature(value).parameters:
            assert "Parameters\n----------" in text


def test_the_picture_of_the_wings_shows_the_imports_as_they_are() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "draw_wings.py", "-"], check=True, capture_output=True, text=True
    )
    assert made.stdout == (ROOT / "docs" / "explanation" / "wings.svg").read_text("utf-8"), "run docs/draw_wings.py"


# One operation has one name, as a module of torch and as a transformer of scikit-learn.
TWO_LIBRARIES = {
    "Spectrogram": ["imuspec.nn.image", "imuspec.sklearn.transformers"],
    "LogMeanMagnitude": ["imuspec.nn.magnitude", "imuspec.sklearn.transformers"],
}


def test_no_two_public_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = {}
    for module, path in FILES.items():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == TWO_LIBRARIES
