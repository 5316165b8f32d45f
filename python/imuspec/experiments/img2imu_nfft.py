"""IMG2IMU, Section VI-D: macro-F1 of each frame length with its best overlap, and of a choice without labels.

The encoders are those of ``--runs IMG2IMU=FOLDER``, given once for each seed of pre-training; a tiny trial without it takes a
random one. Rows, with each head: each nfft, its hop chosen on the validation part; "all settings", nfft chosen there too, as the
probe does by default; "least entropy", nfft by `imuspec.choose_nfft` from the windows alone, with the time of either choice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from imuspec.experiments.experiment import Result
from imuspec.experiments.setup import HeadsOptions, PictureOptions, Setup
from imuspec.spectral.frame_length import choose_nfft

DATA = ("wisdm",)
RUNS = {"IMG2IMU": "recipe img2imu"}


class NfftOptions(HeadsOptions, PictureOptions):
    """Numbers of this study."""

    TINY: ClassVar[Mapping[str, Any]] = {
        "nfft": (32, 64),
        "hop": (8, 16),
        "height": 48,
        "width": 64,
        "head_epochs": 5,
        "max_judged": 6,
    }


OPTIONS = NfftOptions


def run(setup: Setup[NfftOptions]) -> Result:
    """Probe each nfft by itself, then let validation or entropy choose among them."""
    import pandas as pd

    from imuspec.experiments.judging import judge_parameter_free, judge_row, score_table
    from imuspec.probing.sources import EncoderSource
    from imuspec.report.scores import row_figure
    from imuspec.run.named import load_encoder

    windows = setup.windows("wisdm")
    runs = setup.runs_of("IMG2IMU", "wisdm")
    if not runs and not setup.tiny:
        raise ValueError("runs: expected --runs IMG2IMU=FOLDER, got none")
    encoders = [load_encoder(run) for run in runs or ("random",)]
    notes = [] if runs else ["IMG2IMU: its place is taken by a ResNet-18 with random weights"]
    parts, seconds = [], {}
    for nfft in setup.options.nfft:
        if nfft > windows.n_samples:
            notes.append(f"nfft {nfft}: left out, as it is longer than the window's {windows.n_samples} samples")
            continue
        started = time.perf_counter()
        pictures = setup.options.pictures([nfft])
        sources = [(i, EncoderSource(each, pictures=pictures, device=setup.device)) for i, each in enumerate(encoders)]
        parts.append(judge_row(setup, f"nfft {nfft}", sources, windows))
        seconds[nfft] = time.perf_counter() - started
        setup.say(f"nfft {nfft}: macro-F1 {parts[-1]['macro_f1'].mean():.3f} in {seconds[nfft]:.0f} s")
    judged = pd.concat(parts, ignore_index=True)
    started = time.perf_counter()
    chosen = int(choose_nfft(windows.x, candidates=tuple(seconds)))
    entropy_s = time.perf_counter() - started
    ending = judged["head"].map({"linear": "", "logistic": ", logistic"})
    best = judged.loc[judged.groupby(["seed", "weights_seed", "head"])["validation_f1"].idxmax()]
    rows = [judged, best.assign(row="all settings" + ending[best.index])]
    least = judged[judged["nfft"] == chosen]
    rows.append(least.assign(row="least entropy" + ending[least.index]))
    spent = {f"nfft {nfft}": s for nfft, s in seconds.items()}
    spent |= {"all settings": sum(seconds.values()), "least entropy": entropy_s + seconds[chosen]}
    free = judge_parameter_free(setup, windows, pictures=setup.options.pictures())
    rows += [table.assign(row=row) for row, table in free]
    judged = pd.concat(rows, ignore_index=True).assign(column="macro_f1")
    table = score_table(judged)
    table["seconds"] = table["row"].map(spent)
    notes.append(f"least entropy: nfft {chosen}, chosen in {entropy_s:.1f} s")
    return Result(
        table,
        figures={"nfft": row_figure(table, title=f"{windows.name}, frame length")},
        notes=notes,
        tables={"seeds": judged},
    )
