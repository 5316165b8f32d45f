"""Pre-training and pictures on a GPU, with peers beside them: writes benches/RESULTS-gpu.md in less than five minutes.

    python benches/gpu.py [--cohort COHORT] [--rows compile step views autoencoder picture feeding]
    python benches/gpu.py --cpu --tiny --out /tmp/gpu.md      # every row in seconds, to see that it runs

A row is the median of several rounds after a warm-up, timed by events of the device. Peers run in the same process.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision.transforms import v2

import imuspec
from imuspec import encoders, objectives, views
from imuspec.nn import RGBImage
from imuspec.objectives.masked import MaskedSignalAutoencoder
from imuspec.pretraining.rates import peak_flop
from imuspec.pretraining.step import Figures, GraphedStep

RESNET18_STEP = 3.6e9  # FLOP of a picture of 96 x 128 in a step of MoCo: forward twice, backward once
AUTOENCODER_STEP = 6 * 9_908_868 * 300 + 12 * 12 * 300 * 300 * 256  # FLOP of a window of 50 minutes


@dataclass(frozen=True)
class Scale:
    """Sizes of the work: those of the papers, or small ones."""

    device: torch.device
    batch: int
    picture: tuple[int, int]
    group: int
    windows: int
    patches: int
    depth: int
    signals: int
    rounds: int
    backend: str

    @classmethod
    def of(cls, device: torch.device, *, tiny: bool) -> Scale:
        if tiny:
            return cls(device, 8, (16, 48), 4, 2, 3, 1, 4, 1, "eager")
        return cls(device, 256, (96, 128), 32, 256, 300, 12, 4096, 20, "inductor")


@dataclass(frozen=True)
class Row:
    """A line of the table: what, items a second, milliseconds of a call, memory, share of the card's peak."""

    what: str
    per_s: float
    ms: float
    gigabytes: float
    peak: float | None = None
    note: str = ""


def measured(what: str, work: Callable[[], object], n: int, scale: Scale, *, flop: float = 0.0, note: str = "") -> Row:
    """Return the row of `work`, which processes `n` items; `flop` is the arithmetic of an item."""
    cuda = scale.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(3 if scale.rounds > 1 else 1):
        work()
    took = []
    for _ in range(scale.rounds):
        if cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            took.append(begin.elapsed_time(end) / 1e3)
        else:
            start = time.perf_counter()
            work()
            took.append(time.perf_counter() - start)
    seconds = statistics.median(took)
    gigabytes = torch.cuda.max_memory_allocated() / 1e9 if cuda else 0.0
    card = torch.cuda.get_device_name() if cuda else ""
    fastest = peak_flop(card)
    peak = flop * n / seconds / fastest if fastest and flop else None
    return Row(what, n / seconds, 1e3 * seconds, gigabytes, peak, note)


def training(objective: Any, inputs: Callable[[], tuple[Tensor, ...]], *, bf16: bool) -> Callable[[], Figures]:
    """Return a training step: inputs, forward, backward, norm of the gradient, optimiser, `after_step`."""
    parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    device = parameters[0].device
    graphs = device.type == "cuda"
    lr = torch.tensor(1e-4, device=device) if graphs else 1e-4
    optimizer = torch.optim.Adam(parameters, lr, fused=True, capturable=graphs)

    def step() -> Figures:
        batch = inputs()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss, metrics = objective(*batch)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, float("inf"), foreach=True)
        optimizer.step()
        objective.after_step()
        return loss.detach(), norm.detach(), metrics

    return step


def graph_row(
    what: str, step: Callable[[], Figures], generator: torch.Generator, scale: Scale, n: int, flop: float
) -> Row:
    """The row of a step as one CUDA graph."""
    if scale.device.type != "cuda":
        return Row(what, float("nan"), float("nan"), float("nan"), note="needs a GPU")
    graphed, nothing = GraphedStep(lambda _: step(), generator), torch.zeros(1, device=scale.device)
    for _ in range(4):
        graphed(nothing)
    return measured(what, lambda: graphed(nothing), n, scale, flop=flop)


def moco(scale: Scale) -> Any:
    objective = objectives.build("moco", encoders.build("resnet18"), queue=16 * scale.batch, norm_group=scale.group)
    return objective.to(scale.device, memory_format=torch.channels_last)


def photographs(scale: Scale) -> Tensor:
    return torch.randint(0, 256, (scale.batch, 3, *scale.picture), dtype=torch.uint8, device=scale.device)


def view_generator(name: str, scale: Scale) -> Callable[..., tuple[Tensor, ...]]:
    return views.build(name, **({"permute_min_columns": scale.picture[1] // 13} if name == "img2imu" else {}))


def step_rows(scale: Scale) -> Iterator[Row]:
    """A step end to end, views included."""
    generator = torch.Generator(scale.device).manual_seed(0)
    batch = photographs(scale)
    for name in ("img2imu", "moco"):
        generate = view_generator(name, scale)

        def inputs(generate: Any = generate) -> tuple[Tensor, ...]:
            return tuple(view.contiguous(memory_format=torch.channels_last) for view in generate(batch, generator))

        for bf16 in (False, True):
            work = training(moco(scale), inputs, bf16=bf16)
            what = f"MoCo step, ResNet-18, views {name}, {'bf16' if bf16 else 'float32'}"
            yield measured(what, work, scale.batch, scale, flop=RESNET18_STEP)
        compiled = moco(scale)
        compiled.compile(fullgraph=True, backend=scale.backend)
        work = training(compiled, inputs, bf16=True)
        what = f"MoCo step, ResNet-18, views {name}, bf16, compiled"
        yield measured(what, work, scale.batch, scale, flop=RESNET18_STEP)
        yield graph_row(f"{what}, as a graph", work, generator, scale, scale.batch, RESNET18_STEP)
    if importlib.util.find_spec("lightly") is None:
        yield Row("MoCo step, lightly", float("nan"), float("nan"), float("nan"), note="lightly is not installed")
    else:
        yield measured("MoCo step, lightly, no views", lightly_step(scale, batch), scale.batch, scale)


def lightly_step(scale: Scale, batch: Tensor) -> Callable[[], None]:
    """Return a MoCo step of lightly's parts: projection head, momentum update, NT-Xent loss with a memory bank."""
    import copy

    from lightly.loss import NTXentLoss
    from lightly.models.modules import MoCoProjectionHead
    from lightly.models.utils import update_momentum

    trunk = torchvision.models.resnet18()
    trunk.fc = torch.nn.Identity()
    query = torch.nn.Sequential(trunk, MoCoProjectionHead(512, 512, 64))
    query = query.to(scale.device, memory_format=torch.channels_last)
    key = copy.deepcopy(query).requires_grad_(False)
    loss = NTXentLoss(memory_bank_size=(16 * scale.batch, 64)).to(scale.device)
    optimizer = torch.optim.Adam(query.parameters(), 1e-4, fused=True)
    pair = (batch / 255).contiguous(memory_format=torch.channels_last)

    def step() -> None:
        update_momentum(query, key, 0.999)
        value = loss(query(pair), key(pair))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def view_rows(scale: Scale) -> Iterator[Row]:
    """Two views of a batch, and torchvision's of MoCo, which draw once for each call and so take one picture at a time."""
    generator = torch.Generator(scale.device).manual_seed(0)
    batch = photographs(scale)
    for name in ("img2imu", "moco", "all"):
        generate = view_generator(name, scale)
        yield measured(f"two views: {name}", lambda g=generate: g(batch, generator), scale.batch, scale)
    chain = v2.Compose(
        [
            v2.RandomResizedCrop(scale.picture, scale=(0.2, 1)),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(13, (0.1, 2.0))], 0.5),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    few = batch[: min(len(batch), 32)]
    yield measured(
        "two views: moco, torchvision", lambda: [chain(p) for p in few for _ in range(2)], len(few), scale, note="peer"
    )


def autoencoder_rows(scale: Scale) -> Iterator[Row]:
    """A step of the masked auto-encoder."""
    x = 0.3 * torch.randn(scale.windows, 3, 300 * scale.patches, device=scale.device)
    hidden = torch.rand(scale.windows, scale.patches, device=scale.device).argsort(1) < int(0.6 * scale.patches)
    losses: dict[str, dict[str, Any]] = {
        "MSE": {"lmm": 0.0, "mse": 1.0},
        "LMM 32": {"nfft": 32},
        "LMM 16-128": {"nfft": (16, 32, 64, 128)},
    }
    for name, settings in losses.items():
        for compiled in (False, True):
            network = encoders.build("roformer", depth=scale.depth)
            objective = MaskedSignalAutoencoder(network, share=0.6, **settings).to(scale.device)
            if compiled:
                objective.compile(fullgraph=True, backend=scale.backend)
            work = training(objective, lambda: (x, hidden), bf16=True)
            what = f"masked auto-encoder, bf16, {name}{', compiled' * compiled}"
            yield measured(what, work, scale.windows, scale, flop=AUTOENCODER_STEP)
        generator = torch.Generator(scale.device)
        yield graph_row(f"{what}, as a graph", work, generator, scale, scale.windows, AUTOENCODER_STEP)


def picture_rows(scale: Scale) -> Iterator[Row]:
    """Pictures of windows, and their spectrograms alone by torch.stft."""
    x = torch.randn(scale.signals, 3, 500, device=scale.device)
    module, n = RGBImage(nfft=128, noverlap=116, fused=False).to(scale.device), scale.signals
    kernel = RGBImage(nfft=128, noverlap=116).to(scale.device)
    kernel_octets = RGBImage(nfft=128, noverlap=116, dtype="uint8").to(scale.device)
    stored = (2000 * x).clamp(-32767, 32767).to(torch.int16)
    drawn = "one kernel" if kernel._draws_fused(x, None) else "operators, as there is no GPU with Triton"
    compiled = torch.compile(module, fullgraph=True, backend=scale.backend)
    octets = torch.compile(
        RGBImage(nfft=128, noverlap=116, dtype="uint8").to(scale.device), fullgraph=True, backend=scale.backend
    )
    taps = torch.hann_window(128, periodic=False, device=scale.device)

    def by_hand() -> Tensor:
        power = torch.stft(x.flatten(0, 1), 128, 12, window=taps, center=False, return_complex=True).abs().square()
        db = 10 * torch.log10(power.clamp_min(1e-12))
        low, high = db.amin((1, 2), keepdim=True), db.amax((1, 2), keepdim=True)
        levels = (255 * (db - low) / (high - low)).unflatten(0, (-1, 3))
        return torch.nn.functional.interpolate(levels, (96, 128), mode="bilinear", antialias=True)

    yield measured("RGBImage 128/116, float32", lambda: module(x), n, scale)
    yield measured("RGBImage 128/116, float32, compiled", lambda: compiled(x), n, scale)
    yield measured("RGBImage 128/116, uint8, compiled", lambda: octets(x), n, scale)
    yield measured("RGBImage 128/116, float32, fused", lambda: kernel(x), n, scale, note=drawn)
    yield measured("RGBImage 128/116, uint8, fused", lambda: kernel_octets(x), n, scale, note=drawn)
    yield measured(
        "RGBImage 128/116, int16 to uint8, fused", lambda: kernel_octets(stored, scale=1 / 2000), n, scale, note=drawn
    )
    yield measured("torch.stft by hand", by_hand, n, scale, note="peer")


def compile_rows(scale: Scale) -> Iterator[Row]:
    """Time of the first compiled step of MoCo as one graph, and the step after."""
    generator = torch.Generator(scale.device).manual_seed(0)
    pair = tuple(
        view.contiguous(memory_format=torch.channels_last)
        for view in view_generator("img2imu", scale)(photographs(scale), generator)
    )
    objective = moco(scale)
    objective.compile(fullgraph=True, backend=scale.backend)
    work = training(objective, lambda: pair, bf16=True)
    start = time.perf_counter()
    work()
    if scale.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    yield Row("torch.compile of MoCo's step: the first step", scale.batch / seconds, 1e3 * seconds, 0.0)
    yield measured("MoCo step, bf16, compiled, no views", work, scale.batch, scale, flop=RESNET18_STEP)


def feeding_rows(scale: Scale, cohort: Path | None) -> Iterator[Row]:
    """Windows of days of wear as they reach the device, by worker processes, from a cold and a warm page cache."""
    if cohort is None:
        yield Row("feeding the auto-encoder", float("nan"), float("nan"), float("nan"), note="needs --cohort")
        return
    from imuspec.datasets import WearDays
    from imuspec.pretraining.prefetch import on_device

    for workers in (0,) if scale.rounds == 1 else (0, 1, 4, 6):
        for cache in ("cold", "warm"):
            if cache == "cold":
                forget(cohort)
            source = WearDays(imuspec.Cohort(cohort), recordings=1, workers=workers)
            n, start = 0, time.perf_counter()
            for epoch in range(1 if scale.rounds == 1 else 4):
                for batch in on_device(source.epoch(epoch), scale.device):
                    n += len(source.windows(batch)[0])
            seconds = time.perf_counter() - start
            what = f"feeding the auto-encoder, {workers} workers, {cache} page cache"
            yield Row(what, n / seconds, 1e3 * seconds, 0.0, note="windows")


def forget(folder: Path) -> None:
    """Drop the files of a folder from the page cache, where the system can."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def table(rows: list[Row], device: torch.device) -> str:
    """Return the report: machine and versions, then a line for each row."""
    card = (
        torch.cuda.get_device_name() if device.type == "cuda" else "no GPU: these figures show only that the rows run"
    )
    lines = [
        "# Pre-training and pictures on a GPU",
        "",
        f"Made by `python benches/gpu.py` on {card}; torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"Python {platform.python_version()}, imuspec {imuspec.__version__}.",
        "",
        "| work | items a second | ms | GB | share of the bf16 peak | note |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        peak = "" if row.peak is None else f"{100 * row.peak:.1f} %"
        lines.append(f"| {row.what} | {row.per_s:,.0f} | {row.ms:.2f} | {row.gigabytes:.1f} | {peak} | {row.note} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    names = ("compile", "step", "views", "autoencoder", "picture", "feeding")  # compiled first, without a cache
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--cohort", type=Path)
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS-gpu.md"))
    options = parser.parse_args(arguments)
    device = torch.device("cpu" if options.cpu else "cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("device: expected a GPU, got none; --cpu --tiny shows that the rows run")
    torch.manual_seed(0)
    scale = Scale.of(device, tiny=options.tiny)
    work: dict[str, Callable[[], Iterator[Row]]] = {
        "step": lambda: step_rows(scale),
        "views": lambda: view_rows(scale),
        "autoencoder": lambda: autoencoder_rows(scale),
        "picture": lambda: picture_rows(scale),
        "compile": lambda: compile_rows(scale),
        "feeding": lambda: feeding_rows(scale, options.cohort),
    }
    rows: list[Row] = []
    for name in options.rows:
        for row in work[name]():
            rows.append(row)
            print(f"{row.what}: {row.per_s:,.0f}/s, {row.ms:.2f} ms {row.note}", flush=True)
            options.out.write_text(table(rows, device), "utf-8")


if __name__ == "__main__":
    main()
