"""The signal chain: low-pass, resample, calibrate, find wear.

Arrays are float32 in g with time as the last axis, times int64 nanoseconds that rise. Missing samples are NaN.
"""

from imuspec.signal.calibration import Calibration, WindowMoments, calibrate, window_statistics
from imuspec.signal.cutting import windows
from imuspec.signal.rate import lowpass, resample
from imuspec.signal.wear import Wear, wear_segments

__all__ = [
    "Calibration",
    "Wear",
    "WindowMoments",
    "calibrate",
    "lowpass",
    "resample",
    "wear_segments",
    "window_statistics",
    "windows",
]
