"""Recordings for tests of figures and pages, and a parser of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from imuspec.preparation import Prepared
from imuspec.recipe import Recipe
from imuspec.recording.quality import Event, Quality
from imuspec.recording.recording import Recording

START = 1_684_144_800_000_000_000  # 2023-05-15 10:00
HOSTILE = '<script>alert("1")</script> & $x$'


def recording(hours: float = 30.0, rate: float = 20.0) -> Recording:
    """Gravity on z, a gap of an hour after ten hours, and a 2 Hz swing of 0.2 g on x in the first hour."""
    n = int(hours * 3600 * rate)
    at = np.arange(n) / rate
    x = np.zeros((3, n), dtype=np.float32)
    x[0] = np.where(at < 3600, 0.2 * np.sin(2 * np.pi * 2 * at), 0)
    x[2] = 1
    cut = min(n, int(36000 * rate))
    time = START + np.round((at + 3600 * (np.arange(n) >= cut)) * 1e9).astype(np.int64)
    runs = np.array([(0, cut), (cut, n)] if cut < n else [(0, n)], dtype=np.int64)
    return Recording(x, time, runs, rate, rate, path="night.cwa", device="Axivity AX3")


def prepared(status: str = "ok", **changes: object) -> Prepared:
    """Thirty hours at 5 Hz with a gap, of which the last ten are kept."""
    n = 30 * 3600 * 5
    x = np.random.default_rng(0).normal(0, 0.004, (3, n)).astype(np.float32)
    x[np.arange(n) // 9000 % 3, np.arange(n)] += 1
    x[:, 5000:9000] = np.nan
    fields: dict[str, object] = {
        "path": f"/data/{HOSTILE.replace('/', '')}.cwa",
        "id": "night",
        "recipe": Recipe.load("capture24"),
        "status": status,
        "reason": "" if status == "ok" else f"calibration failed: {HOSTILE}",
        "acceleration": x,
        "rate": 5.0,
        "start_time": START,
        "segments": np.array([[20 * 18000, n]], dtype=np.int64),
        "nonwear": np.array([[10000, 60000]], dtype=np.int64),
        "calibration": {
            **{f"offset_{axis}": 0.01 for axis in "xyz"},
            **{f"gain_{axis}": 1.02 for axis in "xyz"},
            **{f"temperature_slope_{axis}": 0.0 for axis in "xyz"},
            "ok": status == "ok", "reason": HOSTILE, "error_before_mg": 21.9, "error_after_mg": 1.04,
            "n_windows": 600, "n_iterations": 39,
        },
        "quality": Quality({"bad_checksum": 3, "gap": 1}, (Event("gap", 512, 7, START, 1, 800.0),)),
        "header": {"format": "cwa", "device": HOSTILE, "device_id": "1", "nominal_rate": 100.0, "sample_rate": 93.0,
                   "metadata": {HOSTILE: HOSTILE}, "worst_stamp_residual_ms": 4.2},
        "figures": {"n_samples": n, "wear_h": 10.0, "nonwear_h": 2.8},
    }  # fmt: skip
    return Prepared(**{**fields, **changes})  # type: ignore[arg-type]  # values by name


class Tags(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def text_of(path: Path) -> str:
    return " ".join(Tags(path.read_text("utf-8")).text.split())
