"""Files appear whole or not at all, and the first signal asks a run to stop."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from imuspec import simulation
from imuspec.interrupts import Interrupted, stop_on_signal
from imuspec.run.run import Run
from imuspec.storage import atomic_path, remove_partial, write_atomically


@pytest.mark.skipif(os.name == "nt", reason="no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_written_file_has_the_mode_that_the_umask_gives(tmp_path: Path, umask: int, mode: int) -> None:
    import torch

    from imuspec import encoders

    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a.txt", b"a")
        run = Run(tmp_path / "run")
        run.write_text("recipe.json", "{}")
        run.save_checkpoint({"step": torch.tensor(1)})
        run.save_encoder(encoders.build("tpn"))
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"a.txt", "recipe.json", "last.pt", "encoder.safetensors", "encoder.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {mode}


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_path(path) as waiting:  # noqa: PT012 - the body is what is interrupted
        waiting.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert [left.name for left in tmp_path.iterdir()] == ["table.csv"]


def test_a_long_name_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".csv")
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"


def test_an_error_names_the_path_that_was_given(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        write_atomically(tmp_path / "missing" / "a.json", b"x")
    assert raised.value.filename == str(tmp_path / "missing" / "a.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as raised:  # noqa: PT011 - which one depends on the system
        write_atomically(tmp_path / "folder", b"x")
    assert raised.value.filename == str(tmp_path / "folder")
    assert "part" not in str(raised.value)
    with pytest.raises(OSError) as raised, atomic_path(tmp_path / "full.npz"):  # noqa: PT011
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(tmp_path / "full.npz")


@pytest.mark.skipif(os.name == "nt", reason="no such device")
def test_a_device_is_written_to_and_not_replaced() -> None:
    write_atomically("/dev/null", b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"whole")
    (tmp_path / ".0123456789ab.part.pt").write_bytes(b"half")
    (tmp_path / ".hidden").write_bytes(b"mine")
    remove_partial(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "last.pt"]


def test_an_interrupted_simulation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    x, time = np.zeros((3, 9000), np.float32), np.arange(9000) * 10**9
    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulation.write_nhanes(tmp_path / "62161", x, time)
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulation.write_csv(tmp_path / "a.csv", x[:, :10], time[:10])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_asks_and_the_second_ends(signum: signal.Signals, code: int) -> None:
    before = signal.getsignal(signum)
    announced: list[bool] = []
    announce = lambda: announced.append(True)  # noqa: E731
    with pytest.raises(Interrupted) as raised, stop_on_signal(announce) as stop:  # noqa: PT012 - two signals
        os.kill(os.getpid(), signum)
        assert stop.is_set()
        assert stop.signum == signum
        os.kill(os.getpid(), signum)
    assert announced == [True]
    assert raised.value.exit_code == code
    assert signal.getsignal(signum) == before
