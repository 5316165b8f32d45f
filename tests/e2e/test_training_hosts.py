"""Training by torchrun on one host and on two, from one cohort; a process that dies costs the steps since the checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import stub_native
from gate import PATIENCE_S
from hosts import address, hosts, on
from run_stub_cohort import RECIPE
from stub_files import TESTS, environment, write_stub

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("lightning_fabric", reason="lightning-fabric is not installed")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = write_stub(tmp_path_factory.mktemp("stubs") / "in", n=6)
    stub_native.prepare_stub_cohort([source], source.parent / "cohort", recipe=RECIPE, workers=1)
    return source.parent / "cohort"


def _torchrun(
    *task: object, launch: tuple[str, ...], inside: tuple[str, ...] = (), device: str = "lo"
) -> subprocess.Popen[str]:
    script = (str(TESTS / "train_on_cohort.py"), *map(str, task))
    more = {"GLOO_SOCKET_IFNAME": device, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    # Else a second meeting uses the first one's store, and a rank may wait for an address that nobody has any more.
    more["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    return subprocess.Popen(
        [*inside, sys.executable, "-m", "torch.distributed.run", *launch, *script],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _ended(*agents: subprocess.Popen[str]) -> None:
    try:
        for agent in agents:
            message, _ = agent.communicate(timeout=PATIENCE_S)
            assert agent.returncode == 0, message[-4000:]
    finally:
        for agent in agents:
            agent.terminate()  # torchrun ends its processes before itself
        for agent in agents:
            try:
                agent.wait(30)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()
            assert agent.stdout is not None
            agent.stdout.close()


def _result(run: Path) -> tuple[dict[str, object], list[tuple[int, float]]]:
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return state["objective"], [(line["step"], line["loss"]) for line in lines]


def _on_two_hosts(cohort: Path, run: Path) -> None:
    """Train on two hosts; rank 1 kills itself before its eleventh step, once."""
    with hosts(2) as (hub, other):
        both = ("--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "2", "--rdzv-backend", "c10d")
        both += ("--rdzv-endpoint", f"{address(0)}:29500", "--rdzv-id", "imuspec")
        agents = []
        for number, (host, device) in enumerate(((hub, "hub"), (other, "out"))):
            launch = (*both, "--local-addr", address(number), "--rdzv-conf", f"is_host={int(number == 0)}")
            task = (cohort, run, 10)
            agents.append(_torchrun(*task, launch=launch, inside=on(host), device=device))
        _ended(*agents)


def test_two_hosts_that_lost_a_process_learn_what_one_host_does(cohort: Path, tmp_path: Path) -> None:
    one = ("--standalone", "--nproc-per-node", "2")
    _ended(_torchrun(cohort, tmp_path / "one", launch=one))
    expected, losses = _result(tmp_path / "one")
    assert [step for step, _ in losses] == list(range(2, 25, 2))
    assert losses[-1][1] < losses[0][1] + 0.1

    _on_two_hosts(cohort, tmp_path / "two")
    assert (cohort.parent / "died").exists(), "nobody was killed: the test has not tested anything"
    result, again = _result(tmp_path / "two")
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(result[name], value), name
    assert again == losses
