"""Where the files lie that are not ours to ship, and the mark for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("IMUSPEC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

needs_data = pytest.mark.skipif(
    not (DATA / "README.md").exists(),
    reason=f"reference data not at {DATA}: set IMUSPEC_TEST_DATA to its folder",
)
