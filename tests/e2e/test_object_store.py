"""Sources and cohorts in an object store: a real S3 server on loopback, and the bytes of a disk."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stub_native
from gate import PATIENCE_S, Gate
from imuspec import Cohort
from imuspec.cluster import LocalEngine
from imuspec.cohort.lock import InUseError, LostLeaseError, lock_of
from imuspec.recording.inputs import find_sources
from imuspec.storage import as_path
from run_stub_cohort import RECIPE
from stub_files import environment, start, tree, wait_for, write_stub

for needed in ("moto.server", "s3fs", "upath"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A file system of an S3 server that lives as long as these tests, its bucket empty."""
    import s3fs

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
        }.items():
            patch.setenv(name, value)
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        log = (tmp_path_factory.mktemp("s3") / "log").open("w")
        server = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        try:
            _answering(port, server)
            system = s3fs.S3FileSystem(use_listings_cache=False)
            system.mkdir("bucket")
            yield system
        finally:
            server.kill()
            server.wait()
            log.close()


def _answering(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "the S3 server ended at once"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the S3 server does not answer")


def _objects(store: Any, prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(f"{prefix}/"): hashlib.sha256(store.cat_file(name)).hexdigest() for name in store.find(prefix)
    }


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory, store: Any) -> Path:
    """The same recordings on a disk and in the bucket."""
    folder = write_stub(tmp_path_factory.mktemp("stubs") / "in", n=3)
    for path in folder.iterdir():
        store.pipe_file(f"bucket/in/{path.name}", path.read_bytes())
    return folder


def test_a_cohort_in_a_bucket_has_the_bytes_of_one_on_a_disk(store: Any, stubs: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"recipe": RECIPE}
    stub_native.prepare_stub_cohort([stubs], tmp_path / "out", workers=1, **options)
    stub_native.prepare_stub_cohort(["s3://bucket/in"], tmp_path / "fetched", workers=1, **options)
    summary = stub_native.prepare_stub_cohort(["s3://bucket/in"], "s3://bucket/out", engine=LocalEngine(2), **options)
    assert [summary.count(status) for status in ("ok", "excluded", "failed")] == [3, 2, 1]
    assert tree(tmp_path / "fetched") == tree(tmp_path / "out")
    assert _objects(store, "bucket/out") == tree(tmp_path / "out")
    there, location = Cohort("s3://bucket/out"), Cohort(tmp_path / "out")
    assert there.verify() == []
    assert there.status() == location.status()
    assert there.recordings.equals(location.recordings)
    np.testing.assert_array_equal(there.read("r2", 10, 5), location.read("r2", 10, 5))
    assert not list(Path(tempfile.gettempdir()).glob(f"imuspec-*-{os.getpid()}-*")), "a fetched file was left behind"


def test_damage_in_a_bucket_is_found(store: Any, stubs: Path) -> None:
    stub_native.prepare_stub_cohort([stubs], "s3://bucket/damaged", recipe=RECIPE, workers=1)
    content = bytearray(store.cat_file("bucket/damaged/acceleration/r1/c/0/0"))
    content[7] ^= 1
    store.pipe_file("bucket/damaged/acceleration/r1/c/0/0", bytes(content))
    assert Cohort("s3://bucket/damaged").verify() == [("r1", "its array is not what was written: the checksum differs")]


def test_a_run_killed_in_a_bucket_is_resumed_and_a_second_one_is_refused(
    store: Any, stubs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(tmp_path / "gate", "broken", "r0")
    process = start("s3://bucket/in", "s3://bucket/again", gate=gate, workers=1)
    wait_for(process, 1)
    os.killpg(process.pid, signal.SIGSTOP)  # it lives, and gets no further meanwhile
    second = start("s3://bucket/in", "s3://bucket/again", workers=1, resume=True)
    _, trouble = second.communicate(timeout=PATIENCE_S)
    assert f"InUseError: cohort s3://bucket/again: process {process.pid} on {socket.gethostname()}" in trouble
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = len(Cohort("s3://bucket/again").outcomes)
    assert 1 <= done < 6
    with monkeypatch.context() as later:  # as if a minute had gone by
        later.setattr("imuspec.cohort.lock.CohortLease._refuse_live", lambda *_: None)
        with lock_of(Cohort("s3://bucket/again").path):
            pass
    options: dict[str, Any] = {"recipe": RECIPE, "workers": 1}
    summary = stub_native.prepare_stub_cohort(["s3://bucket/in"], "s3://bucket/again", resume=True, **options)
    assert summary.done_before == done
    assert summary.n_done == 6
    stub_native.prepare_stub_cohort([stubs], tmp_path / "out", **options)
    assert _objects(store, "bucket/again") == tree(tmp_path / "out")


def test_a_lease_is_renewed_and_given_back(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imuspec.cohort.lock.RENEW_S", 0.2)
    monkeypatch.setattr("imuspec.cohort.lock.DEAD_S", 3.0)  # S3 states whole seconds
    cohort = as_path("s3://bucket/leased")
    with lock_of(cohort, number=1, total=2):
        time.sleep(4.5)  # longer than a lease that nobody renews
        with pytest.raises(InUseError, match="is using it"), lock_of(cohort, number=1, total=2):
            pass
        with pytest.raises(InUseError, match="is using share 1of2"), lock_of(cohort):
            pass
        with lock_of(cohort, number=2, total=2):
            pass
    assert store.find("bucket/leased") == []


def test_a_lease_is_created_only_if_it_is_absent_and_of_two_takers_one_holds_it(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe_file("bucket/put/1", b"first", mode="create")
    with pytest.raises(FileExistsError):
        store.pipe_file("bucket/put/1", b"second", mode="create")
    assert store.cat_file("bucket/put/1") == b"first"
    monkeypatch.setattr("imuspec.cohort.lock.CohortLease._refuse_live", lambda *_: None)  # as if a minute had gone by
    folder = as_path("s3://bucket/taken")
    (folder / ".lock" / "1of1.1").write_bytes(b'{"host": "h", "pid": 1}')
    start, holders, refused = threading.Barrier(2), [], []

    def take() -> None:
        start.wait()
        try:
            with lock_of(folder) as fence:
                time.sleep(0.5)
                fence.check()
                holders.append(fence)
        except (InUseError, LostLeaseError) as error:
            refused.append(error)

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert (len(holders), len(refused)) == (1, 1)


def test_what_lies_in_a_bucket_is_named_as_on_a_disk(store: Any, tmp_path: Path) -> None:
    hour = "GT3XPLUS-AccelerationCalibrated-2x5x0.NEO1.2000-01-08-{:02d}-00-00-000-P0000.sensor.csv"
    names = ["b.cwa", "A.CWA.GZ", "sub/c.bin", "notes.txt", ".git/f.bin", "g.zip", "p/x.cwa", "q/x.cwa.gz"]
    names += [f"62161/{hour.format(n)}" for n in range(2)]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
        store.pipe_file(f"bucket/named/{name}", name.encode())
    location, there = find_sources([tmp_path]), find_sources(["s3://bucket/named/"])
    assert [(s.id, s.name, s.n_bytes) for s in there] == [(s.id, s.name, s.n_bytes) for s in location]
    assert [s.name for s in find_sources(["s3://bucket/named/*.cwa"])] == ["b.cwa"]
    assert [s.path for s in find_sources(["s3://bucket/named/b.cwa"])] == ["s3://bucket/named/b.cwa"]
    (tmp_path / "list.txt").write_text("s3://bucket/named/sub/c.bin\n")
    assert [s.id for s in find_sources([tmp_path / "list.txt"])] == ["c"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_sources(["s3://bucket/nowhere"])


@pytest.mark.usefixtures("stubs")
def test_the_command_line_takes_urls(store: Any) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "imuspec.cli", *arguments]
        return subprocess.run(command, check=False, env=environment(), capture_output=True, text=True)

    made = run("prepare", "s3://bucket/in/broken.cwa", "s3://bucket/in/short.cwa", "--out", "s3://bucket/cli")
    assert made.returncode == 1, made.stderr  # neither text is a recording for the true native pass
    status = run("cohort", "status", "s3://bucket/cli")
    assert status.returncode == 0, status.stderr
    assert "2" in status.stdout
    assert (
        run("cohort", "verify", "s3://bucket/cli").stdout == "2 recordings: 0 ok, 2 failed; every file is unchanged\n"
    )
    assert run("cohort", "merge", "s3://bucket/cli").returncode == 0
    assert json.loads(store.cat_file("bucket/cli/parts/broken.json"))["outcome"]["status"] == "failed"
