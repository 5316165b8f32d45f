"""The wings of the package, their order, and who imports whom, read from the sources."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "imuspec"

# Lowest first. A wing imports only wings of earlier lines, and of its own line without a circle. Imports inside functions
# and for type checkers count. Nothing up to `cluster` imports torch.
ORDER = [
    ["_core"],
    ["errors", "arrays", "temporary", "storage", "interrupts", "progress"],
    ["recipe", "simulation"],
    ["recording", "signal", "spectral"],
    ["preparation"],
    ["cohort"],
    ["cluster"],
    ["views", "encoders", "nn", "objectives"],
    ["datasets"],
    ["run"],
    ["pretraining", "probing", "evaluation"],
    ["prediction"],
    ["report", "sklearn"],
    ["experiments", "bench"],
    ["cli"],
]
LEVEL = {wing: level for level, wings in enumerate(ORDER) for wing in wings}


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(("imuspec", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = sorted(module for module in FILES if module != "imuspec")


def wing_of(module: str) -> str:
    """The wing that a module belongs to: the name below the package."""
    return module.split(".")[1]


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


def module_arrows() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports."""
    return {module: {name for name in imports(FILES[module]) if name.split(".")[0] == "imuspec"} for module in MODULES}


def wing_arrows() -> dict[str, set[str]]:
    """Wing -> the other wings that it imports."""
    arrows: dict[str, set[str]] = {wing: set() for wing in LEVEL}
    for module, names in module_arrows().items():
        arrows[wing_of(module)] |= {wing_of(name) for name in names if name != "imuspec"} - {wing_of(module)}
    return arrows


def reachable(arrows: dict[str, set[str]], start: str) -> set[str]:
    """All nodes that arrows lead to from `start`."""
    seen: set[str] = set()
    stack = [start]
    while stack:
        for target in arrows.get(stack.pop(), set()) - seen:
            seen.add(target)
            stack.append(target)
    return seen


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups of two or more nodes that reach each other."""
    reach = {start: reachable(arrows, start) for start in arrows}
    groups = {frozenset(b for b in reach[a] if a in reach.get(b, set())) for a in arrows if a in reach[a]}
    return [set(group) for group in groups if len(group) > 1]
