"""A Dask cluster writes the bytes of one process, whatever of it dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

import stub_native
from dask_processes import dask, end, ended
from gate import PATIENCE_S, Gate
from imuspec import Cohort
from imuspec.cluster import Limits, dask_engine, open_engine
from run_stub_cohort import RECIPE
from stub_files import start, tree, wait_for, write_stub

pytest.importorskip("distributed", reason="dask is not installed")


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stub(tmp_path_factory.mktemp("stubs") / "in", n=9)


@pytest.fixture(scope="module")
def whole(stubs: Path) -> Path:
    """The cohort of one undisturbed run of one worker."""
    out = stubs.parent / "whole"
    stub_native.prepare_stub_cohort([stubs], out, recipe=RECIPE, workers=1)
    return out


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_processes_of_a_dask_cluster_write_the_bytes_of_one(stubs: Path, whole: Path, tmp_path: Path) -> None:
    process = start(stubs, tmp_path / "out", engine="dask", workers=2)
    message, trouble = process.communicate(timeout=PATIENCE_S)
    assert message.endswith("done\n"), trouble
    assert tree(tmp_path / "out") == tree(whole)


def test_a_poison_recording_costs_a_dask_cluster_nothing_but_itself(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=3)
    (source / "killed.cwa").write_text(json.dumps({"kill": "always"}))
    (source / "once.cwa").write_text(json.dumps({"hours": 0.2, "kill": "once"}))
    (source / "greedy.cwa").write_text(json.dumps({"memory_mb": 2000}))
    (source / "endless.cwa").write_text(json.dumps({"sleep_s": 600}))
    engine = open_engine("dask", workers=1, limits=Limits(600_000_000, 10.0))
    summary = stub_native.prepare_stub_cohort([source], tmp_path / "out", recipe=RECIPE, engine=engine)
    assert [summary.count(status) for status in ("ok", "excluded", "failed")] == [4, 2, 4]
    cohort = Cohort(tmp_path / "out")
    reasons = {row["id"]: row["reason"] for row in cohort.outcomes.to_pylist() if row["status"] == "failed"}
    assert "killed, twice" in reasons["killed"]
    assert "MB of memory, the limit is 600 MB" in reasons["greedy"]
    assert reasons["endless"] == "took longer than the time limit of 10 s"
    assert cohort.verify() == []


def test_killed_workers_and_a_restarted_scheduler_lose_nothing(stubs: Path, whole: Path, tmp_path: Path) -> None:
    port, log = _free_port(), tmp_path / "log"
    address = f"tcp://127.0.0.1:{port}"
    scheduler_options = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    worker_options = (address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
    gate = Gate(tmp_path / "gate", "broken", "r0")
    scheduler = dask("scheduler", *scheduler_options, log=log)
    workers = [dask("worker", *worker_options, log=log, gate=gate) for _ in range(2)]
    with ended([scheduler, *workers]):
        run = start(stubs, tmp_path / "out", engine="dask", scheduler=address)
        try:
            wait_for(run, 2)
            end(workers[0])  # in the middle of a file
            gate.let("r1", "r2", "r3", "r4")  # what it was at may come last
            wait_for(run, 4)
            end(scheduler)
            gate.open()
            time.sleep(1.0)
            again = [dask("scheduler", *scheduler_options, log=log), dask("worker", *worker_options, log=log)]
            with ended(again):
                message, trouble = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()
    assert message.endswith("done\n"), trouble + log.read_text()[-3000:]
    assert Cohort(tmp_path / "out").verify() == []
    assert tree(tmp_path / "out") == tree(whole)


def test_ctrl_c_lets_a_dask_cluster_finish_what_is_under_way(stubs: Path, whole: Path, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate", "broken", "r0")
    run = start(stubs, tmp_path / "out", engine="dask", workers=2, gate=gate)
    wait_for(run, 2)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: workers too
    gate.open()
    message, trouble = run.communicate(timeout=PATIENCE_S)
    assert message.endswith("interrupted\n"), trouble
    done = len(Cohort(tmp_path / "out").outcomes)
    assert 2 <= done < 12
    assert Cohort(tmp_path / "out").verify() == []
    options = {"recipe": RECIPE, "workers": 1}
    assert stub_native.prepare_stub_cohort([stubs], tmp_path / "out", resume=True, **options).done_before == done  # type: ignore[arg-type]
    assert tree(tmp_path / "out") == tree(whole)


def test_jobs_of_slurm_are_submitted_and_taken_back(stubs: Path, whole: Path, tmp_path: Path) -> None:
    """`sbatch` and `scancel` stand in for Slurm's: a job is a process of this machine."""
    programs, home = tmp_path / "bin", tmp_path / "home"
    programs.mkdir()
    home.mkdir()
    (programs / "sbatch").write_text(
        f'#!/bin/sh\ncp "$1" {tmp_path}/script.$$\nsetsid sh {tmp_path}/script.$$ >>{tmp_path}/log 2>&1 &\n'
        f"stat -c %a {home}/.dask-jobqueue* >>{tmp_path}/modes\n"
        f'echo $! >>{tmp_path}/jobs\necho "Submitted batch job $!"\n'
    )
    (programs / "scancel").write_text(f'#!/bin/sh\nkill -- -"$1" "$1"\necho "$1" >>{tmp_path}/cancelled\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "jobs.toml").write_text(
        'jobs = 2\n[slurm]\nqueue = "short"\ncores = 1\nprocesses = 1\nmemory = "2GB"\nwalltime = "01:00:00"\n'
        f'interface = "lo"\nlocal_directory = "{tmp_path}"\nlog_directory = "{tmp_path}"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("HOME", str(home))
        run = start(stubs, tmp_path / "out", engine="dask", cluster=f"slurm:{tmp_path / 'jobs.toml'}")
        try:
            message, trouble = run.communicate(timeout=PATIENCE_S)
        finally:
            run.kill()
    assert message.endswith("done\n"), trouble + (tmp_path / "log").read_text()[-3000:]
    assert tree(tmp_path / "out") == tree(whole)
    script = next(tmp_path.glob("script.*")).read_text()
    assert "#SBATCH -p short" in script
    assert "#SBATCH -t 01:00:00" in script
    assert "--protocol tls://" in script
    assert f"--tls-key {home}/" in script
    assert "--no-dashboard" in script
    assert "\nexport DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'\n" in script
    assert set((tmp_path / "modes").read_text().split()) == {"600"}
    assert list(home.glob(".dask-jobqueue*")) == []  # the files of the certificate
    jobs = set((tmp_path / "jobs").read_text().split())
    assert len(jobs) == 2
    assert set((tmp_path / "cancelled").read_text().split()) == jobs


@pytest.mark.parametrize("location", ["jobs.toml", "jobqueue.yaml", "jobqueue.yaml, by old names"])
def test_settings_of_slurm_jobs_are_kept_and_their_workers_serve_no_pages(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask
    import dask_jobqueue

    settings: dict[str, Any] = {
        "job_script_prologue": ["module load python", "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES=all"],
        "worker_extra_args": ["--resources", "gpu=1"],
        "scheduler_options": {"port": 8786},
        "shared_temp_directory": "/shared",
    }
    if location.endswith("old names"):
        settings["env-extra"], settings["extra"] = (
            settings.pop("job_script_prologue"),
            settings.pop("worker_extra_args"),
        )
    passed: dict[str, Any] = {}

    class Cluster:
        def __init__(self, **options: Any) -> None:
            passed.update(options)

        def scale(self, jobs: int) -> None:
            passed["jobs"] = jobs

    monkeypatch.setattr(dask_jobqueue, "SLURMCluster", Cluster)
    in_file = settings if location == "jobs.toml" else {}
    in_yaml = {name.replace("_", "-"): value for name, value in settings.items()} if not in_file else {}
    with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in in_yaml.items()}):
        dask_engine._slurm_cluster(3, {"queue": "short", **in_file}, None)
    assert passed["queue"] == "short"
    assert passed["jobs"] == 3
    assert passed["shared_temp_directory"] == "/shared"
    assert passed["scheduler_options"]["port"] == 8786
    assert passed["scheduler_options"]["dashboard"] is False
    assert "--no-dashboard" in passed["worker_extra_args"]
    assert passed["worker_extra_args"][-2:] == ["--resources", "gpu=1"]
    assert passed["job_script_prologue"][0] == "module load python"
    environment = subprocess.run(
        ["sh", "-c", "\n".join([*passed["job_script_prologue"][1:], f"exec {sys.executable} -c '{ROUTES}'"])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert environment.stdout.strip() == "[]"


ROUTES = 'import dask.config, distributed; print(dask.config.get("distributed.worker.http.routes"))'


def test_an_item_whose_answer_was_lost_with_the_scheduler_is_tried_again_and_a_full_disk_is_not() -> None:
    from distributed.comm.core import CommClosedError

    class Future:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def result(self) -> object:
            raise self.error

    crew = dask_engine._DaskCrew.__new__(dask_engine._DaskCrew)
    lost = crew._answer(Future(CommClosedError("in <TCP>: reset by peer")), "r1", False)
    assert (lost.item, lost.reason, lost.blameless) == ("r1", "its scheduler was lost", True)
    with pytest.raises(OSError, match="No space"):
        crew._answer(Future(OSError(28, "No space left on device")), "r1", False)


def test_an_engine_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text("jobs = 2\n")
    for options, expected in (
        ({"name": "spark"}, "engine: expected one of 'dask', 'local', got 'spark'"),
        ({"scheduler": "tcp://10.0.0.1:8786"}, "expected dask with a scheduler"),
        ({"name": "dask", "scheduler": "tcp://h:1", "cluster": "slurm:x"}, "got both"),
        ({"name": "dask", "cluster": "pbs:x.toml"}, "expected slurm:FILE.toml"),
        ({"name": "dask", "cluster": f"slurm:{tmp_path / 'jobs.toml'}"}, r"expected jobs = N and a table \[slurm\]"),
        ({"name": "dask", "workers": 0}, "at least 1"),
    ):
        with pytest.raises(ValueError, match=expected):
            open_engine(**options)  # type: ignore[arg-type]  # wrong on purpose


def test_the_child_of_a_dask_worker_takes_the_next_item_too() -> None:
    pids = [dask_engine._in_child(stub_native.process_id, Limits(), item)[0] for item in range(2)]
    dask_engine._child.pool_of_child[1].__exit__()
    del dask_engine._child.pool_of_child
    assert pids[0] == pids[1] != os.getpid()


def _ports(process: psutil.Process) -> set[int]:
    """The ports at which a process and its children listen."""
    family = [process, *process.children(recursive=True)]
    return {c.laddr.port for each in family for c in each.net_connections("tcp") if c.status == psutil.CONN_LISTEN}


async def _answers(address: str, security: Any) -> bool:
    """Whether a process of Dask tells a stranger who it is, as each does before it runs the stranger's code."""
    from distributed.core import rpc

    async with rpc(address, timeout=3, connection_args=security.get_connection_args("client")) as peer:
        try:
            return bool(await asyncio.wait_for(peer.identity(), timeout=3))
        except OSError:
            return False


def test_a_stranger_gets_no_answer_from_any_process_of_a_cluster() -> None:
    from distributed import Security

    before = _ports(psutil.Process())
    with open_engine("dask", workers=1):
        ports = _ports(psutil.Process()) - before
        for scheme, security in (
            ("tcp", Security()),
            ("tls", Security.temporary()),
        ):  # without, and with another certificate
            assert not [p for p in ports if asyncio.run(_answers(f"{scheme}://127.0.0.1:{p}", security))], scheme
        for port in ports:
            for page in ("status", "health", "info/main/workers.html", "api/v1"):
                with pytest.raises(OSError, match=r"404|Remote end closed|timed out|reset|refused"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=2)
    assert len(ports) >= 3  # a scheduler, a nanny, a worker


def test_a_cluster_answers_strangers_if_protection_is_off_by_name() -> None:
    from distributed import Security

    before = _ports(psutil.Process())
    with open_engine("dask", workers=1, protection="none"):
        ports = _ports(psutil.Process()) - before
        assert any(asyncio.run(_answers(f"tcp://127.0.0.1:{port}", Security())) for port in ports)
    with pytest.raises(ValueError, match="protection: expected one of"):
        open_engine("dask", protection="off")  # type: ignore[arg-type]  # wrong on purpose
