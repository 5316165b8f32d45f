"""Pictures a second of the parts of pre-training: decoding and views must keep up with the encoder.

Counted by the time that the process computed on one core, not by the clock, so that a busy machine disturbs it less; on a
quiet one both are the same. Prints one JSON object a row, the median of the rounds.

    python benches/pretraining_rates.py --data PICTURES [--size 96 128] [--batch 64] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from imuspec import encoders, objectives, views
from imuspec.pretraining.pictures import decode, find_pictures


def rate(work: Callable[[], object], n: int, rounds: int) -> float:
    work()
    took = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        took.append(time.process_time() - before)
    return n / statistics.median(took)


def training_step(objective: Any, optimizer: torch.optim.Optimizer, pair: tuple[torch.Tensor, ...]) -> None:
    """Forward, backward, step."""
    loss, _ = objective(*pair)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if hasattr(objective, "after_step"):
        objective.after_step()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    size, n = tuple(asked.size), asked.batch
    found = find_pictures(asked.data)
    items = found.items[:: max(len(found) // n, 1)][:n]

    def tell(what: str, value: float) -> None:
        print(json.dumps({"what": what, "pictures_per_s": round(value, 1), "size": size, "batch": n}), flush=True)

    tell("decode and stretch", rate(lambda: [decode(item, size) for item in items], n, asked.rounds))
    pictures = torch.stack([torch.from_numpy(decode(item, size)) for item in items])
    generator = torch.Generator().manual_seed(0)
    shown = {}
    for name in ("img2imu", "moco", "all"):
        settings = {"permute_min_columns": size[1] // 13} if name == "img2imu" else {}
        shown[name] = views.build(name, **settings)
        tell(f"two views: {name}", rate(partial(shown[name], pictures, generator), n, asked.rounds))
    encoder = encoders.build("resnet18").eval().to(memory_format=torch.channels_last)
    pair = tuple(v.contiguous(memory_format=torch.channels_last) for v in shown["img2imu"](pictures, generator))
    with torch.inference_mode():
        tell("embed: ResNet-18, no gradient", rate(lambda: encoder(pair[0]), n, asked.rounds))
    for name, settings in {"moco": {"queue": 16 * n}, "simsiam": {}}.items():
        objective = objectives.build(name, encoders.build("resnet18"), **settings).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], fused=True)
        tell(f"one training step: {name}", rate(partial(training_step, objective, optimizer, pair), n, asked.rounds))


if __name__ == "__main__":
    main()
