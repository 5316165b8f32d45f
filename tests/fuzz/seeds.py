"""Small recordings of every format, from which fuzzing begins: ``python tests/fuzz/seeds.py FOLDER`` writes them below FOLDER.

They are made anew each time, by the writers of `imuspec.simulation`; a folder is a target of fuzz/fuzz_targets. The last
byte of each is the options of an execution (see fuzz/src/lib.rs).
"""

from __future__ import annotations

import bz2
import gzip
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imuspec import simulation

_CWA_BYTES = 1024 + 2 * 512


def _capture24(path: Path, acceleration: NDArray[np.float32], time: NDArray[np.int64]) -> None:
    simulation.write_capture24_csv(path, acceleration, time, ["7030 sleeping"] * len(time))


_WRITERS: list[tuple[str, str, Callable[..., object]]] = [
    ("geneactiv", "page.bin", simulation.write_geneactiv),
    ("matrix", "packets.bin", simulation.write_matrix),
    ("text", "rows.csv", simulation.write_csv),
    ("text", "omgui.csv", simulation.write_omgui_csv),
    ("text", "actilife.csv", simulation.write_actilife_csv),
    ("text", "capture24.csv", _capture24),
    ("nhanes", "62161.tar.bz2", simulation.write_nhanes),
    ("parquet", "columns.parquet", simulation.write_parquet),
    ("npz", "columns.npz", simulation.write_npz),
]


def recordings() -> Iterator[tuple[str, str, bytes]]:
    """Yield format, name and bytes of whole small recordings."""
    with tempfile.TemporaryDirectory(prefix="seeds-") as name:
        folder = Path(name)
        for device, unpacked in (("ax3", False), ("ax3", True), ("ax6", False)):
            path = folder / f"{device}-{unpacked}.cwa"
            simulation.simulate(path, days=1 / 1440, seed=1, device=device, unpacked=unpacked)
            yield "cwa", path.name, path.read_bytes()[:_CWA_BYTES]
        acceleration, clock, _ = simulation.wrist_motion(days=1 / 1440 * 5, seed=1, sample_rate=30)
        for kind, file, write in _WRITERS:
            n = {"geneactiv": 300, "text": 12}.get(kind, 40)  # GENEActiv has pages of 300 samples
            write(folder / file, acceleration[:, :n], clock[:n])
            content = (folder / file).read_bytes()
            if kind == "nhanes":  # a tar ends with zeros, of which two blocks are enough
                content = bz2.decompress(content).rstrip(b"\0")
                content += bytes(1024 + -len(content) % 512)
            yield kind, file.removesuffix(".bz2"), content
        for file, write in (("v2.gt3x", simulation.write_gt3x), ("v1.gt3x", simulation.write_gt3x_v1)):
            write(folder / file, acceleration[:, :90], clock[:90])
            yield "gt3x", file, (folder / file).read_bytes()


def _zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def inputs() -> Iterator[tuple[str, str, bytes]]:
    """Yield target, name and bytes of an input, its options at the end, for each target of fuzz/fuzz_targets."""
    for kind, name, content in recordings():
        if kind in ("parquet", "npz"):
            continue  # formats of Python, see mutate.py
        options = b"\0"
        if kind == "gt3x":
            yield "compressed", name, content + options
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                packed = "log.bin" not in archive.namelist()
                samples = archive.read("activity.bin" if packed else "log.bin")
                yield "gt3x", name, archive.read("info.txt") + b"\0" + samples + (b"\x08" if packed else options)
            continue
        yield kind, name, content + options
        yield "prepare", name, content + options
        if name in ("rows.csv", "packets.bin", "62161.tar", "ax3-False.cwa"):
            yield "compressed", f"{name}.gz", gzip.compress(content, mtime=0) + options
            yield "compressed", f"{name}.bz2", bz2.compress(content) + options
            yield "compressed", f"{name}.zip", _zipped(name, content) + options
            yield "compressed", f"{name}.gz.zip", _zipped(f"{name}.gz", gzip.compress(content, mtime=0)) + options


def main() -> None:
    """Write the inputs below the folder of the first argument."""
    for target, name, content in inputs():
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
