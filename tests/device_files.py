"""Small device files, built by their formats' descriptions, for tests that spoil them."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np

from imuspec.simulation import simulate

SECOND = 1_000_000_000
START = 1_583_402_400  # 2020-03-05 10:00:00
DAY = 86_400


def record(second: int, value: int = 250, rate: int = 30, kind: int = 26) -> bytes:
    """Return a record of log.bin: a second of samples (10, second of the day, value), or an event."""
    samples = struct.pack(f"<{3 * rate}h", *([10, second % 60, value] * rate))
    payload = samples if kind == 26 else bytes([value])
    body = struct.pack("<BBIH", 0x1E, kind, second, len(payload)) + payload
    total = 0
    for byte in body:
        total ^= byte
    return body + bytes([~total & 255])


def gt3x(path: Path, *records: bytes, rate: int = 30, more: tuple[str, ...] = ()) -> Path:
    info = f"Serial Number: MOS2D1\r\nFirmware: 1.9.2\r\nSample Rate: {rate}\r\nSubject Name: Jane\r\n"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("", *more):
            archive.writestr(f"{folder}info.txt", info)
            archive.writestr(f"{folder}log.bin", b"".join(records))
    return path


def cwa(path: Path, n: int = 60, **options: object) -> list[bytearray]:
    """Return the header and n blocks of a simulated file."""
    simulate(path, days=0.01, seed=9, **options)  # type: ignore[arg-type]
    raw = path.read_bytes()
    return [bytearray(raw[:1024]), *(bytearray(raw[at : at + 512]) for at in range(1024, 1024 + 512 * n, 512))]


def seal(block: bytearray) -> bytearray:
    block[510:] = b"\0\0"
    words = struct.unpack("<256H", block)
    block[510:] = struct.pack("<H", -sum(words) & 0xFFFF)
    return block


def participant(folder: Path, hours: dict[str, float], serial: str = "NEO1D1") -> Path:
    """Make a folder of hourly members, the last 20 s of each; names give hour and part."""
    folder.mkdir(exist_ok=True)
    for name, z in hours.items():
        hour, part = name.split("-")
        base = np.datetime64(f"2000-01-03T{hour}:59:40.000", "ms")
        rows = [f"{base + np.timedelta64(round(i * 12.5), 'ms')},0.1,{i / 1e4},{z}\n" for i in range(1600)]
        stem = f"GT3XPLUS-AccelerationCalibrated-2x5x0.{serial}.2000-01-03-{hour}-00-00-000-{part}"
        text = "HEADER_TIMESTAMP,X,Y,Z\n" + "".join(row.replace("T", " ") for row in rows)
        (folder / f"{stem}.sensor.csv").write_text(text)
    return folder


HEADER = """Device Identity\r\nDevice Unique Serial Code:012967\r\nMeasurement Frequency:{rate}\r\n\
Subject Info\r\nSubject Code:JANE DOE\r\nDate of Birth:1960-01-02\r\n\
Calibration Data\r\nx gain:25875{comma}5\r\nx offset:439\r\ny gain:25734\r\ny offset:-662\r\nz gain:25538\r\n\
z offset:-3056\r\nVolts:300\r\nLux:800\r\n"""


def geneactiv(path: Path, order: list[int], *, comma: str = ".", form: str = "%Y-%m-%d", extra: str = "") -> Path:
    """Write pages of 6 s at 50 Hz in this order of their numbers."""
    text = HEADER.format(rate=f"50{comma}0", comma=comma)
    for page in order:
        at = np.datetime64(START + 6 * page, "s").item()
        sample = f"0C4FFDF{0x3D + page % 16:02X}004"
        text += f"Recorded Data\r\nDevice Unique Serial Code:012967\r\nSequence Number:{page}\r\n"
        text += f"Page Time:{at.strftime(form + ' %H:%M:%S')}:000{extra}\r\nUnassigned:\r\nTemperature:21{comma}5\r\n"
        text += f"Battery voltage:4{comma}1\r\nDevice Status:Recording\r\nMeasurement Frequency:50{comma}0\r\n"
        text += f"{sample * 300}\r\n"
    path.write_text(text, newline="")
    return path
