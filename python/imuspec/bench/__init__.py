"""Speed of this machine: our kernels beside other libraries, and the cost of a picture, a network and a fitted model."""

from __future__ import annotations

from imuspec.bench.comparison import Measurement, compare
from imuspec.bench.fitted import model_costs
from imuspec.bench.table3 import PHONES, Cost, costs

__all__ = ["PHONES", "Cost", "Measurement", "compare", "costs", "model_costs"]
