"""IMG2IMU, Section VI-D: macro-F1 of each frame length with its best overlap; beside it the choice without labels.

The encoder is that of ``--runs IMG2IMU=FOLDER``; a tiny trial without it takes a random one. Rows: each nfft, its hop
chosen on the validation part; "all settings", nfft chosen there too, as the probe does by default; "least entropy", nfft
by `imuspec.spectral.encodings.choose_nfft` from the windows alone, with the time that either choice takes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from imuspec.evaluation import mean_sd
from imuspec.experiments.frame import Result, Setup
from imuspec.spectral.encodings import choose_nfft

if TYPE_CHECKING:
    import pandas as pd

DATA = ("wisdm",)
RUNS = {"IMG2IMU": "recipe img2imu"}
OPTIONS: dict[str, Any] = {
    "nfft": "32,64,128,256",
    "hop": "2,4,8,16",
    "norm": "axis-window",
    "height": 0,  # of the pictures; 0: as the runs were pre-trained, 96 x 128 without runs
    "width": 0,
    "shots": 10,
    "head_epochs": 50,
    "max_judged": 0,  # windows of each class of the validation and test parts; 0: all
}
TINY = {"nfft": "32,64", "hop": "8,16", "height": 48, "width": 64, "head_epochs": 5, "max_judged": 6}


def run(setup: Setup) -> Result:
    """Probe each nfft by itself, then let validation or entropy choose among them."""
    import pandas as pd

    from imuspec.report.scores import row_figure
    from imuspec.run.named import load_encoder

    windows = setup.windows("wisdm")
    if "IMG2IMU" not in setup.runs and not setup.tiny:
        raise ValueError("runs: expected --runs IMG2IMU=FOLDER, got none")
    encoder = load_encoder(setup.runs.get("IMG2IMU", "random"))
    notes = [] if "IMG2IMU" in setup.runs else ["IMG2IMU: its place is taken by a random ResNet-18"]
    parts, seconds = [], {}
    for nfft in _numbers(setup, "nfft"):
        if nfft > windows.n_samples:
            notes.append(f"nfft {nfft}: left out, as it is longer than the window's {windows.n_samples} samples")
            continue
        began = time.perf_counter()
        parts.append(_probed(setup, encoder, windows, nfft))
        seconds[nfft] = time.perf_counter() - began
        setup.say(f"nfft {nfft}: macro-F1 {parts[-1]['macro_f1'].mean():.3f} in {seconds[nfft]:.0f} s")
    judged = pd.concat(parts, ignore_index=True)
    began = time.perf_counter()
    chosen = int(choose_nfft(windows.x, candidates=tuple(seconds)))
    looked = time.perf_counter() - began
    best = judged.loc[judged.groupby("seed")["validation_f1"].idxmax()]
    rows = {f"nfft {nfft}": judged[judged["nfft"] == nfft] for nfft in seconds}
    rows |= {"all settings": best, "least entropy": judged[judged["nfft"] == chosen]}
    spent = {f"nfft {nfft}": s for nfft, s in seconds.items()}
    spent |= {"all settings": sum(seconds.values()), "least entropy": looked + seconds[chosen]}
    table = pd.DataFrame([_line(row, part, spent[row]) for row, part in rows.items()])
    notes.append(f"least entropy: nfft {chosen}, found in {looked:.1f} s")
    return Result(
        table,
        figures={"nfft": row_figure(table, title=f"{windows.name}, frame length")},
        notes=notes,
        tables={"seeds": judged},
    )


def _numbers(setup: Setup, name: str) -> list[int]:
    return [int(part) for part in setup.option(name, str).split(",")]


def _line(row: str, part: pd.DataFrame, seconds: float) -> dict[str, Any]:
    mean, sd = mean_sd(part["macro_f1"])
    return {"row": row, "column": "macro_f1", "value": mean, "sd": sd, "n": len(part), "seconds": seconds}


def _probed(setup: Setup, encoder: Any, windows: Any, nfft: int) -> pd.DataFrame:
    from imuspec.probing.protocol import probe
    from imuspec.probing.sources import EncoderSource
    from imuspec.recipe.probing import HeadSettings, PictureSettings

    size = (setup.option("height", int), setup.option("width", int))
    pictures = PictureSettings.model_validate(
        {"nfft": [nfft], "hop": _numbers(setup, "hop"), "norm": setup.option("norm", str), "size": size}
    )
    most = setup.option("max_judged", int) or None
    return probe(
        EncoderSource(encoder, pictures=pictures),
        windows,
        seeds=setup.seeds,
        shots=(setup.option("shots", int),),
        settings=HeadSettings.model_validate({"epochs": setup.option("head_epochs", int)}),
        max_validation=most,
        max_test=most,
    ).table
