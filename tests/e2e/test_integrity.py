"""`verify` sees every change of a cohort and of results, names the file, and needs no place to write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import flips
import stub_native
from imuspec import Cohort
from imuspec.cohort.results import Results
from run_stub_cohort import RECIPE
from stub_files import environment, tree


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return flips.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copies(whole: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    for root in whole:
        shutil.copytree(root, tmp_path / root.name)
    return tmp_path / "cohort", tmp_path / "results"


def test_a_whole_cohort_and_whole_results_have_no_problem_and_every_kind_of_file(whole: tuple[Path, Path]) -> None:
    assert [flips.problems(root) for root in whole] == [[], []]
    kinds = {flips.kind_of(path, root) for root in whole for path in root.rglob("*") if path.is_file()}
    tables = ("inputs", "recordings", "outcomes", "segments", "nonwear", "quality")
    assert kinds == {
        *(f"cohort/{name}" for name in ("zarr.json", "recipe.json", "manifest.json", "parts/*.json")),
        *(f"cohort/acceleration/{name}" for name in ("zarr.json", "*/zarr.json", "*/c/0/0")),
        *(f"cohort/{name}.parquet" for name in tables),
        *(f"results/{name}" for name in ("results.json", "manifest.json", "parts/*.json", "recordings/*.parquet")),
        *(f"results/{name}.parquet" for name in ("outcomes", "summary")),
    }


def test_no_changed_bit_of_any_kind_of_file_passes(copies: tuple[Path, Path]) -> None:
    counts, unseen = flips.flip(copies, 570)
    assert len(counts) == 19
    assert unseen == []


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a part cut to {": (lambda c: _write(c / "parts/r1.json", b"{"), "r1", "parts/r1.json: expected JSON"),
    "an empty part": (lambda c: _write(c / "parts/r1.json", b""), "r1", "parts/r1.json: expected JSON"),
    "a part that is a list": (lambda c: _write(c / "parts/r1.json", b"[]"), "r1", "parts/r1.json: expected JSON"),
    "nested JSON": (lambda c: _write(c / "parts/r1.json", b"[" * 200_000), "r1", "parts/r1.json: expected JSON"),
    "a copied part": (lambda c: shutil.copy(c / "parts/r1.json", c / "parts/r9.json"), "r9", "got that of 'r1'"),
    "a part replaced by another": (
        lambda c: shutil.copy(c / "parts/r1.json", c / "parts/r0.json"),
        "r0",
        "that of 'r1'",
    ),
    "a strange file among the parts": (lambda c: _write(c / "parts/notes", b"x"), "parts/notes", "not in the manifest"),
    "a removed part": (lambda c: (c / "parts/r1.json").unlink(), "parts/r1.json", "it is missing"),
    "a manifest cut to {": (
        lambda c: _write(c / "manifest.json", b"{"),
        "manifest.json",
        "manifest.json: expected JSON",
    ),
    "a removed manifest": (lambda c: (c / "manifest.json").unlink(), "manifest.json", "it is missing"),
}
OF_A_COHORT: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a removed recording": (
        lambda c: ((c / "parts/r1.json").unlink(), shutil.rmtree(c / "acceleration/r1")),
        "parts/r1.json",
        "it is missing",
    ),
    "a removed array": (lambda c: shutil.rmtree(c / "acceleration/r1"), "r1", "its array is missing"),
    "an array without its samples": (lambda c: shutil.rmtree(c / "acceleration/r1/c"), "r1", "the checksum differs"),
    "samples under another name": (
        lambda c: (c / "acceleration/r1/c/0/0").rename(c / "acceleration/r1/c/0/1"),
        "r1",
        "expected the files c/0/0 and zarr.json, got c/0/1, zarr.json",
    ),
    "the samples of another recording": (
        lambda c: shutil.copy(c / "acceleration/r0/c/0/0", c / "acceleration/r1/c/0/0"),
        "r1",
        "the checksum differs",
    ),
    "an array that no part has": (
        lambda c: shutil.copytree(c / "acceleration/r1", c / "acceleration/r7"),
        "r7",
        "unfinished",
    ),
    "an array of a recording that failed": (
        lambda c: shutil.copytree(c / "acceleration/r1", c / "acceleration/broken"),
        "broken",
        "failed, yet it has an array",
    ),
    "a removed table": (lambda c: (c / "segments.parquet").unlink(), "segments.parquet", "it is missing"),
    "a table that the manifest lacks": (
        lambda c: shutil.copy(c / "segments.parquet", c / "more.parquet"),
        "more.parquet",
        "it is not in the manifest",
    ),
    "another recipe": (
        lambda c: _write(c / "recipe.json", (c / "recipe.json").read_bytes().replace(b"30", b"31")),
        "recipe.json",
        "the checksum differs",
    ),
}
OF_RESULTS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a removed table": (lambda r: (r / "recordings/r1.parquet").unlink(), "r1", "its table is missing"),
    "the table of another": (
        lambda r: shutil.copy(r / "results.json", r / "recordings/r1.parquet"),
        "r1",
        "the checksum differs",
    ),
    "a table that no part has": (
        lambda r: shutil.copy(r / "recordings/r1.parquet", r / "recordings/r7.parquet"),
        "r7",
        "unfinished",
    ),
}


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("cohort", name) for name in DAMAGE | OF_A_COHORT),
        *(("results", name) for name in DAMAGE | OF_RESULTS),
    ],
)
def test_damage_is_named_with_its_file(kind: str, damage: str, copies: tuple[Path, Path]) -> None:
    root = copies[kind == "results"]
    change, name, problem = (DAMAGE | (OF_RESULTS if kind == "results" else OF_A_COHORT))[damage]
    change(root)
    assert [(n, problem in message) for n, message in flips.problems(root) if n == name] == [(name, True)], (
        flips.problems(root)
    )


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b'{"format": "imuspec-results"}', b"\xff"])
def test_results_whose_description_is_damaged_are_refused(content: bytes, copies: tuple[Path, Path]) -> None:
    (copies[1] / "results.json").write_bytes(content)
    with pytest.raises(ValueError, match="results: expected a folder that imuspec embed or predict wrote, got"):
        Results(copies[1])


@pytest.fixture
def medium(whole: tuple[Path, Path], tmp_path: Path) -> Iterator[Path]:
    """A medium on which nothing can be written, with the cohort and the results."""
    folder = tmp_path / "medium"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", whole[0].parent, folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (folder / "x").touch()
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("command", [("cohort", "verify"), ("cohort", "status"), ("cohort", "verify", "--json")])
@pytest.mark.parametrize("name", ["cohort", "results"])
def test_a_medium_that_cannot_be_written_is_verified(command: tuple[str, ...], name: str, medium: Path) -> None:
    arguments = [sys.executable, "-m", "imuspec.cli", *command, str(medium / name)]
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_finished_cohort_on_such_a_medium_resumes_to_nothing(medium: Path) -> None:
    before = tree(medium / "cohort")
    summary = stub_native.prepare_stub_cohort([medium / "in"], medium / "cohort", recipe=RECIPE, workers=1, resume=True)
    assert (summary.total, summary.done_before, summary.outcomes, summary.interrupted) == (6, 6, [], False)
    assert tree(medium / "cohort") == before
    assert Cohort(medium / "cohort").verify() == []
