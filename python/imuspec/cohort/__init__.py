"""Prepared recordings on disk or in an object store: a Zarr store, Parquet tables, and results computed from them."""

from __future__ import annotations

from imuspec.cohort.cohort import Cohort
from imuspec.cohort.results import Computed, Results

__all__ = ["Cohort", "Computed", "Results"]
