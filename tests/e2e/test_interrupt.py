"""Ctrl-C during a long native call ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

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


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_long_call(call: str) -> None:
    code = (
        "import numpy as np, imuspec, sys; x = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32);"
        f"imuspec.rgb_image(x); print('begins', flush=True); {CALLS[call]}"
    )
    environment = {**os.environ, "IMUSPEC_THREADS": "1"}
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
