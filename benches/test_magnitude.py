"""LMM features and loss next to torch and MKL: `python benches/test_magnitude.py [--threads N]`.

As a test (`pytest benches/test_magnitude.py`) it holds each job to half of the ratio it must reach: a busy machine must
not fail it, a lost factor of two must.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from imuspec import _core
from imuspec.bench.peers import FLOOR, magnitude_calls, same_features, windows
from imuspec.bench.timing import Timing, interleaved, table
from rows import clock

N, HOP, LENGTH = 32, 16, 300
torch = pytest.importorskip("torch")
HANN = torch.hann_window(N)


def stft_features(x: Any) -> Any:
    """As the paper writes it."""
    z = torch.stft(x.reshape(-1, LENGTH), N, HOP, window=HANN, pad_mode="constant", return_complex=True)
    return z.abs().mean(-1).clamp(min=FLOOR).log().reshape(*x.shape[:-1], N // 2 + 1)


class _ByHand(torch.autograd.Function):
    """The loss with its gradient written out: two half-window products, nothing recomputed."""

    @staticmethod
    def forward(ctx: Any, prediction: Any, target: Any, first: Any, second: Any) -> Any:
        bins = N // 2 + 1

        def spectrum(x: Any) -> tuple[Any, Any, Any]:
            blocks = torch.nn.functional.pad(x.reshape(-1, LENGTH), (HOP, 20 * HOP - LENGTH - HOP))
            blocks = blocks.unflatten(-1, (20, HOP))
            z = blocks[:, :-1] @ first + blocks[:, 1:] @ second
            magnitude = (z[..., :bins].square() + z[..., bins:].square()).sqrt()
            return z, magnitude, magnitude.mean(1)

        z, magnitude, mean = spectrum(prediction)
        _, _, wanted = spectrum(target)
        difference = mean.clamp(min=FLOOR).log() - wanted.clamp(min=FLOOR).log()
        n_patches = prediction.shape[0] * prediction.shape[1]
        slope = torch.where(mean > FLOOR, 2 / bins / n_patches * difference / mean, 0.0) / z.shape[1]
        ctx.save_for_backward(z, magnitude, slope, first, second)
        ctx.shape = prediction.shape
        return difference.square().mean(-1).sum() / n_patches

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        z, magnitude, slope, first, second = ctx.saved_tensors
        factor = grad * slope[:, None] / magnitude.clamp(min=1e-30)
        dz = z * torch.cat([factor, factor], -1)
        blocks = torch.zeros(len(z), 20, HOP)
        blocks[:, :-1] = dz @ first.T
        blocks[:, 1:] += dz @ second.T
        return blocks.flatten(1)[:, HOP : HOP + LENGTH].reshape(ctx.shape), None, None, None


def losses(n: int) -> dict[str, Callable[[], object]]:
    """Ours first: forward and backward to the prediction; the loss and the gradient are the result."""
    from imuspec.nn import LMMLoss
    from imuspec.nn.transform import dft_matrix, hann

    prediction = torch.from_numpy(windows(n, 300, 3, LENGTH, seed=5)).requires_grad_()
    target = torch.from_numpy(windows(n, 300, 3, LENGTH))
    matrix = torch.from_numpy(dft_matrix(hann(N)).astype(np.float32))
    first, second = matrix[:HOP].contiguous(), matrix[HOP:].contiguous()
    native = LMMLoss(nfft=N)

    def run(loss: Callable[[], Any]) -> Callable[[], object]:
        def call() -> object:
            prediction.grad = None
            value = loss()
            value.backward()
            return np.append(prediction.grad.numpy().ravel()[::7], value.item())

        return call

    def stft() -> Any:
        difference = stft_features(prediction) - stft_features(target)
        return difference.square().mean(-1).sum(-1).mean()

    return {
        "imuspec": run(lambda: native(prediction, target)),
        "torch, gradient by hand": run(lambda: _ByHand.apply(prediction, target, first, second)),
        "torch.stft": run(stft),
    }


def measure(job: str, n: int, *, threads: int, rounds: int) -> list[Timing]:
    """All contestants on n recordings of 300 patches; `job` is features or loss."""
    _core.set_threads(threads)
    torch.set_num_threads(threads)
    try:
        calls = magnitude_calls(windows(n, 300, 3, LENGTH), threads) if job == "features" else losses(n)
        return interleaved(calls, rounds=rounds, agree=same_features, clock=clock(threads))
    finally:
        _core.set_threads(0)


def test_features_are_no_less_than_half_as_fast_as_they_must_be() -> None:
    ratios = {t.name: t.least_ratio for t in measure("features", 16, threads=1, rounds=3)}
    assert ratios["mkl_fft in chunks"] >= 4, ratios
    assert ratios["torch.stft"] >= 10, ratios


def test_the_loss_is_no_less_than_half_as_fast_as_it_must_be() -> None:
    ratios = {t.name: t.least_ratio for t in measure("loss", 8, threads=1, rounds=3)}
    assert ratios["torch, gradient by hand"] >= 2, ratios
    assert ratios["torch.stft"] >= 5, ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for job, n in (("features", 256), ("loss", 8)):
        timings = measure(job, n, threads=options.threads, rounds=options.rounds if job == "loss" else 3)
        print(table(f"LMM {job}, [{n}, 300, 3, 300], {options.threads} threads", timings), flush=True)
