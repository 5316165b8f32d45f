"""Windows of real recordings in g, and how far ``precision="auto"`` lies from "float64" on them.

python tests/recorded_windows.py [--write docs/results/precision.md]
"""

from __future__ import annotations

import argparse
import io
import lzma
import re
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import imuspec
from reference_data import DATA

Windows = NDArray[np.float32]


def _cut(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples [3, time] -> windows [n, 3, 500], side by side."""
    n = axes.shape[1] // 500
    return axes[:, : n * 500].reshape(3, n, 500).transpose(1, 0, 2)


def hapt(every: int = 1) -> Windows:
    """Every so manieth window of 10 s of all recordings; waist, 50 Hz."""
    with tarfile.open(DATA / "datasets/hapt/HAPT_acc.tar.xz") as archive:
        names = sorted(name for name in archive.getnames() if "acc_exp" in name)
        windows = [_cut(np.loadtxt(archive.extractfile(name)).T) for name in names[:: max(1, every // 4)]]
    return np.concatenate(windows)[:: min(every, 4)].astype(np.float32)


def daphnet(every: int = 1) -> Windows:
    """Every so manieth window of 500 samples of all recordings' ankle; 64 Hz."""
    windows = []
    for path in sorted((DATA / "datasets/daphnet").glob("*.txt.xz")):
        with lzma.open(path) as file:
            windows.append(_cut(np.loadtxt(file, usecols=(1, 2, 3)).T / 1000)[::every])
    return np.concatenate(windows).astype(np.float32)


def _wisdm(every: int) -> NDArray[np.float64]:
    """An even selection of a tenth of the windows [n, 3, 128]; pocket, 20 Hz, in the stated unit, m/s^2."""
    with lzma.open(DATA / "datasets/wisdm/wisdm_v1.1_windows128_20hz.npz.xz") as file:
        stored = np.load(io.BytesIO(file.read()))
    return stored["acc_cms2"][:: 10 * every] / 100


def wisdm_linear(every: int = 1) -> Windows:
    """WISDM brought to 50 Hz on straight lines between samples."""
    t = np.arange(320) * 0.4
    lines = [[np.interp(t, np.arange(128), axis) for axis in window] for window in _wisdm(every)]
    return np.array(lines, np.float32)


def wisdm_polyphase(every: int = 1) -> Windows:
    """WISDM brought to 50 Hz by SciPy's polyphase filter."""
    from scipy.signal import resample_poly

    return resample_poly(_wisdm(every), 5, 2, axis=-1).astype(np.float32)


SETS: dict[str, Callable[..., Windows]] = {
    "HAPT": hapt,
    "Daphnet": daphnet,
    "WISDM, linear": wisdm_linear,
    "WISDM, polyphase": wisdm_polyphase,
}
GRID = [(nfft, hop) for nfft in (32, 64, 128, 256) for hop in (16, 8, 4, 2)]


def differences(
    x: Windows, settings: Iterable[tuple[int, int]] = GRID, *, size: tuple[int, int] | None = None
) -> NDArray[np.int64]:
    """How many values of the pictures, over all (nfft, hop), differ by 0, 1, .. 255 levels from float64's."""
    counts = np.zeros(256, np.int64)
    for nfft, hop in settings:
        for first in range(0, len(x), 256):
            part = x[first : first + 256]
            got = imuspec.rgb_image(part, nfft=nfft, noverlap=nfft - hop, size=size)
            want = imuspec.rgb_image(part, nfft=nfft, noverlap=nfft - hop, size=size, precision="float64")
            counts += np.bincount(np.abs(got.astype(np.int16) - want).ravel(), minlength=256)
    return counts


def table() -> str:
    """The distribution of all sets as Markdown, native grids and pictures of 96 x 128."""
    lines = [
        "| windows | number | picture | equal | within one level | greatest |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for name, windows in SETS.items():
        x = windows()
        for size in (None, (96, 128)):
            counts = differences(x, size=size)
            share = 100 * np.cumsum(counts) / counts.sum()
            picture = "native grid" if size is None else "96 x 128"
            # Cut, not rounded: 100 means all.
            equal, near = (f"{np.floor(s * 1e4) / 1e4:.4f} %" for s in share[:2])
            lines.append(f"| {name} | {len(x):,} | {picture} | {equal} | {near} | {np.flatnonzero(counts)[-1]} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or put it in the place of the page's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    page = parser.parse_args().write
    made = table()
    print(made)
    if page:
        text = page.read_text("utf-8")
        page.write_text(re.sub(r"\| windows \|.*?(?=\n\n)", lambda _: made, text, count=1, flags=re.DOTALL), "utf-8")


if __name__ == "__main__":
    main()
