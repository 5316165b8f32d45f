"""Several triads of axes together: an encoder for each, a shared projection, one drawn operation for all of a view.

Each sensor alone, both joined with random weights, and joined after SimCLR on the fused vector, whose rotation is the same for
all triads of a view. On Daphnet the triads are accelerometers at the ankle and the trunk; an accelerometer and a gyroscope are
two triads in the same way. Pre-training sees a share of the subjects (the option ``subjects``), all rows are judged on the
others. The paper gives no numbers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from imuspec import encoders, objectives
from imuspec.datasets import Windows
from imuspec.experiments.experiment import Result
from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table, seeded_network
from imuspec.experiments.made_up import made_up_windows
from imuspec.experiments.setup import DrawOptions, HeadsOptions, Setup, Words
from imuspec.pretraining.loop import train
from imuspec.pretraining.window_source import WindowSource, pretraining_subjects
from imuspec.recipe import TrainingSettings
from imuspec.run.run import Run
from imuspec.views.pretext import SignalPair
from imuspec.views.triads import Triads

DATA = ("daphnet",)
OTHER_DATA = True


class FusionOptions(HeadsOptions, DrawOptions):
    """Numbers of this study."""

    sensors: Words = Field(("ankle", "trunk"), description="sensors that are joined")
    pretrain_seeds: PositiveInt = Field(1, description="seeds of pre-training")
    subjects: float = Field(0.5, gt=0, lt=1, description="share of the subjects that pre-training sees")
    window_s: PositiveFloat = Field(5.0, description="length of a window, s")
    epochs: PositiveInt = Field(30, description="of pre-training; so are the next two")
    batch: PositiveInt = 128
    base_lr: PositiveFloat = 1e-3

    TINY: ClassVar[Mapping[str, Any]] = {"epochs": 1, "batch": 32, "head_epochs": 3, "max_judged": 4, "random_draws": 2}


OPTIONS = FusionOptions


class _Packed:
    """Features of windows whose triads lie one after the other in time ``[n, 3, triads time]``."""

    layers = ("last",)

    def __init__(self, encoder: nn.Module, n_triads: int, device: str) -> None:
        self._encoder, self._n_triads, self._device = encoder.to(device).eval(), n_triads, device

    def choices(self, n_samples: int) -> list[dict[str, Any]]:  # noqa: ARG002  (no setting, whatever the length)
        return [{}]

    def features(self, x: NDArray[np.float32], choice: dict[str, Any]) -> dict[str, NDArray[np.float32]]:  # noqa: ARG002  (no choice)
        triads = unpacked(x, self._n_triads)
        with torch.inference_mode():
            batches = (torch.from_numpy(triads[i : i + 64]).to(self._device) for i in range(0, len(x), 64))
            parts = [self._encoder(batch).cpu().numpy() for batch in batches]
        return {"last": np.concatenate(parts)}


def packed(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N, triad, 3, time] -> [N, 3, triad time], the form of `Windows`."""
    n, triads, axes, time = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(n, axes, triads * time)


def unpacked(x: NDArray[np.float32], n_triads: int) -> NDArray[np.float32]:
    """[N, 3, triad time] -> [N, triad, 3, time]."""
    n, axes, time = x.shape
    return np.ascontiguousarray(x.reshape(n, axes, n_triads, time // n_triads).transpose(0, 2, 1, 3))


def paired(windows: Windows, sensors: tuple[str, ...]) -> Windows:
    """Return windows of several sensors that were worn together; those of the same time are packed into one.

    Raises
    ------
    ValueError
        If the sensors have no window at the same time.
    """
    assert windows.sensor is not None
    indices = []
    for sensor in sensors:
        of_sensor = np.flatnonzero(windows.sensor == sensor)
        keys = zip(windows.recording[of_sensor], windows.start_s[of_sensor].round(3), strict=True)
        indices.append({key: int(index) for key, index in zip(keys, of_sensor, strict=True)})
    shared = [key for key in indices[0] if all(key in by_time for by_time in indices)]
    if not shared:
        raise ValueError(f"sensors: expected windows of {', '.join(sensors)} at the same times, got none")
    index = np.array([[by_time[key] for by_time in indices] for key in shared])
    return replace(windows.select(index[:, 0]), x=packed(windows.x[index]))


def run(setup: Setup[FusionOptions]) -> Result:
    """Judge each sensor alone and all joined: random weights, SimCLR, and features without parameters."""
    sensors = setup.options.sensors
    tables, notes = [], []
    for name in setup.columns(DATA):
        windows = _windows(setup, name, sensors)
        chosen = pretraining_subjects(windows.subject, setup.options.subjects, 0)
        seen = np.isin(windows.subject, chosen)
        learnt, judged_on = windows.select(np.flatnonzero(seen)), windows.select(np.flatnonzero(~seen))
        counts = zip(judged_on.class_names, np.bincount(judged_on.label), strict=True)
        notes.append(
            f"{name}: pre-trained on {len(learnt)} windows of {len(chosen)} subjects, judged on {len(judged_on)} of "
            f"{len(judged_on.subjects)} others: {', '.join(f'{n} {label}' for label, n in counts)}"
        )
        triads = unpacked(learnt.x, len(sensors))
        for number, sensor in enumerate(sensors):
            alone = replace(judged_on, x=unpacked(judged_on.x, len(sensors))[:, number])
            tables += _judged(setup, f"{sensor} alone", name, triads[:, number : number + 1], alone)
        tables += _judged(setup, "joined", name, triads, judged_on)
    judged = pd.concat(tables, ignore_index=True)
    return Result(score_table(judged), notes=notes, tables={"seeds": judged})


def _judged(
    setup: Setup[FusionOptions], title: str, name: str, triads: NDArray[np.float32], windows: Windows
) -> list[pd.DataFrame]:
    """Scores of each row on some triads."""
    n, row, device = triads.shape[1], f"{title}, SimCLR@{name}", setup.device
    drawn = ((seed, _Packed(_fusion(triads, seed), n, device)) for seed in range(setup.options.random_draws))
    seeds = range(setup.options.pretrain_seeds)
    trained = ((seed, _Packed(_learnt(setup, triads, f"{row}, seed {seed}", seed), n, device)) for seed in seeds)
    rows = [
        judge_row(setup, f"{title}, random", drawn, windows),
        judge_row(setup, f"{title}, SimCLR", trained, windows),
    ]
    rows += [table.assign(row=f"{title}, {row}") for row, table in judge_parameter_free(setup, windows, n_triads=n)]
    for table in rows:
        setup.say(f"{name}: {table['row'].iloc[0]}: macro-F1 {table['macro_f1'].mean():.3f}")
    return [table.assign(column=name) for table in rows]


def _windows(setup: Setup[FusionOptions], name: str, sensors: tuple[str, ...]) -> Windows:
    if name in setup.data:
        return paired(setup.windows(name, window_s=setup.options.window_s, sensors=sensors), sensors)
    parts = [made_up_windows(f"{name} {sensor}") for sensor in sensors]
    return replace(parts[0], x=packed(np.stack([part.x for part in parts], 1)))


def _fusion(triads: NDArray[np.float32], seed: int) -> encoders.Encoder:
    """Random weights; each triad is standardised by the mean and deviation of all, so that a rotation stays a rotation."""
    settings = {"encoder": "tpn", "mean": [0.0] * 3, "sd": [float(triads.std())] * 3}
    return seeded_network(
        lambda: encoders.build("fusion", encoder="standardised", n_triads=triads.shape[1], settings=settings), seed
    )


def _learnt(setup: Setup[FusionOptions], triads: NDArray[np.float32], row: str, seed: int) -> nn.Module:
    """Pre-train once for each windows and settings, in the folder of pre-trainings."""
    batch = min(setup.options.batch, len(triads))
    settings = TrainingSettings(
        epochs=setup.options.epochs, batch=batch, base_lr=setup.options.base_lr, seed=seed, device=setup.device
    )
    numbers = settings.model_dump(mode="json", exclude={"device"})
    digest = hashlib.sha256(json.dumps([numbers, triads.shape], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(triads).tobytes())
    folder = setup.runs_folder / f"fusion-simclr-{digest.hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        run, done = Run(folder), folder / "done"
        if not done.exists():
            setup.say(f"{row}: pre-training in {folder}")
            train(
                objectives.build("simclr", _fusion(triads, seed), widths=(256, 64)),
                WindowSource(triads, batch=batch, seed=seed, standardise=False),
                views=Triads(SignalPair()),
                settings=settings,
                run=run,
                resume=run.checkpoint_path.exists(),
            )
            done.touch()
    setup.pretrained[row] = str(folder)
    return run.load_encoder()
