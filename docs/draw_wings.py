"""Draws docs/explanation/wings.svg from the imports of the package: a row a level, arrows down to what a wing imports.

An arrow that other arrows imply is left out. Run it after an import changed; with ``-`` it prints the picture instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from wings import ORDER, reachable, wing_arrows

WIDTH, BOX, ROW, HIGH = 900, 116, 62, 26


def drawing() -> str:
    """Return the picture as SVG."""
    arrows = wing_arrows()
    direct = {
        wing: {t for t in targets if not any(t in reachable(arrows, other) for other in targets - {t})}
        for wing, targets in arrows.items()
    }
    height = ROW * len(ORDER) + 20
    place = {}
    for level, wings in enumerate(ORDER):
        y = height - ROW * (level + 1) + (ROW - HIGH) // 2
        for i, wing in enumerate(wings):
            place[wing] = (round(WIDTH * (i + 1) / (len(wings) + 1)), y + (i % 2) * 8 * (len(wings) > 1))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="14">',
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5b7083"/></marker>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for wing in sorted(direct):
        x, y = place[wing]
        for target in sorted(direct[wing]):
            to_x, to_y = place[target]
            lines.append(
                f'<line x1="{x}" y1="{y + HIGH}" x2="{to_x}" y2="{to_y}" stroke="#5b7083" stroke-width="1.1" '
                'marker-end="url(#tip)"/>'
            )
    for wing, (x, y) in place.items():
        lines.append(
            f'<rect x="{x - BOX // 2}" y="{y}" width="{BOX}" height="{HIGH}" rx="5" fill="#eef3f7" stroke="#2b4257"/>'
            f'<text x="{x}" y="{y + 18}" text-anchor="middle" fill="#15212b">{wing}</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(drawing())
    else:
        (Path(__file__).parent / "explanation" / "wings.svg").write_text(drawing(), "utf-8")
