"""Measure how much of a tone each rule of resampling keeps, and draw docs/explanation/resampling.svg."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

import imuspec

PICTURE = Path(__file__).parent / "explanation" / "resampling.svg"
GRID = 30.0
SLOW = 0.99  # real sensors are about 1 % slower than their nominal rate
COLOURS = {25: "#d55e00", 50: "#0072b2", 100: "#009e73"}  # Okabe and Ito
LEFT, TOP, WIDTH, HEIGHT = 60, 20, 560, 280


def share(tone_hz: float, nominal_hz: float, method: Literal["linear", "polyphase"] = "linear") -> float:
    """The amplitude of a tone on the grid, relative to the original: the sine of its frequency that fits best."""
    source = nominal_hz * SLOW
    t = np.arange(int(source * 60)) / source
    tone = np.sin(2 * np.pi * tone_hz * t + 0.3).astype(np.float32)
    rate = {"sample_rate": source} if method == "polyphase" else {}
    values, _ = imuspec.resample(tone, np.round(t * 1e9).astype(np.int64), rate=GRID, method=method, **rate)
    grid = np.arange(values.size) / GRID
    inside = (grid > 5) & (grid < 55)
    angle = 2 * np.pi * tone_hz * grid[inside]
    waves = np.stack([np.sin(angle), np.cos(angle)], 1)
    return float(np.hypot(*np.linalg.lstsq(waves, values[inside].astype(np.float64), rcond=None)[0]))


def picture() -> str:
    """The figure as SVG: the share of a tone by its frequency, a line for each rate, dashed for polyphase."""
    tones = np.arange(0.5, 14.6, 0.5)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 360" role="img" font-family="sans-serif" font-size="13">',
        '<rect width="720" height="360" fill="white"/>',
    ]
    for percent in (0, 25, 50, 75, 100):
        y = TOP + HEIGHT - HEIGHT * percent // 100
        parts.append(f'<path d="M{LEFT} {y}h{WIDTH}" stroke="#ccc"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>')
    for hertz in (0, 5, 10, 15):
        parts.append(
            f'<text x="{LEFT + WIDTH * hertz // 15}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{hertz} Hz</text>'
        )
    for nominal, colour in COLOURS.items():
        line = [(tone, share(float(tone), nominal)) for tone in tones]
        parts.append(_line(line, colour, ""))
        y = round(TOP + HEIGHT * (1 - line[-1][1]))
        parts.append(f'<text x="{LEFT + WIDTH}" y="{y + 4}" fill="{colour}">{nominal} Hz, linear</text>')
    dashed = [(tone, share(float(tone), 100, "polyphase")) for tone in tones]
    parts.append(_line(dashed, COLOURS[100], ' stroke-dasharray="6 4"'))
    y = round(TOP + HEIGHT * (1 - dashed[-1][1]))
    parts.append(
        f'<text x="{LEFT + WIDTH - 20}" y="{y + 4}" text-anchor="end" fill="{COLOURS[100]}">100 Hz, polyphase</text>'
    )
    parts.append(f'<text x="{LEFT + WIDTH // 2}" y="350" text-anchor="middle">frequency of a tone</text></svg>')
    return "\n".join(parts) + "\n"


def _line(points: list[tuple[float, float]], colour: str, more: str) -> str:
    places = " ".join(f"{LEFT + WIDTH * tone / 15:.0f},{TOP + HEIGHT * (1 - value):.0f}" for tone, value in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{more}/>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
    for tone in (2, 5, 10):
        rules = [("linear", rate) for rate in COLOURS] + [("polyphase", 100)]
        print(tone, *(f"{rule} {rate}: {100 * share(tone, rate, rule):.1f} %" for rule, rate in rules))  # type: ignore[arg-type]  # the rules are literals
