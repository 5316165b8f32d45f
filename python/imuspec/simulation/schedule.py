"""The schedule of a wearer: bouts of behaviour, and the postures of the wrist inside them.

A schedule is drawn from the seed for whole calendar days and then cut to the recording. So the same seed gives the same
behaviour for any device, rate and packing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATE_NAMES", "Schedule", "draw_schedule"]

STATE_NAMES = ("nonwear", "sleep", "sit-stand", "walking", "bicycling", "vehicle", "mixed")
NONWEAR, SLEEP, SIT_STAND, WALKING, BICYCLING, VEHICLE, MIXED = range(7)

DAY_S = 86400.0

# Mean seconds between two postures, and seconds that a change takes: few per hour asleep, one every few seconds when busy.
_POSTURE_EVERY_S = (5400.0, 900.0, 22.0, 60.0, 70.0, 40.0, 6.0)
_CHANGE_TAKES_S = (1.5, 2.5, 1.0, 1.2, 1.0, 0.9, 0.8)

# Acceleration of a still sensor in its own axes, 1 g upward: x along the forearm, z out of the face of the watch.
_RESTING = {
    NONWEAR: [(0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)],
    SLEEP: [(0.1, 0.3, 0.9), (0.2, -0.2, -0.9), (0.1, 1, 0.2), (0.1, -0.9, 0.3), (0.8, 0.3, 0.5), (-0.7, 0.4, 0.5)],
    SIT_STAND: [
        (0.1, 0.2, 0.9),
        (0.3, 0.6, 0.7),
        (-0.5, 0.5, 0.7),
        (0.5, -0.3, 0.8),
        (-0.9, 0.2, 0.3),
        (0.2, 0.9, 0.1),
    ],
    WALKING: [(-0.97, 0.15, 0.15), (-0.93, -0.2, 0.3), (-0.95, 0.3, -0.1)],
    BICYCLING: [(-0.5, 0.1, 0.86), (-0.4, -0.15, 0.9)],
    VEHICLE: [(0.35, 0.4, 0.85), (0.15, 0.2, 0.96), (0.5, 0.7, 0.5)],
    MIXED: [(0.2, 0.3, 0.9), (-0.6, 0.5, 0.6), (0.4, 0.8, 0.4), (-0.9, 0.1, 0.4), (0.7, -0.4, 0.5), (0.1, -0.8, 0.6)],
}
_SCATTER = (0.06, 0.22, 0.2, 0.08, 0.06, 0.12, 0.3)


@dataclass(frozen=True)
class Schedule:
    """Bouts and postures, in seconds since the first sample.

    Attributes
    ----------
    start_s, end_s : float64 array [n]
        Start and end of each bout, s. The first starts at 0, and each ends at the start of the next.
    state : int64 array [n]
        Index into ``STATE_NAMES``.
    posture_s : float64 array [m]
        Start of the turn to each posture, s; the first is 0.
    change_s : float64 array [m]
        Duration of the turn, s.
    posture : float32 array [3, m]
        Unit vectors of gravity.
    liveliness : float32 array [m]
        Acceleration of the hand during the turn, g.
    """

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    state: NDArray[np.int64]
    posture_s: NDArray[np.float64]
    change_s: NDArray[np.float64]
    posture: NDArray[np.float32]
    liveliness: NDArray[np.float32]

    def nonwear(self) -> NDArray[np.float64]:
        """Return the stretches of non-wear, float64 [k, 2], s."""
        off = np.concatenate([[False], self.state == NONWEAR, [False]])
        edges = np.flatnonzero(off[1:] != off[:-1])
        bounds = np.append(self.start_s, self.end_s[-1])
        return bounds[edges].reshape(-1, 2)


def draw_schedule(*, duration_s: float, second_of_day: float, seed: int) -> Schedule:
    """Draw the schedule of a wearer.

    Parameters
    ----------
    duration_s : float
        Length of the recording, s.
    second_of_day : float
        Start of the recording, s after midnight.
    seed : int
        Seed of the wearer.
    """
    rng = np.random.default_rng([seed, 1])
    bouts: list[tuple[float, int]] = []
    n_days = int((second_of_day + duration_s) // DAY_S) + 1
    for day in range(n_days):
        bouts += [(hour * 3600.0 + day * DAY_S - second_of_day, state) for hour, state in _day(rng, day)]
    start = np.array([s for s, _ in bouts])
    state = np.array([k for _, k in bouts], dtype=np.int64)
    end = np.append(start[1:], np.inf)
    inside = (end > 0) & (start < duration_s)
    start, end, state = np.maximum(start[inside], 0.0), np.minimum(end[inside], duration_s), state[inside]
    merged = np.flatnonzero(np.concatenate([[True], state[1:] != state[:-1]]))
    start, state = start[merged], state[merged]
    end = np.append(start[1:], duration_s)
    return Schedule(start, end, state, *_postures(rng, start, end, state))


def _day(rng: np.random.Generator, day: int) -> list[tuple[float, int]]:
    """Return the bouts of a day as (start in hours, state), from midnight; the last one is sleep."""
    bouts = [(0.0, SLEEP)]
    clock = 6.6 + rng.uniform(0, 0.8)

    def add(state: int, hours: float) -> None:
        nonlocal clock
        bouts.append((clock, state))
        clock += hours

    add(MIXED, rng.uniform(0.3, 0.5))
    if rng.random() < 0.5:
        add(NONWEAR, rng.uniform(0.2, 0.4))  # in the shower: too short to be detected as non-wear
    add(SIT_STAND, rng.uniform(0.2, 0.5))
    by_bicycle = rng.random() < 0.5
    _travel(rng, add, by_bicycle=by_bicycle)
    while clock < 17.0:
        add(SIT_STAND, rng.uniform(0.5, 1.4))
        add(WALKING if rng.random() < 0.6 else MIXED, rng.uniform(0.05, 0.2))
    _travel(rng, add, by_bicycle=by_bicycle)
    add(MIXED, rng.uniform(0.3, 0.7))
    if day % 2 == 0 or rng.random() < 0.2:
        add(NONWEAR, rng.uniform(2.3, 3.2))
    else:
        add(WALKING, rng.uniform(0.4, 0.9))
    while clock < 22.3:
        add(SIT_STAND, rng.uniform(0.4, 0.9))
        add(MIXED, rng.uniform(0.05, 0.2))
    if rng.random() < 0.15:
        add(NONWEAR, 23.95 - clock)  # forgotten on the bedside table for the last hour
    add(SLEEP, 1.0)
    return bouts


def _travel(rng: np.random.Generator, add: Callable[[int, float], None], *, by_bicycle: bool) -> None:
    """Add a journey: by bicycle, or a walk, a vehicle and a walk."""
    if by_bicycle:
        add(BICYCLING, rng.uniform(0.3, 0.7))
        return
    add(WALKING, rng.uniform(0.1, 0.2))
    add(VEHICLE, rng.uniform(0.4, 0.9))
    add(WALKING, rng.uniform(0.05, 0.15))


def _postures(
    rng: np.random.Generator, start: NDArray[np.float64], end: NDArray[np.float64], state: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Return the postures of all bouts: start times, durations of turns, directions, and liveliness."""
    start_times, durations, postures, lively = [], [], [], []
    for begin, stop, k in zip(start.tolist(), end.tolist(), state.tolist(), strict=True):
        n = int((stop - begin) / _POSTURE_EVERY_S[k] * 1.6) + 8
        steps = _CHANGE_TAKES_S[k] * 2.5 + rng.exponential(_POSTURE_EVERY_S[k], n)
        if k == NONWEAR:
            # Put down, perhaps moved once soon after, then left alone: one long still stretch remains.
            steps = np.array([rng.uniform(300.0, 900.0), np.inf])
        times = begin + np.concatenate([[0.0], np.cumsum(steps)])
        times = times[times < stop - 2.5 * _CHANGE_TAKES_S[k]] if stop - begin > 10 else times[:1]
        resting = np.array(_RESTING[k], dtype=np.float64)
        towards = resting[rng.integers(0, len(resting), len(times))] + rng.normal(0, _SCATTER[k], (len(times), 3))
        start_times.append(times)
        durations.append(_CHANGE_TAKES_S[k] * rng.uniform(0.6, 1.6, len(times)))
        postures.append(towards / np.linalg.norm(towards, axis=1, keepdims=True))
        lively.append(rng.gamma(2.0, 0.06 if k != MIXED else 0.1, len(times)))
    return (
        np.concatenate(start_times),
        np.concatenate(durations),
        np.ascontiguousarray(np.concatenate(postures).T, dtype=np.float32),
        np.concatenate(lively).astype(np.float32),
    )
