"""The true acceleration of a wrist: gravity by posture, and the movement of each behaviour.

The signal can be evaluated on any stretch of evenly spaced times, so that a week is computed in chunks of a few megabytes. It
has the shapes of wrist recordings: breathing of a milli-g in a still night, harmonics of the step frequency on a swinging
arm, broadband vibration of a bicycle, the narrow hum of a vehicle, and gestures at a desk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from imuspec.simulation.schedule import (
    BICYCLING,
    MIXED,
    SIT_STAND,
    SLEEP,
    STATE_NAMES,
    VEHICLE,
    WALKING,
    Schedule,
    draw_schedule,
)

__all__ = ["STATE_NAMES", "Motion", "noise_source", "wrist_motion"]

F32 = NDArray[np.float32]
TWO_PI = 2.0 * np.pi
_PIECE = 120_000


def noise_source(*key: int) -> np.random.Generator:
    """Return the random generator of one stretch; the same key gives the same numbers."""
    return np.random.Generator(np.random.SFC64(list(key)))


@dataclass
class Motion:
    """The true signal of one wearer.

    Parameters
    ----------
    schedule : Schedule
        Behaviour of the wearer.
    seed : int
        Seed of the wearer's gait, cadence, road and vehicle.
    """

    schedule: Schedule
    seed: int
    _traits: F32 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n_bouts = len(self.schedule.state)
        self._traits = np.random.default_rng([self.seed, 2]).random((n_bouts, 12)).astype(np.float32)

    def acceleration(
        self, start_s: float, step_s: float, n: int, rng: np.random.Generator, *, with_rotation: bool = False
    ) -> tuple[F32, F32 | None]:
        """Return the true acceleration at ``start_s + step_s * arange(n)``.

        Parameters
        ----------
        start_s, step_s : float
            First time, and distance of times, s.
        n : int
            Number of times.
        rng : numpy.random.Generator
            Random generator of the stretch.
        with_rotation : bool, default False
            Whether to return the angular rate.

        Returns
        -------
        acceleration
            float32 [3, n], g.
        rotation
            float32 [3, n], degrees per second: the smallest rotation that turns gravity accordingly; or None.
        """
        signal, lively = self._gravity(start_s, step_s, n)
        first = int(np.searchsorted(self.schedule.end_s, start_s, side="right"))
        parts = []
        for bout in range(first, len(self.schedule.state)):
            lo = max(0, int(np.ceil((self.schedule.start_s[bout] - start_s) / step_s)))
            hi = min(n, int(np.ceil((self.schedule.end_s[bout] - start_s) / step_s)))
            if bout == len(self.schedule.state) - 1:
                hi = n
            if lo < hi:
                parts.append((bout, lo, hi))
            if hi >= n:
                break
        phases: dict[int, F32] = {}
        for bout, lo, hi in parts:
            if self.schedule.state[bout] == WALKING:
                phases[bout] = self._phase(bout, start_s + lo * step_s, step_s, hi - lo)
                self._swing(bout, signal[:, lo:hi], phases[bout])
        rotation = _rotation(signal, step_s) if with_rotation else None
        for index, shake in lively:
            # Hands shake below some 8 Hz: a moving mean of the noise over 60 ms, scaled to its standard deviation.
            width = max(1, round(0.06 / step_s))
            total = np.cumsum(rng.standard_normal((3, len(index) + width), dtype=np.float32), axis=1)
            signal[:, index] += shake * ((total[:, width:] - total[:, :-width]) / np.float32(np.sqrt(width) / 1.6))
        for bout, lo, hi in parts:
            self._add(bout, signal[:, lo:hi], start_s + lo * step_s, step_s, rng=rng, phase=phases.get(bout))
        return signal, rotation

    def _gravity(self, start_s: float, step_s: float, n: int) -> tuple[F32, list[tuple[NDArray[np.int64], F32]]]:
        """Return gravity by posture with smooth turns, and the samples and amplitudes of the shaking during turns."""
        plan = self.schedule
        first = max(0, int(np.searchsorted(plan.posture_s, start_s, side="right")) - 1)
        last = max(first + 1, int(np.searchsorted(plan.posture_s, start_s + n * step_s, side="left")))
        starts = np.ceil((plan.posture_s[first:last] - start_s) / step_s).astype(np.int64)
        starts = np.clip(starts, 0, n)
        starts[0] = 0
        lengths = np.diff(np.append(starts, n))
        gravity = np.repeat(plan.posture[:, first:last], lengths, axis=1)
        # All samples of all turns are one flat index, to avoid a loop over postures.
        takes = plan.change_s[first:last]
        begins = (plan.posture_s[first:last] - start_s) / step_s
        length = np.ceil(takes / step_s).astype(np.int64)
        begin = np.ceil(begins).astype(np.int64)
        turn = np.repeat(np.arange(len(length)), length)
        index = np.arange(len(turn)) - np.repeat(np.cumsum(length) - length, length) + begin[turn]
        inside = (index >= 0) & (index < n) & (turn + first > 0)
        index, turn = index[inside], turn[inside]
        if len(index) == 0:
            return gravity, []
        done = np.clip((index - begins[turn]) * (step_s / takes[turn]), 0, 1).astype(np.float32)
        ease = done * done * (3 - 2 * done)
        turning = plan.posture[:, turn + first - 1] * (1 - ease) + plan.posture[:, turn + first] * ease
        turning /= np.maximum(np.sqrt(np.einsum("ij,ij->j", turning, turning)), np.float32(0.2))
        gravity[:, index] = turning
        shake = plan.liveliness[turn + first] * (4 * done * (1 - done))
        return gravity, [(index, shake.astype(np.float32))]

    def _phase(self, bout: int, start_s: float, step_s: float, n: int) -> F32:
        """Return the phase of the cyclic movement of a bout in [0, 2 pi): one cycle per stride or turn of the pedals."""
        trait = self._traits[bout]
        cycle_hz = (0.86 if self.schedule.state[bout] == WALKING else 1.15) + 0.14 * float(trait[0])
        tau = start_s - float(self.schedule.start_s[bout]) + step_s * np.arange(n)
        turns = cycle_hz * tau
        turns += 0.35 * np.sin((TWO_PI / 23.0) * tau + TWO_PI * float(trait[1]))
        turns += 0.12 * np.sin((TWO_PI / 7.3) * tau + TWO_PI * float(trait[2]))
        turns -= np.floor(turns)
        turns *= TWO_PI
        return turns.astype(np.float32)

    def _swing(self, bout: int, gravity: F32, phase: F32) -> None:
        """Add the swing of the arm: gravity moves to and fro across the forearm once per stride."""
        angle = (0.25 + 0.3 * self._traits[bout, 3]) * np.sin(phase)
        gravity[1] += 0.85 * angle
        gravity[2] += 0.5 * angle
        gravity /= np.sqrt(np.einsum("ij,ij->j", gravity, gravity))

    def _add(
        self, bout: int, signal: F32, start_s: float, step_s: float, *, rng: np.random.Generator, phase: F32 | None
    ) -> None:
        """Add the movement of the bout's behaviour."""
        state = self.schedule.state[bout]
        n = signal.shape[1]
        if state == SLEEP:
            breath = TWO_PI * 0.24 * (start_s % 3600.0 + step_s * np.arange(n))
            signal[2] += np.float32(0.0012) * np.sin(breath.astype(np.float32))
        elif state == SIT_STAND:
            signal += _wander(rng, n, 0.006, step_s)
        elif state == WALKING and phase is not None:
            self._walk(bout, signal, phase, rng, step_s)
        elif state == BICYCLING:
            self._cycle(bout, signal, start_s, step_s, rng)
        elif state == VEHICLE:
            self._drive(bout, signal, start_s, step_s, rng)
        elif state == MIXED:
            signal += _wander(rng, n, 0.11, step_s)

    def _walk(self, bout: int, signal: F32, phase: F32, rng: np.random.Generator, step_s: float) -> None:
        trait = self._traits[bout]
        vigour = 0.7 + 0.6 * trait[4]
        # A step is half a stride: even harmonics are the steps, odd ones the asymmetry of one arm.
        along = 0.22 * np.sin(2 * phase + 0.4) + 0.10 * np.sin(4 * phase + 1.9) + 0.05 * np.sin(6 * phase + 0.7)
        across = 0.16 * np.sin(phase + 0.9) + 0.09 * np.sin(2 * phase + 2.1) + 0.04 * np.sin(3 * phase)
        strike = np.exp(14 * (np.cos(2 * phase - 1.0) - 1))  # the heel meets the ground, once a step
        along += 0.35 * strike * (1 + 0.4 * np.sin(3.1 * phase))
        signal[0] += vigour * (along + 0.08 * np.sin(phase + 1.1))
        signal[1] += vigour * across
        signal[2] += vigour * (0.13 * np.sin(2 * phase + 1.3) + 0.06 * np.sin(3 * phase + 0.2))
        signal += _wander(rng, signal.shape[1], 0.05, step_s)

    def _cycle(self, bout: int, signal: F32, start_s: float, step_s: float, rng: np.random.Generator) -> None:
        n = signal.shape[1]
        phase = self._phase(bout, start_s, step_s, n)
        rough = np.float32(0.05 + 0.08 * self._traits[bout, 5])
        surface = 1 + 0.6 * np.sin(np.float32(0.21) * phase)  # better and worse stretches of road
        shake = rng.standard_normal((3, n), dtype=np.float32)
        shake[:, 2:] -= 0.7 * shake[:, :-2]
        signal += rough * surface * shake
        signal[0] += 0.04 * np.sin(phase)
        signal[2] += 0.03 * np.sin(2 * phase + 0.5)

    def _drive(self, bout: int, signal: F32, start_s: float, step_s: float, rng: np.random.Generator) -> None:
        n = signal.shape[1]
        trait = self._traits[bout]
        tau = start_s - float(self.schedule.start_s[bout]) + step_s * np.arange(n)
        speed = (0.5 + 0.5 * np.sin(TWO_PI / 95.0 * tau + float(trait[6]))).astype(np.float32)
        hum = ((9.0 + 4.0 * float(trait[7])) * tau + 12 * np.sin(TWO_PI / 41.0 * tau)) % 1.0
        signal[2] += 0.018 * speed * np.sin(np.float32(TWO_PI) * hum.astype(np.float32))
        signal[1] += 0.05 * speed * np.sin((TWO_PI / 17.0 * tau).astype(np.float32))  # bends
        shake = rng.standard_normal((3, n), dtype=np.float32)
        shake[:, 1:] += shake[:, :-1]
        signal += np.float32(0.012) * (0.3 + speed) * shake


def _wander(rng: np.random.Generator, n: int, size_g: float, step_s: float) -> F32:
    """Return the small movements of a resting hand [3, n]: noise below some 5 Hz with a varying amplitude."""
    coarse = max(1, round(0.1 / step_s))
    m = n // coarse + 3
    knots = rng.standard_normal((3, m), dtype=np.float32) * rng.gamma(0.6, 1.5, m).astype(np.float32)
    knots *= np.float32(size_g)
    # Straight lines between the knots, all at once: value + fraction * slope.
    fraction = (np.arange(coarse, dtype=np.float32) / np.float32(coarse))[None, None, :]
    slope: F32 = np.diff(knots, axis=1)[:, :, None]
    return (knots[:, :-1, None] + fraction * slope).reshape(3, -1)[:, :n]


def _rotation(gravity: F32, step_s: float) -> F32:
    """Return the angular velocity perpendicular to gravity, degrees/s: with d(g)/dt = g x w, w = d(g)/dt x g."""
    rate = np.empty_like(gravity)
    rate[:, 1:-1] = (gravity[:, 2:] - gravity[:, :-2]) / np.float32(2 * step_s)
    rate[:, 0] = rate[:, 1] if gravity.shape[1] > 2 else 0
    rate[:, -1] = rate[:, -2] if gravity.shape[1] > 2 else 0
    turned = np.empty_like(gravity)
    for k in range(3):
        a, b = (k + 1) % 3, (k + 2) % 3
        turned[k] = rate[a] * gravity[b] - rate[b] * gravity[a]
    return turned * np.float32(180.0 / np.pi)


def wrist_motion(
    *, days: float = 1.0, seed: int = 0, sample_rate: float = 100.0, start: str | datetime = "2023-05-15T10:00:00"
) -> tuple[F32, NDArray[np.int64], NDArray[np.int64]]:
    """Return the true signal of a wearer, evenly sampled and without errors of a sensor: input for the writers.

    Parameters
    ----------
    days : float, default 1.0
        Length, days.
    seed : int, default 0
        Seed of the wearer, as in ``simulate``.
    sample_rate : float, default 100.0
        Sample rate, Hz.
    start : str or datetime, default "2023-05-15T10:00:00"
        Local time of the first sample.

    Returns
    -------
    acceleration
        float32 [3, n], g.
    time
        int64 [n], ns of the local clock.
    state
        int64 [n], index into ``STATE_NAMES``.

    Examples
    --------
    >>> acceleration, time, state = wrist_motion(days=0.01, sample_rate=50.0)
    >>> acceleration.shape, time.dtype, STATE_NAMES[state[0]]
    ((3, 43200), dtype('int64'), 'sit-stand')
    """
    if not days > 0 or not sample_rate > 0:
        raise ValueError(f"days, sample_rate: expected both above 0, got {days} and {sample_rate}")
    start_ns = int(np.datetime64(start, "ns").astype(np.int64))
    duration_s = days * 86400.0
    schedule = draw_schedule(duration_s=duration_s, second_of_day=start_ns / 1e9 % 86400, seed=seed)
    motion = Motion(schedule, seed)
    n = max(2, int(duration_s * sample_rate))
    acceleration = np.empty((3, n), dtype=np.float32)
    for lo in range(0, n, _PIECE):
        hi = min(n, lo + _PIECE)
        rng = noise_source(seed, 9, lo)
        acceleration[:, lo:hi] = motion.acceleration(lo / sample_rate, 1 / sample_rate, hi - lo, rng)[0]
    seconds = np.arange(n) / sample_rate
    bout = np.searchsorted(schedule.end_s, seconds, side="right").clip(max=len(schedule.state) - 1)
    return acceleration, start_ns + np.rint(seconds * 1e9).astype(np.int64), schedule.state[bout]
