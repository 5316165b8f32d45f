"""The memory that a recording may take: docs/reference/formats.md states the factors."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imuspec import simulation
from peak_memory import PREPARE, PREPARE_IN_PIECES, READ, peak

N = 1_500_000
RATE = 100
#: Bytes of a sample that was read, three axes and its time, and of a point that was prepared.
SAMPLE, POINT = 20, 12
#: Room that is made before it is filled, as a share; and what any recording takes, bytes.
ROOM, FREE = 1.5, 16 << 20


def write_cwa(path: Path) -> None:
    simulation.simulate(path, days=N / RATE / 86_400, seed=3)


def write_plain(write: Callable[..., object]) -> Callable[[Path], None]:
    """Return a writer of a motion in whole hundredths of g, which costs little to make."""

    def written(path: Path) -> None:
        passed = np.arange(N)
        turn = 0.8 * np.sin(passed / 5000)
        acceleration = np.stack([turn, 0.1 * np.sin(passed / 7), np.sqrt(1 - turn**2)]).round(2)
        write(path, acceleration, 1_583_402_400_000_000_000 + passed * (1_000_000_000 // RATE))

    return written


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "cwa": ("a.cwa", write_cwa),
    "cwa.gz": ("a.cwa.gz", write_cwa),
    "gt3x": ("a.gt3x", write_plain(simulation.write_gt3x)),
    "geneactiv": ("a.bin", write_plain(simulation.write_geneactiv)),
    "matrix": ("a.bin", write_plain(simulation.write_matrix)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_takes_its_samples_and_a_prepared_one_its_grid(name: str, tmp_path: Path) -> None:
    file, write = FORMATS[name]
    path = tmp_path / file
    write(path)
    size, answer = peak(READ, path)
    n = int(answer.removesuffix(" rows"))
    assert n > 0.95 * N
    assert n * SAMPLE < size < ROOM * n * SAMPLE + FREE
    size, answer = peak(PREPARE, path)
    points = 30 * n / RATE
    assert answer.startswith(("ok", "excluded"))
    assert size < ROOM * points * POINT + FREE


def test_a_small_file_of_a_fortnight_is_prepared_for_a_store_in_300_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a.gt3x"
    n = 36_000_000
    info = "Serial Number: NEO1D1\r\nFirmware: 2.5.0\r\nSample Rate: 30\r\nStart Date: 637200000000000000\r\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.txt", info)
        archive.writestr("activity.bin", bytes.fromhex("001002014001002014") * (n // 2))
    assert path.stat().st_size < 400_000 < POINT * n / 1000
    size, answer = peak(PREPARE_IN_PIECES, path)
    assert answer.startswith("excluded: gravity")
    assert size < 300_000_000
