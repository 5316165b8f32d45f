"""The plan of a simulated recording, made before the first byte is written, and the bytes of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imuspec.simulation import cwa
from imuspec.simulation.cwa import BLOCK, HEADER_BYTES, LoggerStretch
from imuspec.simulation.damage import BlockDamage, break_stretches
from imuspec.simulation.environment import Environment
from imuspec.simulation.motion import Motion, noise_source
from imuspec.simulation.schedule import STATE_NAMES, Schedule, draw_schedule
from imuspec.simulation.truth import Truth

__all__ = ["Miscalibration", "Plan"]

_CHUNK_BLOCKS = 1000  # a multiple of the damage's slots
_SENSOR_NOISE_G = 0.0035
_DEVICE_ID = 17_000
_SESSION = 20_230
_TORN_BYTES = 200
_GARBAGE_BYTES = 100_000


@dataclass(frozen=True)
class Miscalibration:
    """Error of the sensor: it measures ``gain * true + offset + temperature_slope * (temperature - 25)``.

    Attributes
    ----------
    gain : (float, float, float)
        Gain of x, y, z.
    offset : (float, float, float)
        Offset of x, y, z, g.
    temperature_slope : (float, float, float)
        Slope of x, y, z, g per degree Celsius.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    temperature_slope: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def draw(cls, seed: int) -> Miscalibration:
        """Return a typical error: gains within some 2 %, offsets of some 30 mg."""
        rng = np.random.default_rng([seed, 3])
        gain = 1 + rng.choice([-1, 1], 3) * rng.uniform(0.008, 0.025, 3)
        offset = rng.choice([-1, 1], 3) * rng.uniform(0.015, 0.05, 3)
        return cls(tuple(gain.round(5).tolist()), tuple(offset.round(5).tolist()))


@dataclass
class Plan:
    """The plan of one recording."""

    schedule: Schedule
    environment: Environment
    stretches: list[LoggerStretch]
    breaks: list[dict[str, Any]]
    damaged: BlockDamage
    start_ns: int
    seed: int
    kinds: tuple[str, ...]

    @classmethod
    def draw(cls, whole: LoggerStretch, *, duration_s: float, start_ns: int, seed: int, kinds: tuple[str, ...]) -> Plan:
        """Return the plan of a recording.

        Parameters
        ----------
        whole : LoggerStretch
            The blocks of the device; their number follows from `duration_s`.
        duration_s : float
            Length of the recording, s.
        start_ns : int
            Local clock at the first sample, ns since 1970.
        seed : int
            Seed of wearer, device and damage.
        kinds : tuple of str
            Kinds of damage.
        """
        second_of_day = start_ns // 10**9 % 86400
        schedule = draw_schedule(duration_s=duration_s, second_of_day=second_of_day, seed=seed)
        environment = Environment(schedule, second_of_day=second_of_day, seed=seed)
        n_blocks = int(duration_s * whole.device_rate / whole.samples_per_block)
        stretches, breaks = break_stretches(replace(whole, n_blocks=n_blocks), kinds, seed, duration_s)
        bounds = np.cumsum([s.n_blocks for s in stretches])
        damaged = BlockDamage(bounds, kinds, seed)
        return cls(schedule, environment, stretches, breaks, damaged, start_ns, seed, kinds)

    def n_bytes(self) -> int:
        """Return the size of the file before compression, bytes."""
        size = (0 if "no_header" in self.kinds else HEADER_BYTES) + self._n_blocks() * BLOCK.itemsize
        return size + (_TORN_BYTES if "truncated" in self.kinds else 0)

    def _n_blocks(self) -> int:
        """Return the number of whole blocks in the file."""
        if "empty" in self.kinds or "garbage" in self.kinds:
            return 0
        n = len(self.damaged.order)
        return int(n * 0.93) if "truncated" in self.kinds else n

    def truth(self, error: Miscalibration) -> Truth:
        """Return the truth of the recording."""
        device = self.stretches[0]
        bias = 1.5 / 256 if device.packing == "packed" else 0.0
        order = self.damaged.order[: self._n_blocks()]
        run = np.repeat(np.arange(len(self.stretches)), [s.n_blocks for s in self.stretches])[order]
        time_ns = np.concatenate([self._block_time_ns(s) for s in self.stretches])[order]
        corrupted, kind = self.damaged.corrupted()
        in_file = corrupted < len(order)
        states = np.stack([self.schedule.start_s, self.schedule.state.astype(np.float64)], axis=1)
        return Truth(
            gain=np.array(error.gain),
            offset=np.array(error.offset),
            temperature_slope=np.array(error.temperature_slope),
            offset_effective=np.array(error.offset) - bias,
            start_ns=self.start_ns,
            nominal_rate=device.nominal_rate,
            device_rate=device.device_rate,
            counts_per_g=device.counts_per_g,
            seed=self.seed,
            device="ax6" if device.packing == "ax6" else "ax3",
            block_time_ns=time_ns,
            block_samples=np.array([s.samples_per_block for s in self.stretches])[run],
            block_index=order,
            block_run=run,
            block_temperature=self.environment.temperature_c((time_ns - self.start_ns) * 1e-9),
            clock_offset_ns=np.array([s.clock_offset_ns for s in self.stretches], dtype=np.int64)[run],
            corrupted=corrupted[in_file],
            corrupted_kind=kind[in_file],
            states=states,
            state_names=STATE_NAMES,
            nonwear=self.schedule.nonwear(),
            damage=self.kinds,
            events=self._events(run),
            runs=[asdict(stretch) for stretch in self.stretches],
        )

    def _block_time_ns(self, stretch: LoggerStretch) -> NDArray[np.int64]:
        block = stretch.first_block + np.arange(stretch.n_blocks)
        seconds = stretch.sample_time_s(block * stretch.samples_per_block)
        return self.start_ns + np.rint(seconds * 1e9).astype(np.int64)

    def _events(self, run: NDArray[np.int64]) -> list[dict[str, Any]]:
        events = [
            {"kind": event["kind"], "block": int(np.searchsorted(run, event["run"]))} | event for event in self.breaks
        ]
        events += self.damaged.events()
        events = [event for event in events if event["block"] < len(run)]
        if "truncated" in self.kinds:
            events.append({"kind": "truncated", "block": len(run), "bytes": _TORN_BYTES})
        return sorted(events, key=lambda event: int(event["block"]))

    def write(self, file: IO[bytes], error: Miscalibration, progress: Callable[[float], None] | None = None) -> None:
        """Write the file's bytes, chunk by chunk; `progress` gets the share that is written."""
        if "empty" in self.kinds:
            return
        if "garbage" in self.kinds:
            file.write(np.random.default_rng([self.seed, 6]).bytes(_GARBAGE_BYTES))
            return
        total = remaining = self.n_bytes()
        for chunk in self._chunks(error):
            file.write(chunk[:remaining])
            remaining -= len(chunk)
            if progress is not None:
                progress(1 - max(remaining, 0) / total)
            if remaining <= 0:
                return

    def _chunks(self, error: Miscalibration) -> Iterator[bytes]:
        if "no_header" not in self.kinds:
            yield self._header()
        motion = Motion(self.schedule, self.seed)
        order = self.damaged.order
        reached = np.maximum.accumulate(order)
        recorded = 0
        for stretch in self.stretches:
            done = 0
            while done < stretch.n_blocks:
                # Chunks end on whole slots of the damage, so that no damage crosses a chunk.
                room = _CHUNK_BLOCKS - recorded % _CHUNK_BLOCKS
                n = min(room, stretch.n_blocks - done)
                rng = noise_source(self.seed, 7, recorded)
                blocks = self._chunk(stretch, done + np.arange(n), motion=motion, error=error, rng=rng)
                self.damaged.spoil(blocks, recorded)
                first, last = np.searchsorted(reached, [recorded, recorded + n])
                whole = last - first == n and not self.damaged.positions
                yield (blocks if whole else blocks[order[first:last] - recorded]).tobytes()
                done += n
                recorded += n

    def _header(self) -> bytes:
        device = self.stretches[0]
        return cwa.header(
            device_id=_DEVICE_ID + self.seed % 1000,
            session=_SESSION,
            start_ns=self.start_ns,
            rate=device.nominal_rate,
            ax6=device.packing == "ax6",
            annotation={"_sc": f"simulated {self.seed}", "_p": "left wrist", "_so": "imuspec", "_n": "no real person"},
        )

    def _chunk(
        self,
        stretch: LoggerStretch,
        index: NDArray[np.int64],
        *,
        motion: Motion,
        error: Miscalibration,
        rng: np.random.Generator,
    ) -> NDArray[np.void]:
        """Return consecutive blocks of a stretch, with checksums."""
        block = stretch.first_block + index
        n_samples = len(block) * stretch.samples_per_block
        ends = stretch.sample_time_s(np.array([0, n_samples]) + block[0] * stretch.samples_per_block)
        signal, rotation = motion.acceleration(
            float(ends[0]),
            float(ends[1] - ends[0]) / n_samples,
            n_samples,
            rng,
            with_rotation=stretch.packing == "ax6",
        )
        blocks = np.zeros(len(block), dtype=BLOCK)
        block_s = np.float64(1e-9) * (cwa.stamp(blocks, stretch, block, self.start_ns) - self.start_ns)
        celsius = self.environment.temperature_c(block_s)
        _sense(signal, rng, error, np.repeat(celsius - 25.0, stretch.samples_per_block), stretch.counts_per_g)
        if rotation is not None:
            rotation += np.float32(0.12) * rng.standard_normal(rotation.shape, dtype=np.float32)
            rotation += np.array([[0.4], [-0.6], [0.2]], dtype=np.float32)  # a gyroscope's offset
        blocks["samples"] = cwa.pack_samples(signal, rotation, stretch.packing)
        blocks["temperature"] = np.rint((celsius + 50.0) * (256 / 75)).astype(np.uint16)
        blocks["light"] = self.environment.light_raw(block_s)
        blocks["battery"] = np.rint(self.environment.battery_v(block_s) * (1024 / 6) - 512).astype(np.uint8)
        cwa.describe(blocks, stretch, block, _SESSION)
        cwa.seal(blocks)
        return blocks


def _sense(
    signal: NDArray[np.float32],
    rng: np.random.Generator,
    error: Miscalibration,
    warmth: NDArray[np.float64],
    counts_per_g: float,
) -> None:
    """Convert true g to counts of the sensor in place: first the miscalibration, then noise."""
    for k in range(3):
        signal[k] *= error.gain[k] * counts_per_g
        if error.temperature_slope[k]:
            signal[k] += (error.temperature_slope[k] * counts_per_g * warmth).astype(np.float32)
        noise = rng.standard_normal(signal.shape[1], dtype=np.float32)
        noise *= _SENSOR_NOISE_G * counts_per_g
        noise += error.offset[k] * counts_per_g
        signal[k] += noise
