"""Which changes of the code no test notices: ``python tests/mutate.py [MODULE ...]``.

Every comparison, operator, number and condition of a module is changed by itself, and the module's own tests are run on it in
a forked process, where libraries are loaded already. A change that all tests pass survives, and is printed.

``MUTANTS=25`` samples so many changes of each module, always the same; ``MUTANT_NUMBERS=3,17`` tries those of the sample again.
"""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_STORES = "not thread and not random and not sent"
TESTS = {
    "imuspec.cohort.parts": ["unit/test_cohort.py", "-k", _STORES],
    "imuspec.cohort.results": ["unit/test_results.py"],
    "imuspec.cohort.store": ["unit/test_cohort.py", "-k", _STORES],
    "imuspec.cohort.tables": ["unit/test_cohort.py", "-k", _STORES],
    "imuspec.cohort.verification": ["unit/test_cohort.py", "-k", "verify or damaged"],
    "imuspec.datasets.cutting": ["unit/test_cutting.py"],
    "imuspec.datasets.draws": ["unit/test_splits.py"],
    "imuspec.datasets.leaks": ["unit/test_splits.py"],
    "imuspec.datasets.patches": ["unit/test_sequences.py", "unit/test_wear_days.py"],
    "imuspec.datasets.reference": ["unit/test_dataset_reference.py"],
    "imuspec.datasets.splits": ["unit/test_splits.py"],
    "imuspec.evaluation.pairing": ["unit/test_evaluation.py"],
    "imuspec.evaluation.scores": ["unit/test_evaluation.py", "-k", "not paired and not corrected and not training"],
    "imuspec.preparation.checks": ["unit/test_preparation.py"],
    "imuspec.preparation.clock": ["unit/test_preparation.py"],
    "imuspec.preparation.preparation": ["unit/test_preparation.py"],
    "imuspec.preparation.reasons": ["unit/test_preparation.py"],
    "imuspec.pretraining.schedule": ["unit/test_training.py", "-k", "rate"],
    "imuspec.recording.columns": ["unit/test_columnar.py"],
    "imuspec.recording.identity": ["unit/test_sources.py"],
    "imuspec.recording.inputs": ["unit/test_sources.py"],
    "imuspec.recording.owners": ["unit/test_odd_inputs.py"],
    "imuspec.recording.quality": ["unit/test_recording.py"],
    "imuspec.recording.reading": ["unit/test_recording.py", "unit/test_stated_rate.py"],
    "imuspec.recording.recording": ["unit/test_recording.py"],
}
LIMIT_S = int(os.environ.get("MUTANT_LIMIT_S", "120"))  # of processor time for the tests of one change
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield every change of a source: its place in words, and the changed tree."""
    for number, node in enumerate(ast.walk(ast.parse(source))):
        for change in changes(node):
            tree = ast.parse(source)
            target = next(each for index, each in enumerate(ast.walk(tree)) if index == number)
            line, before = getattr(target, "lineno", 0), ast.unparse(target)
            change(target)
            yield f"line {line}: {before} -> {ast.unparse(target)}", ast.fix_missing_locations(tree)


def changes(node: ast.AST) -> Iterator[Any]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield lambda n: n.ops.__setitem__(0, SWAPS[type(n.ops[0])]())
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
        yield lambda n: setattr(n, "op", SWAPS[type(n.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield lambda n: setattr(n, "operand", ast.Constant(value=False))
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield lambda n: setattr(n, "value", n.value + 1)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree."""

    def __init__(self, name: str, tree: ast.Module, path: Path) -> None:
        self.name, self.tree, self.path = name, tree, path

    def find_spec(self, name: str, *_: Any) -> Any:
        return importlib.util.spec_from_loader(name, self, origin=str(self.path)) if name == self.name else None

    def exec_module(self, module: Any) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


def outcome(name: str, tree: ast.Module, path: Path) -> str:
    """Return what the module's tests make of a changed tree, in a process of its own: caught, timed out or survived."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
        signal.alarm(10 * LIMIT_S)  # for one that waits for ever
        sys.meta_path.insert(0, Changed(name, tree, path))
        import pytest

        tests = [str(ROOT / "tests" / each) if each.endswith(".py") else each for each in TESTS[name]]
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}", *tests]) != 0))
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF):
        return "timed out"
    return "caught" if status else "survived"


def main(names: list[str]) -> None:
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests")]
    for library in ("numpy", "scipy.stats", "pandas", "pydantic", "sklearn.metrics", "pytest"):
        importlib.import_module(library)
    for name in names or list(
        TESTS
    ):  # for the libraries behind them: ours are imported anew, but for the core, which cannot be
        importlib.import_module(name)
    for name in [each for each in sys.modules if each.split(".")[0] == "imuspec" and each != "imuspec._core"]:
        del sys.modules[name]
    limit = int(os.environ.get("MUTANTS", "0"))
    again = os.environ.get("MUTANT_NUMBERS", "").split(",") if "MUTANT_NUMBERS" in os.environ else []
    for name in names or list(TESTS):
        path = ROOT / "python" / (name.replace(".", "/") + ".py")
        source = path.read_text("utf-8")
        if outcome(name, copy.deepcopy(ast.parse(source)), path) != "survived":
            raise SystemExit(f"{name}: expected tests that pass on the source as it is, got failures")
        mutations = list(mutants(source))
        chosen = random.Random(0).sample(mutations, limit) if 0 < limit < len(mutations) else mutations
        counts = dict.fromkeys(("caught", "timed out", "survived"), 0)
        for number, (location, tree) in enumerate(chosen, 1):
            if again and str(number) not in again:
                continue
            result = outcome(name, tree, path)
            counts[result] += 1
            if result != "caught":
                print(f"  {number} of {len(chosen)} {result}: {location}", flush=True)
        figures = ", ".join(f"{count} {result}" for result, count in counts.items())
        print(f"{name}: {sum(counts.values())} changes of {len(mutations)}, {figures}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
