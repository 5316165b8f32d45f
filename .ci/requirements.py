"""Prints what a job (plain, demo, test, bench, docs) needs from PyPI, by pyproject.toml, without the package itself."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_EXTRAS = {
    "plain": [],
    "demo": ["report"],
    "test": ["dev", "train", "report", "cluster", "export"],
    "bench": ["dev", "train", "report", "export"],
    "docs": ["report"],
}
_GROUPS = {"test": ["oracles"], "bench": ["bench"], "docs": ["docs"]}


def requirements(job: str) -> list[str]:
    """Requirements of a job, extras of the package resolved."""
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    extras = settings["project"]["optional-dependencies"]
    found = list(settings["project"]["dependencies"])
    wanted = list(_EXTRAS[job])
    while wanted:
        for line in extras[wanted.pop()]:
            own = re.fullmatch(r"imuspec\[(.*)\]", line)
            if own:
                wanted += own[1].split(",")
            else:
                found.append(line)
    for group in _GROUPS.get(job, []):
        found += settings["dependency-groups"][group]
    return sorted(set(found))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in _EXTRAS:
        sys.exit(f"usage: requirements.py {'|'.join(_EXTRAS)}")
    print("\n".join(requirements(sys.argv[1])))
