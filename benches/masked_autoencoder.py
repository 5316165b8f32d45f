"""What a step of the LMM masked auto-encoder costs: reading, network, loss; one thread. COHORT [N_WINDOWS]

python benches/masked_autoencoder.py cohort 8
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch

from imuspec import Cohort, encoders
from imuspec.datasets import WearDays
from imuspec.objectives.masked import MaskedSignalAutoencoder


def median_s(work: Callable[[], object], rounds: int) -> float:
    """Seconds of computing, whatever else the machine does, after one round to warm up."""
    took = []
    for _ in range(rounds + 1):
        begin = time.process_time()
        work()
        took.append(time.process_time() - begin)
    return statistics.median(took[1:])


def main() -> None:
    torch.set_num_threads(1)
    cohort, n = Cohort(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8
    source = WearDays(cohort, recordings=1)
    batches = source.epoch(0)
    windows: list[int] = []
    reading = median_s(lambda: windows.append(len(next(batches)[1])), min(8, source.steps_per_epoch - 1))
    per_recording = statistics.median(windows)
    rate = per_recording / reading
    print(
        f"reading: {rate:.0f} windows of 50 min a second of one core ({reading * 1e3:.0f} ms for {per_recording:.0f})"
    )

    model = MaskedSignalAutoencoder(encoders.build("roformer"))
    x, hidden = source.windows(next(iter(source.epoch(1))))[:2]
    x, hidden = x[:n], hidden[:n]

    def step() -> None:
        model.zero_grad()
        torch.autograd.backward(model(x, hidden)[0])

    whole = median_s(step, 3)
    made = model.reconstruct(x, hidden).detach().requires_grad_()
    target = x.reshape(len(x), 3, -1, 300).transpose(1, 2)

    def loss() -> None:
        torch.autograd.backward(model.loss(made, target, hidden))

    part = median_s(loss, 5)
    flops = 6 * 9_908_868 * 300 + 12 * 12 * 300 * 300 * 256
    print(
        f"step of {len(x)} windows: {whole:.2f} s, {flops * len(x) / whole / 1e9:.0f} GFLOP/s; loss {part / whole:.1%} of it"
    )
    print(f"step of 256 windows: {flops * 256 / 1e12:.2f} TFLOP; on this thread {whole * 256 / len(x):.0f} s")


if __name__ == "__main__":
    main()
