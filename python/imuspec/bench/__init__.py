"""How fast this machine is: ours beside the libraries that one would use instead, and the cost of a picture and a network."""

from __future__ import annotations

from imuspec.bench.comparison import Result, compare
from imuspec.bench.table3 import PHONES, Cost, costs

__all__ = ["PHONES", "Cost", "Result", "compare", "costs"]
