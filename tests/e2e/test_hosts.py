"""Scheduler and workers on hosts of their own addresses, one of which is cut off for a while."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import stub_native
from dask_processes import dask, ended
from gate import PATIENCE_S
from hosts import address, hosts, on, plug
from imuspec import Cohort
from run_stub_cohort import RECIPE
from stub_files import start, tree, wait_for, write_stub

pytest.importorskip("distributed", reason="dask is not installed")


def test_a_host_that_is_cut_off_for_a_while_costs_no_recording(tmp_path: Path) -> None:
    source = write_stub(tmp_path / "in", n=30)
    stub_native.prepare_stub_cohort([source], tmp_path / "whole", recipe=RECIPE, workers=1)
    scheduler, log = f"tcp://{address(0)}:8786", tmp_path / "log"
    with hosts(3) as (hub, one, other):
        options = ("--nthreads", "1", "--no-dashboard", "--death-timeout", "120")
        processes = [
            dask("scheduler", "--host", address(0), "--port", "8786", "--no-dashboard", log=log, inside=on(hub)),
            dask("worker", scheduler, *options, "--host", address(1), log=log, inside=on(one)),
            dask("worker", scheduler, *options, "--host", address(2), log=log, inside=on(other)),
        ]
        with ended(processes):
            run = start(source, tmp_path / "out", inside=on(hub), engine="dask", scheduler=scheduler)
            try:
                wait_for(run, 4)
                plug(hub, 1, "down")
                cut = time.monotonic()
                wait_for(run, 16)  # the other host alone, long after
                time.sleep(max(0.0, 15.0 - (time.monotonic() - cut)))
                plug(hub, 1, "up")
                message, trouble = run.communicate(timeout=PATIENCE_S)
            finally:
                run.kill()
    assert message.endswith("done\n"), trouble + log.read_text()[-3000:]
    assert log.read_text().count(address(1)) > 0
    assert Cohort(tmp_path / "out").verify() == []
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
