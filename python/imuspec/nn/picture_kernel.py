"""The kernel of `imuspec.nn.fused`, in Triton, a dialect of Python that a just-in-time compiler translates for a GPU."""
# mypy: ignore-errors

from __future__ import annotations

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

__all__ = ["draw_axis", "triton"]


def _jit(function):
    return function if triton is None else triton.jit(function)


@_jit
def _samples(x, offset, index, inside, scale, INTEGERS: tl.constexpr):  # the names of Triton's constants
    """Return samples as float32; NaN for those that are missing, 0 outside."""
    value = tl.load(x + offset + index, mask=inside, other=0)
    if INTEGERS:
        whole = value.to(tl.float32) * scale
        return tl.where(value == -32768, float("nan"), whole)
    return value.to(tl.float32)


@_jit
def draw_axis(
    x, out, lost, transform, leakage, factors, grey, means, stds, horizontal, vertical,
    scale, low, high, n, length, frames, bins, rows, columns,
    NFFT: tl.constexpr, HOP: tl.constexpr, TIME: tl.constexpr, FRAMES: tl.constexpr, BINS: tl.constexpr,
    DEPTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, TILE: tl.constexpr,
    INTEGERS: tl.constexpr, OCTETS: tl.constexpr, FIXED: tl.constexpr, LINEAR: tl.constexpr,
    RESIZED: tl.constexpr, ROUNDS: tl.constexpr,
):  # fmt: skip
    """Draw one axis of one window."""
    axis = tl.program_id(0)
    offset = axis.to(tl.int64) * n
    time = tl.arange(0, TIME)
    mean = tl.sum(_samples(x, offset, time, time < n, scale, INTEGERS), 0) / length
    frame, bin_ = tl.arange(0, FRAMES), tl.arange(0, BINS)
    real = tl.zeros((FRAMES, BINS), tl.float32)
    imaginary = tl.zeros((FRAMES, BINS), tl.float32)
    for first in range(0, NFFT, DEPTH):
        step = first + tl.arange(0, DEPTH)
        position = frame[:, None] * HOP + step[None, :]
        used = (frame[:, None] < frames) & (step[None, :] < NFFT)
        values = _samples(x, offset, position, used & (position < n), scale, INTEGERS)
        values = tl.where(used, values - mean, 0.0)
        inside = (step[:, None] < NFFT) & (bin_[None, :] < bins)
        cells = transform + step[:, None] * (2 * bins) + bin_[None, :]
        real += tl.dot(values, tl.load(cells, mask=inside, other=0.0), input_precision="tf32x3")
        imaginary += tl.dot(values, tl.load(cells + bins, mask=inside, other=0.0), input_precision="tf32x3")
    known = bin_ < bins
    real += mean * tl.load(leakage + bin_, mask=known, other=0.0)[None, :]
    imaginary += mean * tl.load(leakage + bins + bin_, mask=known, other=0.0)[None, :]
    power = (real * real + imaginary * imaginary) * tl.load(factors + bin_, mask=known, other=0.0)[None, :]
    drawn = (frame[:, None] < frames) & known[None, :]
    missing = tl.max(tl.max((drawn & (~(power < float("inf")))).to(tl.int32), 1), 0)
    tl.store(lost + axis, missing.to(tl.int8))
    drawn = drawn & (power > 0)
    power = tl.where(drawn, power, 1.0)
    tiny = power < 1e-30  # the logarithm of a GPU takes numbers below 1e-38 for zero
    db = (tl.log2(tl.where(tiny, power * 1.152921504606847e18, power)) - tl.where(tiny, 60.0, 0.0)) * 3.010299956639812
    if FIXED:
        lowest, highest = low, high
    else:
        lowest = tl.min(tl.min(tl.where(drawn, db, float("inf")), 1), 0)
        highest = tl.max(tl.max(tl.where(drawn, db, float("-inf")), 1), 0)
    span = tl.zeros_like(db) + (highest - lowest)
    drawn = drawn & (span > 0)
    share = tl.where(drawn, (db - lowest) / tl.where(span > 0, span, 1.0), 0.0)
    if FIXED:
        share = tl.minimum(tl.maximum(share, 0.0), 1.0)
    if LINEAR:
        levels = tl.where(drawn, tl.floor(255 * share + 0.5), 0.0)
    else:
        index = tl.minimum(tl.maximum(tl.floor(256 * tl.where(drawn, share, 0.0)), 0.0), 255.0).to(tl.int32)
        levels = tl.where(drawn, tl.load(grey + index).to(tl.float32), 0.0)
    levels = tl.where(missing > 0, 0.0, levels)
    channel = axis % 3
    centre, spread = tl.load(means + channel), tl.load(stds + channel)
    target = out + axis.to(tl.int64) * rows * columns
    if RESIZED:
        levels16 = levels.to(tl.float16)
        row = tl.arange(0, ROWS)
        weights = vertical + row[:, None] * BINS + bin_[None, :]
        for left in range(0, COLUMNS, TILE):
            column = left + tl.arange(0, TILE)
            cells = horizontal + column[:, None] * FRAMES + frame[None, :]
            wide = tl.dot(tl.load(cells), levels16)  # [TILE, BINS]
            wide += tl.dot(tl.load(cells + COLUMNS * FRAMES), levels16)
            if ROUNDS:
                wide = tl.floor(wide + 0.5)
            wide16 = wide.to(tl.float16)
            picture = tl.dot(tl.load(weights), tl.trans(wide16))  # [ROWS, TILE]
            picture += tl.dot(tl.load(weights + ROWS * BINS), tl.trans(wide16))
            if not ROUNDS:
                picture += tl.dot(tl.load(weights), tl.trans((wide - wide16.to(tl.float32)).to(tl.float16)))
            picture = tl.minimum(tl.maximum(tl.floor(picture + 0.5), 0.0), 255.0)
            inside = (row[:, None] < rows) & (column[None, :] < columns)
            _write(target + row[:, None] * columns + column[None, :], picture, inside, missing, centre, spread, OCTETS)
    else:
        cells = target + (bins - 1 - bin_[None, :]) * columns + frame[:, None]
        _write(cells, levels, (frame[:, None] < frames) & known[None, :], missing, centre, spread, OCTETS)


@_jit
def _write(cells, levels, inside, missing, centre, spread, OCTETS: tl.constexpr):
    """Store levels as uint8, or normalised as float32, with NaN in the channel of a missing sample."""
    if OCTETS:
        tl.store(cells, levels.to(tl.uint8), mask=inside)
    else:
        normalised = (levels / 255 - centre) / spread
        tl.store(cells, tl.where(missing > 0, float("nan"), normalised), mask=inside)
