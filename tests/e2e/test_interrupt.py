"""Ctrl-C during a long native call ends it."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A timeout of the child in seconds, and calls that take more than twice as long on one thread.
TIMEOUT = 30
CALLS = {
    "rgb_image": "imuspec.rgb_image(np.broadcast_to(x, (2_000_000, 3, 500)), size=(8, 8))",
    # Frames of a prime length: few bytes of output for the time they take.
    "spectrogram": "imuspec.spectrogram(np.broadcast_to(np.tile(x, 20), (5_000, 3, 10_000)), nperseg=4093, noverlap=4000)",
    "log_mean_magnitude": "imuspec.log_mean_magnitude(np.broadcast_to(x, (1_000_000, 3, 500)), nfft=128, hop=1)",
    "lowpass": "imuspec.lowpass(np.broadcast_to(np.tile(x, 400), (700, 3, 200_000)), sample_rate=100, cutoff=15)",
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")


def interrupted(code: str, threads: int) -> None:
    """Send Ctrl-C to a process in the middle of a call, and hold it to end by it."""
    environment = {**os.environ, "IMUSPEC_THREADS": str(threads)}
    code = f"import numpy as np, imuspec; x = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32); {code}"
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "begins\n"
            time.sleep(0.2)
            assert child.poll() is None, "the call was too short to be interrupted"
            child.send_signal(signal.SIGINT)
            _, error = child.communicate(timeout=TIMEOUT)
        finally:
            child.kill()
    assert child.returncode != 0
    assert error.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_long_call(call: str) -> None:
    interrupted(f"imuspec.rgb_image(x); print('begins', flush=True); {CALLS[call]}", 1)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("call", ["read", "prepare"])
def test_ctrl_c_ends_the_reading_of_a_long_recording_on_any_number_of_threads(
    call: str, threads: int, tmp_path: Path
) -> None:
    rows = "".join(f"2020-03-05 00:00:{i // 100:02}.{i % 100:02},0,0,{1 + i % 7 / 50}\n" for i in range(6000))
    long = gzip.compress(b"\n" * (1 << 25), 6) * 1800  # 60 GB of empty lines
    (tmp_path / "long.csv.gz").write_bytes(gzip.compress(b"time,x,y,z\n" + rows.encode()) + long)
    interrupted(f"print('begins', flush=True); imuspec.{call}({str(tmp_path / 'long.csv.gz')!r})", threads)
