"""What comes from outside runs no code, reaches no other place, takes no unlimited room, and is shown as text."""

from __future__ import annotations

import ast
import gzip
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import imuspec
import stub_native
from imuspec import Cohort, RecordingError
from imuspec.simulation import simulate
from imuspec.temporary import private_folder
from run_stub_cohort import RECIPE
from stub_files import environment

PACKAGE = Path(imuspec.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Loading by any of these can run code of the file.
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
HOSTILE = "<script>alert('x')</script>&\"'"


def _calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _keyword(call: ast.Call, name: str) -> object:
    return next((ast.literal_eval(k.value) for k in call.keywords if k.arg == name), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_source_loads_what_can_run_code(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNSAFE, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            assert str(node.module).split(".")[0] not in UNSAFE, ast.unparse(node)
    for name, call in _calls(tree):
        location = f"{path.name}:{call.lineno}: {ast.unparse(call)}"
        last = name.rpartition(".")[2]
        if name in ("torch.load", "load_state_dict_from_url"):
            assert _keyword(call, "weights_only") is True, location
        if name in ("np.load", "numpy.load"):
            assert _keyword(call, "allow_pickle") in (None, False), location  # the default is False
        if last in ("read_pickle", "load_module", "unpack_archive"):
            raise AssertionError(location)
        if last == "extractall":
            assert _keyword(call, "filter") == "data", location
        assert name not in ("eval", "exec", "os.system", "tempfile.mktemp"), location
        assert _keyword_is_not_true(call, "shell"), location


def _keyword_is_not_true(call: ast.Call, name: str) -> bool:
    return not any(k.arg == name and getattr(k.value, "value", None) is True for k in call.keywords)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["IMUSPEC_TRAP"],)


def test_a_pickle_in_a_table_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMUSPEC_TRAP", str(tmp_path / "sprung"))
    np.savez(tmp_path / "x.npz", time=np.arange(3), xyz=np.array([_Trap()] * 3, dtype=object))
    with pytest.raises(RecordingError, match="pickle"):
        imuspec.read(tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(RecordingError):
        imuspec.read(tmp_path / "y.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_that_could_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from imuspec.run.run import Run

    monkeypatch.setenv("IMUSPEC_TRAP", str(tmp_path / "sprung"))
    run = Run(tmp_path / "run")
    run.checkpoint_path.parent.mkdir(parents=True)
    torch.save({"step": _Trap()}, run.checkpoint_path)
    with pytest.raises(ValueError, match="expected a checkpoint"):
        run.load_checkpoint()
    assert not (tmp_path / "sprung").exists()


def test_an_archive_writes_nothing_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    simulate(tmp_path / "a.cwa", days=1 / 1440 * 5, seed=1)
    for number, name in enumerate(("../../escaped.cwa", "/tmp/imuspec-escaped.cwa", "..\\escaped.cwa")):
        with zipfile.ZipFile(folder / f"{number}.zip", "w") as archive:
            archive.writestr(name, (tmp_path / "a.cwa").read_bytes())
    before = set(tmp_path.rglob("*"))
    for number in range(3):
        assert len(imuspec.read(folder / f"{number}.zip")) > 20_000
    assert set(tmp_path.rglob("*")) == before
    assert not Path("/tmp/imuspec-escaped.cwa").exists()


def test_a_small_file_that_inflates_without_end_takes_little_memory(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system does not limit memory")
    zeros = gzip.compress(bytes(64 << 20), 9)
    (tmp_path / "bomb.cwa.gz").write_bytes(zeros * 32)  # 2 GiB of zeros in 2 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared = imuspec.prepare(tmp_path / "bomb.cwa.gz")
    assert prepared.status == "failed"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB
    (tmp_path / "nested.cwa.gz").write_bytes(gzip.compress(gzip.compress(gzip.compress(gzip.compress(zeros)))))
    assert "compressions around each other" in imuspec.prepare(tmp_path / "nested.cwa.gz").reason


def test_a_table_that_says_it_is_larger_than_memory_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", time=np.arange(3), xyz=np.zeros((3, 3)))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 0xFFFF_FFF0)  # unpacked size in the directory
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RecordingError):
        imuspec.read(tmp_path / "x.npz")


def test_a_page_shows_hostile_names_and_metadata_as_text(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from imuspec.report import cohort_page, preparation_page
    from imuspec.simulation import write_actilife_csv

    name = HOSTILE.replace("/", "_")
    source = tmp_path / "in"
    source.mkdir()
    (source / f"{name}.cwa").write_text(json.dumps({"hours": 0.2}))
    (source / f"{name}2.cwa").write_text(HOSTILE)  # its reason may cite it
    stub_native.prepare_stub_cohort([source], tmp_path / "out", recipe=RECIPE, workers=1)
    cohort_page(Cohort(tmp_path / "out"), tmp_path / "cohort.html")
    acceleration = np.tile(np.array([[0.0], [0.0], [1.0]]), 30 * 60)
    write_actilife_csv(source / f"{name}.csv", acceleration, np.arange(1800) * 33_333_333)
    text = (source / f"{name}.csv").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Serial Number"))
    (source / f"{name}.csv").write_text(text.replace(line, f"Serial Number: {HOSTILE}"))
    path = source / f"{name}.csv"
    loose = RECIPE.set("calibration.required=false", "segments.min_wear_h=0.001")
    prepared = imuspec.prepare(path, loose)
    preparation_page(prepared, tmp_path / "one.html", recording=imuspec.read(path))
    for page in (tmp_path / "cohort.html", tmp_path / "one.html"):
        assert "<script>alert" not in page.read_text("utf-8"), page.name
    assert "&lt;script&gt;alert" in (tmp_path / "one.html").read_text("utf-8")
    for shown in (imuspec.read(path)._repr_html_(), prepared._repr_html_()):
        assert "<script>alert" not in shown


def test_temporary_folders_are_private_and_go_away() -> None:
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "x").write_text("x")
    assert not folder.exists()


def test_a_temporary_folder_needs_no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("links need a privilege here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "link", refuse)
    with private_folder() as folder:
        assert not (folder / ".machine").is_symlink()
        assert (folder / ".machine").is_file()


@pytest.mark.skipif(os.name == "nt", reason="no links, no pipes")
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_marker_that_is_no_file_is_not_read(kind: str, holder, tmp_path: Path) -> None:
    folder, kill = holder("")
    kill()
    (folder / ".machine").rename(tmp_path / "machine")
    if kind == "link":
        (folder / ".machine").symlink_to(tmp_path / "machine")
    else:
        os.mkfifo(folder / ".machine")
    _look()
    assert (folder / "data").exists()


HOLDER = """
import sys, time
from pathlib import Path
from imuspec import temporary

if sys.argv[1]:
    temporary._machine = lambda: sys.argv[1]
with temporary.private_folder() as folder:
    (folder / "data").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""
WEEK_S = 7 * 24 * 3600


@pytest.fixture
def holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], tuple[Path, Callable[[], None]]]]:
    """Start processes that use a private folder of one shared TMPDIR; return the folder, and a function that kills."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    processes = []

    def start(machine: str) -> tuple[Path, Callable[[], None]]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, machine],
            env=environment(TMPDIR=str(tmp_path)),
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None

        def kill() -> None:
            process.kill()
            process.wait()

        return Path(process.stdout.readline().strip()), kill

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _look() -> None:
    with private_folder():
        pass


def test_the_folder_of_a_live_process_stays_and_that_of_a_killed_one_goes(holder) -> None:
    folder, kill = holder("")
    os.utime(folder, (0, 0))
    _look()
    assert (folder / "data").exists()
    kill()
    _look()
    assert not folder.exists()


def test_the_folder_of_a_live_process_on_another_machine_stays_however_old(holder) -> None:
    folder, kill = holder("another boot pid:[1]")
    os.utime(folder, (0, 0))
    _look()
    assert (folder / "data").exists()
    kill()
    os.utime(folder, (time.time() - WEEK_S + 3600,) * 2)
    _look()  # its process number means nothing here, so age decides
    assert (folder / "data").exists()
    os.utime(folder, (time.time() - WEEK_S - 3600,) * 2)
    _look()
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces of processes are Linux's")
def test_the_folder_of_a_live_process_in_a_container_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("namespaces cannot be made here")
    command = [*unshare, sys.executable, "-c", HOLDER, ""]
    with subprocess.Popen(command, env=environment(TMPDIR=str(tmp_path)), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            folder = Path(process.stdout.readline().strip())
            number = 2**22 + 1  # as if no process here had its number
            unknown = folder.rename(folder.with_name(f"imuspec-{os.getuid()}-{number}-abc"))
            _look()
            assert (unknown / "data").exists()
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="no links")
def test_what_is_not_a_private_folder_of_this_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    number = 2**22 + 1  # no process has so high a number
    precious, user = tmp_path / "precious", os.getuid()
    precious.mkdir()
    (precious / "data").write_text("x")
    (tmp_path / f"imuspec-{user}-{number}-link").symlink_to(precious)
    (tmp_path / f"imuspec-{user}-{number}-file").write_text("x")
    young, old = tmp_path / f"imuspec-{user}-{number}-young", tmp_path / f"imuspec-{user}-{number}-old"
    others = tmp_path / f"imuspec-{user}-{number}-others"
    for folder in (young, old, others):
        folder.mkdir()
    for path in (old, others, tmp_path / f"imuspec-{user}-{number}-file"):
        os.utime(path, (0, 0))
    names = {path.name for path in tmp_path.iterdir()} - {old.name}
    if user == 0:
        os.chown(others, 12345, 12345)
    else:
        others.rmdir()
        names -= {others.name}
    _look()
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (precious / "data").exists()
