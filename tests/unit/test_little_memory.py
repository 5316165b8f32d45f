"""A file that needs more memory than there is: an error that names it, not an abort of the process."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from device_files import START, geneactiv, participant
from imuspec.simulation import simulate

#: Address space beyond what the process has after its imports, bytes. The samples of a file take more.
ROOM = 64 << 20
N = 5_000_000
CHILD = """
import resource, sys
import numpy, pyarrow.parquet, pyarrow.compute, imuspec, imuspec._core, imuspec.preparation, imuspec.recording
with open("/proc/self/status") as status:
    size = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]),) * 2)
try:
    print("read", len(imuspec.read(sys.argv[2])))
except imuspec.RecordingError as error:
    print("refused", error)
except MemoryError:
    print("no memory")
"""


def write_cwa(path: Path) -> None:
    simulate(path, days=N / 100 / 86_400, seed=9)


def write_geneactiv(path: Path) -> None:
    pages = geneactiv(path.with_suffix(""), [0, 1]).read_bytes()
    at = pages.index(b"Recorded Data")
    page = pages[at : pages.rindex(b"Recorded Data")].replace(b"Sequence Number:0", b"Sequence Number:%d")
    page = page.replace(b"2020-03-05 10:00:00:000", b"%s:000")
    dates = np.datetime_as_string(np.datetime64(START, "s") + 6 * np.arange(N // 300))
    text = b"".join(page % (k, date.replace("T", " ").encode()) for k, date in enumerate(dates))
    path.write_bytes(gzip.compress(pages[:at] + text, 1))


def write_gt3x(path: Path) -> None:
    info = "Serial Number: NEO1D1\r\nFirmware: 2.5.0\r\nSample Rate: 30\r\nStart Date: 637200000000000000\r\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.txt", info)
        archive.writestr("activity.bin", bytes.fromhex("001002014001002014") * (N // 2))


def write_matrix(path: Path) -> None:
    n = 500_000
    packets = []
    for k in range(N // n):
        body = (
            struct.pack("<2I4I", START + 5000 * k, START + 5000 * (k + 1), n, 0, 0, 0)
            + struct.pack("<3h", 9, 9, 4000) * n
        )
        packets.append(b"MDTCPACK" + struct.pack("<I", zlib.crc32(body)) + body)
    path.write_bytes(
        gzip.compress(bytes(512) + b"MDTC" + struct.pack("<IHH", len(packets), 8, 2000) + b"".join(packets), 1)
    )


def rows(n: int) -> bytes:
    """Return rows at 80 Hz that repeat one minute's text, each time with its hour and minute."""
    minute = b"".join(
        b"2000-01-%%(day)s %%(hour)s:%%(minute)s:%06.3f,0.1,%.3f,0.9\n" % (k / 80, k / 5000) for k in range(4800)
    )
    return b"".join(
        minute % {b"day": b"%02d" % (3 + k // 1440), b"hour": b"%02d" % (k // 60 % 24), b"minute": b"%02d" % (k % 60)}
        for k in range(n // 4800)
    )


def write_csv(path: Path) -> None:
    path.write_bytes(gzip.compress(b"time,x,y,z\n" + rows(N), 1))


def write_nhanes(path: Path) -> None:
    folder = participant(path.with_suffix(""), {"08-P0000": 1})
    (member,) = folder.iterdir()
    packed = gzip.compress(b"HEADER_TIMESTAMP,X,Y,Z\n" + rows(N), 1)
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(member.name + ".gz")
        info.size = len(packed)
        archive.addfile(info, io.BytesIO(packed))


def columns() -> dict[str, np.ndarray]:
    time = np.datetime64(START, "s") + np.arange(N) * np.timedelta64(10_000_000, "ns")
    return {
        "time": time,
        **{axis: np.full(N, value, np.float32) for axis, value in zip("xyz", (0.1, 0, 1), strict=True)},
    }


def write_npz(path: Path) -> None:
    np.savez(path, **columns())  # type: ignore[arg-type]  # names of arrays


def write_parquet(path: Path) -> None:
    pq.write_table(pa.table(columns()), path)


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "cwa": ("a.cwa.gz", write_cwa),
    "geneactiv": ("a.bin.gz", write_geneactiv),
    "gt3x": ("a.gt3x", write_gt3x),
    "matrix": ("a.bin.gz", write_matrix),
    "csv": ("a.csv.gz", write_csv),
    "nhanes": ("a.tar", write_nhanes),
    "npz": ("a.npz", write_npz),
    "parquet": ("a.parquet", write_parquet),
}


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of address space is Linux's here")
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_beyond_the_memory_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    file, write = FORMATS[name]
    path = tmp_path / file
    write(path)
    for room, expected in ((ROOM, ("refused",)), (40 * ROOM, ("read",))):
        command = [sys.executable, "-c", CHILD, str(room), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (room, done.returncode, done.stderr)
        assert done.stdout.startswith(expected), (room, done.stdout, done.stderr)
        if expected != ("read",):
            assert file in done.stdout
