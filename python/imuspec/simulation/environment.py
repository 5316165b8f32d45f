"""The slow channels of a device: temperature, light, and battery voltage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imuspec.simulation.schedule import NONWEAR, SLEEP, Schedule

__all__ = ["Environment"]

_GRID_S = 60.0
_WARMING_S = 900.0


class Environment:
    """Slow channels of one recording, on a grid of minutes.

    Parameters
    ----------
    schedule : Schedule
        Behaviour of the wearer; the device cools to room temperature when it is not worn.
    second_of_day : float
        Local time of the first sample, s after midnight.
    seed : int
        Seed of the variations.
    """

    def __init__(self, schedule: Schedule, *, second_of_day: float, seed: int) -> None:
        rng = np.random.default_rng([seed, 5])
        self.grid_s = np.arange(0.0, schedule.end_s[-1] + 2 * _GRID_S, _GRID_S)
        bout = np.searchsorted(schedule.end_s, self.grid_s, side="right").clip(max=len(schedule.state) - 1)
        state = schedule.state[bout]
        hour = (self.grid_s + second_of_day) / 3600.0 % 24.0
        room = 20.5 + 1.5 * np.sin((hour - 10.0) * (np.pi / 12.0))
        skin = np.where(state == SLEEP, 33.5, 30.5) + rng.normal(0, 1.0, len(schedule.state))[bout]
        target = np.where(state == NONWEAR, room, skin)
        self.temperature = _follow(target, _GRID_S / _WARMING_S)
        daylight = np.clip(np.sin((hour - 6.0) * (np.pi / 13.0)), 0, None) * (hour < 19.0)
        covered = rng.uniform(0, 1, len(schedule.state))[bout]
        self.light = np.where(state == SLEEP, 60.0, 190.0) + 220.0 * daylight * covered + rng.normal(0, 8, len(bout))
        self.battery = 4.17 - 0.035 * self.grid_s / 86400.0

    def temperature_c(self, second: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the temperature of the sensor, degrees Celsius."""
        return np.interp(second, self.grid_s, self.temperature)

    def light_raw(self, second: NDArray[np.float64]) -> NDArray[np.uint16]:
        """Return the ten-bit reading of the light sensor."""
        bits: NDArray[np.uint16] = np.interp(second, self.grid_s, self.light).clip(0, 1023).astype(np.uint16)
        return bits

    def battery_v(self, second: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the voltage of the battery, V."""
        return np.interp(second, self.grid_s, self.battery).clip(3.5, None)


def _follow(target: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return a first-order response to the target: y[i] = y[i-1] + share (target[i] - y[i-1])."""
    out = np.empty_like(target)
    value = float(target[0])
    for i, goal in enumerate(target.tolist()):
        value += share * (goal - value)
        out[i] = value
    return out
