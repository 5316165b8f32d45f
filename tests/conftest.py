"""Set for every test before torch is imported."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Small networks on two cores train twice as fast on one thread, and twenty times where other work shares the cores:
# OpenMP's threads wait for each other in busy loops. The tests run beside each other instead (make test).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore Ctrl-C, and so would the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give each test, and the fixtures made for it, the same random weights in whatever order the tests run."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def threads_of_torch_stay_as_they_are() -> Iterator[None]:
    """Fail a test that leaves torch with other threads: all later tests of the process would be slower."""
    yield
    torch = sys.modules.get("torch")
    assert torch is None or torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


@pytest.fixture(scope="session")
def c_library() -> Path:
    """The folder of the static and the shared C library, which cargo builds where the sources have changed."""
    missing = [tool for tool in ("cargo", "cc") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the C library is built with cargo and cc: {', '.join(missing)} missing")
    root = Path(__file__).parents[1]
    # As the tests of the native core, so that what it depends on is built once.
    build = ("--locked", "--profile", "dev", "--no-default-features", "--features", "capi", "--lib")
    command = ["cargo", "rustc", "--quiet", *build, "--crate-type", "staticlib,cdylib"]
    subprocess.run(command, cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "debug"
