"""Who may import whom, how lightly the package loads, and that every public name says what it does."""

from __future__ import annotations

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
    "threads": {"error"},
    "device": {"error", "threads"},
    "signal": {"error", "threads"},
    "spectral": {"error", "threads", "signal"},
    "preparation": {"error", "threads", "device", "signal"},
    "python": {"error", "threads", "device", "signal", "spectral", "preparation"},
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


@pytest.mark.parametrize("module", MODULES)
def test_the_signal_chain_never_imports_torch(module: str) -> None:
    if LEVEL[wing_of(module)] < LEARNING:
        assert not {name.split(".")[0] for name in imports(FILES[module])} & {
            "torch",
            "torchvision",
            "lightning",
            "timm",
        }


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
