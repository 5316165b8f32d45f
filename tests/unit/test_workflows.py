"""The workflows: actions are named by commit, few jobs may sign, and the wheels are those that the classifiers promise."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # zarr needs it

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"^\s*-? ?uses: (.+)$", re.MULTILINE)
PINNED = re.compile(r"([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def workflow(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8"))
    return loaded


def test_every_action_is_named_by_one_commit_with_its_version() -> None:
    uses = [line for path in FILES for line in USES.findall(path.read_text("utf-8")) if not line.startswith("./")]
    assert len(uses) > 10
    assert [line for line in uses if not PINNED.fullmatch(line)] == []
    commits: dict[str, set[tuple[str, str]]] = {}
    for line in uses:
        name, commit, version = PINNED.findall(line)[0]
        commits.setdefault(name, set()).add((commit, version))
    assert [name for name, pins in commits.items() if len(pins) > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_reads_and_a_job_that_may_more_says_so(path: Path) -> None:
    loaded = yaml.safe_load(path.read_text("utf-8"))
    assert loaded["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text("utf-8")
    may_more = {name for name, job in loaded["jobs"].items() if "permissions" in job}
    assert may_more <= {"attest", "publish"}


def test_nothing_is_published_that_was_not_built_tested_and_attested() -> None:
    jobs = workflow("release")["jobs"]
    needed: set[str] = set()
    waiting = {"publish"}
    while waiting:
        name = waiting.pop()
        needs = jobs[name].get("needs", [])
        new = {needs} if isinstance(needs, str) else set(needs)
        waiting |= new - needed
        needed |= new
    assert needed == {"checks", "wheel", "pythons", "sdist", "attest"}
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert (ROOT / ".github" / "workflows" / "checks.yml").is_file()
    for name in ("attest", "publish"):
        assert jobs[name]["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}


def test_the_wheels_are_tested_on_every_python_and_system_of_the_classifiers() -> None:
    jobs = workflow("release")["jobs"]
    first = {
        step["with"]["python-version"] for step in jobs["wheel"]["steps"] if "setup-python" in step.get("uses", "")
    }
    tested = first | set(jobs["pythons"]["strategy"]["matrix"]["python"])
    versions = {line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert tested == versions
    assert PROJECT["requires-python"] == f">={min(versions)}"
    targets = {entry["target"] for entry in jobs["wheel"]["strategy"]["matrix"]["include"]}
    for system in ("unknown-linux-gnu", "unknown-linux-musl", "apple-darwin"):
        assert {f"x86_64-{system}", f"aarch64-{system}"} <= targets
    assert "x86_64-pc-windows-msvc" in targets
    smoke = (ROOT / ".ci" / "smoke").read_text("utf-8")
    assert "imuspec cohort verify" in smoke


def test_the_licence_is_an_expression_and_no_classifier() -> None:
    assert PROJECT["license"] == "Apache-2.0 OR MIT"
    assert [line for line in PROJECT["classifiers"] if line.startswith("License ::")] == []
    for name in PROJECT["license-files"]:
        assert (ROOT / name).is_file()


def test_what_the_tests_compare_with_is_installed_for_them() -> None:
    script = ROOT / ".ci" / "requirements.py"
    lines = subprocess.run(
        [sys.executable, script, "test"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    oracles = {"lightly": "lightly", "cv2": "opencv-python-headless"}
    used = {
        oracles[name]
        for path in (ROOT / "tests" / "reference").glob("*.py")
        for name in re.findall(r"importorskip\(\"(lightly|cv2)\b", path.read_text("utf-8"))
    }
    assert used == set(oracles.values())
    assert used <= {re.split(r"[<>=;\[ ]", line)[0] for line in lines}
