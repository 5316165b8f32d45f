"""Output files appear whole or not at all: every write of the package goes through the writer of `imuspec.storage`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from wings import FILES, MODULES

# Methods and functions that write a file.
WRITERS = {"write_text", "write_bytes", "to_csv", "to_parquet", "savefig", "savez", "savez_compressed", "write_table"}
# A file of these is renamed when it is complete, or is temporary.
SAFE = {"atomic_path", "replacing", "private_folder", "TemporaryDirectory", "_temporary_folder"}
# function -> why its write need not go through the writer
ALLOWED = {
    "imuspec.cohort.lock.CohortLock.__enter__": "names the holder of a lock, for a message; a torn name is ignored",
    "imuspec.cohort.lock.CohortLease.renew": "an object appears when its last byte has arrived",
    "imuspec.cohort.lock.CohortLease._refuse_live": "an empty object that shows the clock of the store",
    "imuspec.cohort.arrays.write_array": "writes to the temporary folder of an array",
    "imuspec.simulation.text.write_nhanes": "writes to a folder that is renamed when it is complete",
    "imuspec.temporary.private_folder": "names the machine in a temporary folder; a torn name is that of no machine",
    "imuspec.bench.timing.peak_memory": "a setting of the kernel below /proc",
}


def plain_writes(tree: ast.AST, location: str = "", *, safe: bool = False) -> Iterator[tuple[str, int]]:
    """The function and line of each write outside a `with` of a safe file."""
    for node in ast.iter_child_nodes(tree):
        inner, name = safe, location
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            name = f"{location}.{node.name}"
        if isinstance(node, ast.With):
            calls = [item.context_expr.func for item in node.items if isinstance(item.context_expr, ast.Call)]
            inner = safe or any(getattr(call, "attr", getattr(call, "id", "")) in SAFE for call in calls)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not safe:
            receiver = ast.unparse(node.func.value)
            into_memory = any(word in ast.unparse(node) for word in ("buffer", "whole", "writer", "(None"))
            if node.func.attr in WRITERS and receiver not in ("run", "self") and not into_memory:
                yield location, node.lineno
            mode = [a.value for a in node.args if isinstance(a, ast.Constant) and a.value in ("w", "wb", "wt")]
            if node.func.attr == "open" and mode and "devnull" not in receiver and "archive" not in receiver:
                yield location, node.lineno
        yield from plain_writes(node, name, safe=inner)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "imuspec.storage"])
def test_a_file_is_written_by_the_writer_of_storage(module: str) -> None:
    writes = list(plain_writes(ast.parse(FILES[module].read_text("utf-8")), module))
    assert [f"{FILES[module]}:{line}: {name}" for name, line in writes if name not in ALLOWED] == []


def test_a_plain_write_is_seen_and_one_inside_the_writer_is_not() -> None:
    source = "def f(path, table):\n    with atomic_path(path) as waiting:\n        table.to_csv(waiting)\n    path.write_text('')\n"
    assert list(plain_writes(ast.parse(source), "m")) == [("m.f", 4)]
