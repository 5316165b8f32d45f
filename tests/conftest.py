"""Set for every test before torch is imported."""

from __future__ import annotations

import os
import signal

# Small networks on two cores train twice as fast on one thread, and twenty times where other work shares the cores:
# OpenMP's threads wait for each other in busy loops. The tests run beside each other instead (make test).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore Ctrl-C, and so would the programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
