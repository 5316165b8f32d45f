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

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "imuspec"

# The wings of the package, lowest first. A wing imports only wings of earlier lines, and of its own line without a circle.
# Imports inside functions count. Nothing up to `cluster` imports torch.
ORDER = [
    {"_core"},
    {"errors", "storage"},
    {"recipe", "simulation"},
    {"recording", "signal", "spectral"},
    {"preparation"},
    {"cohort"},
    {"cluster"},
    {"views", "encoders", "nn", "objectives"},
    {"datasets"},
    {"run"},
    {"pretraining", "probing", "evaluation"},
    {"prediction"},
    {"report"},
    {"experiments", "bench"},
    {"cli"},
]
LEVEL = {wing: level for level, wings in enumerate(ORDER) for wing in wings}
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


def imports(path: Path, *, when_loaded: bool = False) -> set[str]:
    """Modules that a file imports; with `when_loaded` only those that importing it loads."""
    names: set[str] = set()
    stack: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who imports whom"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if submodule in FILES or submodule == "imuspec._core" else str(node.module))
        if when_loaded and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if when_loaded and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        stack += ast.iter_child_nodes(node)
    return names


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(("imuspec", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def wing_of(module: str) -> str:
    """The wing that a module belongs to: the name below the package."""
    return module.split(".")[1]


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups of two or more nodes that reach each other."""
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        stack = [start]
        while stack:
            for target in arrows.get(stack.pop(), set()) - seen:
                seen.add(target)
                stack.append(target)
        reach[start] = seen
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, set())) for a in arrows if a in reach[a]}
    return [set(group) for group in groups if len(group) > 1]


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = sorted(module for module in FILES if module != "imuspec")
INNER = {module: {name for name in imports(FILES[module]) if name.split(".")[0] == "imuspec"} for module in MODULES}


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
    arrows: dict[str, set[str]] = {wing: set() for wing in LEVEL}
    for module, names in INNER.items():
        arrows[wing_of(module)] |= {wing_of(name) for name in names} - {wing_of(module)}
    assert circles(arrows) == []


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


@pytest.mark.skipif(sys.platform == "win32", reason="the time that a child computes is not told there")
def test_help_computes_for_less_than_half_a_second() -> None:
    import resource

    def computed() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    took = []
    for _ in range(3):
        before = computed()
        fresh("import sys; sys.argv = ['imuspec', '--help']; from imuspec.cli import main; main()")
        took.append(computed() - before)
    assert min(took) < 0.5, f"least of three: {min(took):.2f} s"


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
