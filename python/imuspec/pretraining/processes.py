"""Which of several training processes this one is."""

from __future__ import annotations

import os

__all__ = ["place"]


def place() -> tuple[int, int]:
    """Return (rank, world) of this process, from torchrun's variables; (0, 1) without them."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
