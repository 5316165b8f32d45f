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

# A module may import those before it in this list and those of its own level; nothing up to `cluster` imports torch.
# One exception: `plot` methods call `report`, inside their functions.
LEVELS = [
    {"_core", "errors", "places"},
    {"columnar"},
    {"signal", "spectral", "image", "magnitude", "encodings", "streaming", "recording", "simulation", "features"},
    {"recipe"},
    {"sources", "preparation", "lock", "lease", "store", "tables", "cohort", "results"},
    {"cluster"},
    {"nn", "views", "encoders", "objectives", "pictures", "report"},
    {"datasets"},
    {"run", "signals", "training", "evaluation"},
    {"pretraining", "wear_pretraining", "probing", "patch_probing", "explanation", "deployment", "models"},
    {"prediction"},
    {"over_cohort"},
    {"experiments", "bench", "benchmark"},
    {"console"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
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
    found: set[str] = set()
    stack: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who imports whom"
            found.add(str(node.module))
            if node.module == "imuspec":
                found |= {f"imuspec.{_home(alias.name)}" for alias in node.names}
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if when_loaded and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        stack += ast.iter_child_nodes(node)
    return found


def _home(name: str) -> str:
    return imuspec._HOME.get(name, name)


def sources() -> list[tuple[str, Path]]:
    """(module under imuspec, file) of every source but the package's own."""
    files = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
    return [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in files]


@pytest.mark.parametrize(
    ("module", "path"), sources(), ids=lambda value: value if isinstance(value, str) else value.name
)
def test_a_module_imports_only_what_stands_below_it(module: str, path: Path) -> None:
    assert module in LEVEL, f"{module}: give it a level in this test and in the picture of the layout"
    loaded = imports(path, when_loaded=True)
    for name in imports(path):
        parts = name.split(".")
        if parts[:2] == ["imuspec", "report"] and name not in loaded:
            continue
        if parts[0] != "imuspec" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        assert parts[1] in LEVEL, f"{path.name}: imports {name}, which has no level"
        assert LEVEL[parts[1]] <= LEVEL[module], f"{path.name}: {module} must not import {name}"


@pytest.mark.parametrize(
    ("module", "path"), sources(), ids=lambda value: value if isinstance(value, str) else value.name
)
def test_the_signal_chain_never_imports_torch(module: str, path: Path) -> None:
    if LEVEL[module] < LEARNING:
        assert not {name.split(".")[0] for name in imports(path)} & {"torch", "torchvision", "lightning", "timm"}


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
