"""Find when a device was worn, and the stretches of wear that are long enough."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from imuspec import _core
from imuspec.signal.arrays import Float32, Int64, Recorded, as_nanoseconds, as_three_axes, as_times
from imuspec.signal.calibration import statistics_of

_SLIDE_S = 1.0


@dataclass(frozen=True)
class Wear:
    """Where a device was worn.

    Attributes
    ----------
    segments : int64 array
        Wear without a break, at least ``min_wear_h`` long, ``[k, 2]``: samples ``start`` to before ``stop``.
    segment_times : int64 array
        The same ``[k, 2]`` in ns: from the first sample to one sample period after the last.
    nonwear : int64 array
        Non-wear episodes ``[m, 2]``: samples ``start`` to before ``stop``.
    nonwear_times : int64 array
        The same ``[m, 2]`` in ns.
    short_times : int64 array
        Wear between breaks that is shorter than ``min_wear_h``, ``[j, 2]`` ns.
    """

    segments: Int64
    segment_times: Int64
    nonwear: Int64
    nonwear_times: Int64
    short_times: Int64

    @property
    def wear_h(self) -> float:
        """Hours in segments."""
        return float((self.segment_times[:, 1] - self.segment_times[:, 0]).sum() / 3.6e12)

    @property
    def nonwear_h(self) -> float:
        """Hours in non-wear episodes."""
        return float((self.nonwear_times[:, 1] - self.nonwear_times[:, 0]).sum() / 3.6e12)


def wear_segments(
    recording: Recorded | ArrayLike,
    time: ArrayLike | None = None,
    *,
    tolerance_g: float = 0.013,
    nonwear_min: float = 90.0,
    min_wear_h: float = 24.0,
    max_gap_s: float = 1.0,
    windows: Literal["fixed", "sliding"] = "fixed",
    length_rule: Literal["whole", "actipy"] = "whole",
) -> Wear:
    """Non-wear, and the wear segments between non-wear and gaps.

    A 10 s window is still when the standard deviation of each axis is below ``tolerance_g``. Still windows without a
    break for longer than ``nonwear_min`` are non-wear. A segment ends at non-wear and at any gap longer than
    ``max_gap_s``, and counts from ``min_wear_h`` on.

    Gaps: a NaN sample takes the last value before it, so it looks still and a still stretch goes on across it; a window
    without any row breaks the stretch (both as in actipy). Either kind of gap, once longer than ``max_gap_s``, ends a
    segment.

    Parameters
    ----------
    recording : Recorded or array_like
        A recording with ``acceleration`` and ``time``, or acceleration ``[3, time]``, g, which comes calibrated.
    time : array_like, optional
        ``[time]``, int64 ns, rising; for an array.
    tolerance_g : float, default 0.013
        Standard deviation below which an axis is still, g.
    nonwear_min : float, default 90.0
        Still for longer than this is not worn, minutes.
    min_wear_h : float, default 24.0
        Shortest segment to report, hours.
    max_gap_s : float, default 1.0
        Longest gap inside a segment, s.
    windows : {"fixed", "sliding"}, default "fixed"
        ``"fixed"``: windows follow one another from the first sample. ``"sliding"``: one begins every second.
    length_rule : {"whole", "actipy"}, default "whole"
        ``"whole"``: k windows of 10 s last 10 k s. ``"actipy"``: they last 10 (k - 1) s and end with the last one's
        first sample, so that a little over 90 min 10 s of stillness is needed.

    Returns
    -------
    Wear

    Raises
    ------
    ValueError
        For options outside their domain or shapes that do not fit.

    References
    ----------
    actipy 3.8.3 ``flag_nonwear``; van Hees et al. 2011, doi:10.1371/journal.pone.0022922, for the idea.

    Examples
    --------
    >>> import numpy as np, imuspec
    >>> time = np.arange(4 * 3600) * 10**9
    >>> x = np.random.default_rng(0).normal(0, 0.1, (3, time.size))
    >>> x[:, 3600:10800] = 0.5
    >>> wear = imuspec.wear_segments(x, time, min_wear_h=0.5)
    >>> wear.segments.tolist(), wear.nonwear.tolist()
    ([[0, 3600], [10800, 14400]], [[3600, 10800]])
    """
    acceleration: ArrayLike
    if isinstance(recording, Recorded):
        acceleration, time = recording.acceleration, recording.time
    elif time is None:
        raise ValueError("time: expected the samples' times beside an array")
    else:
        acceleration = recording
    if windows not in ("fixed", "sliding"):
        raise ValueError(f"windows: expected fixed or sliding, got {windows!r}")
    if length_rule not in ("whole", "actipy"):
        raise ValueError(f"length_rule: expected whole or actipy, got {length_rule!r}")
    x = as_three_axes(acceleration)
    times = as_times(time, x.shape[1])
    patience, shortest = as_nanoseconds("nonwear_min", nonwear_min, 60), as_nanoseconds("min_wear_h", min_wear_h, 3600)
    gap = as_nanoseconds("max_gap_s", max_gap_s)
    sliding = windows == "sliding"
    step_s = _SLIDE_S if sliding else 10.0
    # Where a clock was set back the recording is taken in parts, so that a time names one sample only.
    parts = [0, *(np.flatnonzero(np.diff(times) <= 0) + 1).tolist(), times.size]
    index: list[list[Int64]] = [[], []]
    times_ns: list[list[Int64]] = [[], []]
    for start, stop in itertools.pairwise(parts):
        part, part_times = x[:, start:stop], times[start:stop]
        table = statistics_of(part, part_times, step_s, fill=True, slide_by=10 if sliding else 1)
        result = _core.wear_episodes(
            table.start,
            table.mean,
            table.sd,
            _runs(part, part_times, gap),
            {
                "tolerance_g": float(tolerance_g),
                "window_ns": 10**10,
                "step_ns": round(step_s * 1e9),
                "patience_ns": patience,
                "rule": length_rule,
            },
        )
        for episodes, indices, moments in zip(result, index, times_ns, strict=True):
            indices.append(np.searchsorted(part_times, episodes) + start)
            moments.append(episodes)
    nonwear, wear = np.concatenate(index[0]), np.concatenate(index[1])
    nonwear_times, wear_times = np.concatenate(times_ns[0]), np.concatenate(times_ns[1])
    long = wear_times[:, 1] - wear_times[:, 0] >= shortest
    return Wear(wear[long], wear_times[long], nonwear, nonwear_times, wear_times[~long])


def _runs(x: Float32, times: Int64, max_gap: int) -> Int64:
    """Stretches ``[k, 2]`` ns of present samples at most ``max_gap`` apart, to one sample period after the last."""
    present = times[~np.isnan(x).any(axis=0)]
    if present.size == 0:
        return np.empty((0, 2), np.int64)
    steps = np.diff(present)
    period = int(np.median(steps[:100_000])) if steps.size else 0
    breaks = np.flatnonzero(steps > max_gap)
    first = np.concatenate(([0], breaks + 1))
    last = np.concatenate((breaks, [present.size - 1]))
    return np.stack((present[first], present[last] + max(min(period, max_gap), 1)), axis=1)
