"""GENEActiv .bin: a text file of 59 header lines, then pages of ten lines with 300 samples in hexadecimal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from imuspec.simulation.checking import checked, rate_of, wall_clock
from imuspec.simulation.storing import replacing

__all__ = ["write_geneactiv"]

_PAGE = 300

_HEADER = """\
Device Identity
Device Unique Serial Code:052891
Device Type:GENEActiv
Device Model:1.2
Device Firmware Version:Ver5.01 date 17Sep14
Calibration Date:2022-11-02 09:30:12:000

Device Capabilities
Accelerometer Range:-8 to 8
Accelerometer Resolution:0.0039
Accelerometer Units:g
Light Meter Range:0 to 5000
Light Meter Resolution:5
Light Meter Units:lux
Temperature Sensor Range:0 to 70
Temperature Sensor Resolution:0.1
Temperature Sensor Units:deg. C

Configuration Info
Measurement Frequency:{rate:g} Hz
Measurement Period:168 Hours
Start Time:{start_time}
Time Zone:GMT +00:00

Trial Info
Study Centre:{blank}
Study Code:{blank}
Investigator ID:{blank}
Exercise Type:{blank}
Config Operator ID:imuspec
Config Time:{start_time}
Config Notes:simulated
Extract Operator ID:
Extract Time:{start_time}
Extract Notes:

Subject Info
Device Location Code:left wrist
Subject Code:{blank}
Date of Birth:1900-1-1
Sex:
Height:
Weight:
Handedness Code:
Subject Notes:{notes}

Calibration Data
{calibration}
Volts:300
Lux:800

Memory Status
Number of Pages:{n_pages}
"""


def write_geneactiv(
    path: str | Path,
    acceleration: ArrayLike,
    time: ArrayLike,
    *,
    gain: tuple[int, int, int] = (25875, 25734, 25538),
    offset: tuple[int, int, int] = (439, -662, -3056),
    light: ArrayLike = 40,
    temperature: float = 29.5,
    notes: str = "",
) -> int:
    """Write a GENEActiv recording.

    Parameters
    ----------
    path : path-like
        The file, ``.bin``, or ``.bin.gz`` / ``.bin.zip``.
    acceleration : array_like
        [3, n] in g; stored as ``round((g * gain + offset) / 100)`` in 12 bits.
    time : array_like
        int64 [n], ns of the local clock. A page stores the time of its first sample in ms; the others follow at the rate of
        the header.
    gain : (int, int, int), default (25875, 25734, 25538)
        Gain in the header.
    offset : (int, int, int), default (439, -662, -3056)
        Offset in the header.
    light : array_like, default 40
        Ten-bit reading, a single number or [n]; lux = reading * 800 / 300.
    temperature : float, default 29.5
        Temperature of every page, degrees Celsius, to 0.1.
    notes : str, default ""
        Subject notes. Real files have line breaks and NULs in them.

    Returns
    -------
    int
        Number of samples written: ``n`` without the last ``n % 300``, which do not fill a page.

    Raises
    ------
    ValueError
        If there are fewer samples than a page has.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_geneactiv(f"{folder}/a.bin", np.zeros((3, 700)), np.arange(700) * 10**7)
    600
    """
    values, stamps = checked(acceleration, time)
    n_pages = int(values.shape[1]) // _PAGE
    if n_pages == 0:
        raise ValueError(f"acceleration: expected at least {_PAGE} samples, got {values.shape[1]}")
    n = n_pages * _PAGE
    rate = rate_of(stamps)
    page_times = wall_clock(stamps[:n:_PAGE])
    hexed = _hexadecimal(values[:, :n], gain, offset, np.broadcast_to(np.asarray(light), values.shape[1])[:n])
    calibration = [f"{axis} gain:{gain[k]}\n{axis} offset:{offset[k]}" for k, axis in enumerate("xyz")]
    head = _HEADER.format(
        rate=rate,
        start_time=page_times[0].replace(".", ":"),
        blank="\0" * 20,
        notes="{notes}",
        calibration="\n".join(calibration),
        n_pages=n_pages,
    )
    # The notes are inserted last and unchanged: their line breaks are not those of the file.
    lines = head.replace("\n", "\r\n").replace("{notes}", notes).split("\r\n")
    for page, moment in enumerate(page_times):
        lines += [
            "Recorded Data",
            "Device Unique Serial Code:052891",
            f"Sequence Number:{page}",
            f"Page Time:{moment.replace('.', ':')}",
            "Unassigned:",
            f"Temperature:{temperature:.1f}",
            f"Battery voltage:{4.15 - 0.2 * page / n_pages:.4f}",
            "Device Status:Recording",
            f"Measurement Frequency:{rate:.1f}",
            hexed[page * _PAGE * 12 : (page + 1) * _PAGE * 12],
        ]
    with replacing(path) as file:
        file.write(("\r\n".join(lines) + "\r\n").encode("latin-1"))
    return n


def _hexadecimal(
    values: NDArray[np.float32], gain: tuple[int, int, int], offset: tuple[int, int, int], light: NDArray[np.int64]
) -> str:
    """Return twelve digits per sample: x, y, z with 12 bits each, light with 10 bits, button, and a 0."""
    word = np.zeros(values.shape[1], dtype=np.int64)
    for k in range(3):
        counts = np.rint((values[k].astype(np.float64) * gain[k] + offset[k]) / 100)
        word = (word << 12) | (np.clip(counts, -2048, 2047).astype(np.int64) & 0xFFF)
    word = (word << 12) | (np.clip(light, 0, 1023).astype(np.int64) << 2)
    low_bytes: bytes = word.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:].tobytes()
    return low_bytes.hex().upper()
