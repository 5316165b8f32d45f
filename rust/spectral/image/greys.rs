//! Cells of power -> greys.
//!
//! [`Tone::grey`] is the definition; [`Greys`] paints the cells of [`super::power`] a vector at a time. There the table of
//! `Greys`, which is linear between nine anchors, is a sum of seven hinges; processors that can look bytes up have a file of
//! their own.
//! Loops here are plain ones: a closure inside a kernel that is not inlined is not compiled for the kernel's path.
#![allow(unsafe_code)]

use super::bytes::{TILE, transpose};
#[cfg(target_arch = "aarch64")]
use super::greys_neon;
#[cfg(target_arch = "x86_64")]
use super::greys_x86;
use super::levels::{ANCHORS, BLOCK, Tone, WHOLE, hundredths};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::cpu::Path;
use crate::spectral::lanes::log::{OCTAVE, scaled_normal};
use crate::spectral::lanes::{Cpu, Kernel, Lanes};

/// Paints cells of power, [block, bin, `BLOCK`], as greys [frame, bin].
pub struct Greys<'a> {
    /// The curve.
    pub tone: Tone,
    /// Powers.
    pub cells: &'a [f32],
    /// log2 of the powers that become black and white.
    pub ends: [f64; 2],
    /// Bins of a frame.
    pub bins: usize,
    /// Bytes from one frame of `out` to the next: `bins` rounded up to [`TILE`].
    pub pitch: usize,
    /// Whole blocks of frames.
    pub out: &'a mut [u8],
}

impl Kernel<f32> for Greys<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) {
        match self.tone {
            Tone::Greys => self.paint::<V, 0>(cpu),
            Tone::Linear => self.paint::<V, 1>(cpu),
            Tone::Android => self.paint::<V, 2>(cpu),
        }
    }
}

impl Greys<'_> {
    #[inline(always)]
    fn paint<V: Lanes<T = f32>, const TONE: u8>(self, cpu: Cpu<V>) {
        let steps = if TONE == 0 { 256.0 } else { 255.0 };
        let [low, high] = self.ends;
        let gain = (steps / (high - low)) as f32;
        let offset = (-low * steps / (high - low)) as f32;
        // There a power below the normal ones, whose logarithm is not to be trusted, would have to be looked for.
        #[cfg(target_arch = "x86_64")]
        if low >= f64::from(f32::MIN_EXP - 1) {
            let grid = [self.bins, self.pitch];
            if V::PATH == Path::Avx512 {
                // SAFETY: `cpu` is proof of the path's instructions.
                return unsafe { greys_x86::paint_avx512::<TONE>(self.cells, gain, offset, grid, self.out) };
            } else if V::PATH == Path::Avx2 {
                // SAFETY: as above.
                return unsafe { greys_x86::paint_avx2::<TONE>(self.cells, gain, offset, grid, self.out) };
            }
        }
        #[cfg(target_arch = "aarch64")]
        if V::PATH == Path::Neon && low >= f64::from(f32::MIN_EXP - 1) {
            let grid = [self.bins, self.pitch];
            // SAFETY: NEON is part of 64-bit ARM.
            return unsafe { greys_neon::paint::<TONE>(self.cells, gain, offset, grid, self.out) };
        }
        let blocks = self.cells.chunks_exact(self.bins * BLOCK).zip(self.out.chunks_exact_mut(BLOCK * self.pitch));
        for (cells, out) in blocks {
            for first in (0..self.bins).step_by(TILE) {
                let mut tile = [[0u8; TILE]; TILE];
                for (bytes, powers) in tile.iter_mut().zip(cells[first * BLOCK..].chunks_exact(BLOCK)) {
                    let mut greys = [0u32; BLOCK];
                    for lane in (0..BLOCK).step_by(V::N) {
                        // SAFETY: powers and greys hold BLOCK values, N divides BLOCK.
                        unsafe {
                            let power = cpu.load(powers.as_ptr().add(lane));
                            let height = scaled_normal(power, OCTAVE).mul_add(cpu.splat(gain), cpu.splat(offset));
                            let height = power.select_less(cpu.splat(f32::MIN_POSITIVE), cpu.splat(0.0), height);
                            grey::<V, TONE>(height).store(greys.as_mut_ptr().cast::<f32>().add(lane));
                        }
                    }
                    *bytes = low_bytes(cpu, &greys);
                }
                let to = &mut out[first..];
                assert!(to.len() >= (BLOCK - 1) * self.pitch + TILE, "greys have rows of whole tiles");
                // SAFETY: just checked.
                unsafe { transpose(tile.as_ptr().cast(), TILE, to.as_mut_ptr(), self.pitch) };
            }
        }
    }
}

/// Greys of heights in levels, in the low bits of each lane.
#[inline(always)]
fn grey<V: Lanes<T = f32>, const TONE: u8>(height: V) -> V {
    let cpu = height.cpu();
    let whole = cpu.splat(WHOLE);
    let height = height.max(cpu.splat(0.0)).min(cpu.splat(255.0));
    match TONE {
        0 => {
            let near = height.add(whole).sub(whole);
            let level = height.select_less(near, near.sub(cpu.splat(1.0)), near);
            // The table cuts the red, so the grey is rounded up; a rise is a whole number or 1 / 255 away from one.
            rise(level).add(cpu.splat(0.498)).add(whole)
        }
        1 => height.add(whole),
        _ => hundredths(height.add(whole).sub(whole)).add(whole),
    }
}

/// The greys' curve above `level`, by hinges.
#[inline(always)]
fn rise<V: Lanes<T = f32>>(level: V) -> V {
    let cpu = level.cpu();
    let mut rise = level.mul(cpu.splat(slope(0)));
    for k in 1..8 {
        let begin = cpu.splat(255.0 * k as f32 / 8.0);
        rise = level.max(begin).sub(begin).mul_add(cpu.splat(slope(k) - slope(k - 1)), rise);
    }
    rise
}

/// Rise of the greys a level, from anchor k to k + 1, which is at level 255 (k + 1) / 8.
#[inline(always)]
const fn slope(k: usize) -> f32 {
    (ANCHORS[k] - ANCHORS[k + 1]) as f32 * (8.0 / 255.0)
}

/// The low byte of each.
#[inline(always)]
fn low_bytes<V: Lanes>(_: Cpu<V>, words: &[u32; BLOCK]) -> [u8; TILE] {
    let mut out = [0u8; TILE];
    #[cfg(target_arch = "x86_64")]
    if V::PATH == Path::Avx512 {
        // SAFETY: the first argument is proof of the path's instructions, AVX-512F among them.
        return unsafe { low_bytes_avx512(words) };
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; 16 words in, 16 bytes out.
    unsafe {
        use std::arch::x86_64::*;
        let (from, byte) = (words.as_ptr().cast::<__m128i>(), _mm_set1_epi32(0xff));
        let low = _mm_packs_epi32(
            _mm_and_si128(_mm_loadu_si128(from), byte),
            _mm_and_si128(_mm_loadu_si128(from.add(1)), byte),
        );
        let high = _mm_packs_epi32(
            _mm_and_si128(_mm_loadu_si128(from.add(2)), byte),
            _mm_and_si128(_mm_loadu_si128(from.add(3)), byte),
        );
        _mm_storeu_si128(out.as_mut_ptr().cast(), _mm_packus_epi16(low, high));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for (byte, word) in out.iter_mut().zip(words) {
        *byte = *word as u8;
    }
    out
}

/// As [`low_bytes`], by the one instruction that does it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
fn low_bytes_avx512(words: &[u32; BLOCK]) -> [u8; TILE] {
    use std::arch::x86_64::*;
    let mut out = [0u8; TILE];
    // SAFETY: 16 words in, 16 bytes out.
    unsafe {
        _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_loadu_si512(words.as_ptr().cast())))
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Path;
    use crate::spectral::lanes::dispatch;

    struct Curve<'a>(Tone, &'a mut [u32]);
    impl Kernel<f32> for Curve<'_> {
        type Output = ();
        #[inline(always)]
        fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) {
            for (i, out) in self.1.chunks_exact_mut(V::N).enumerate() {
                let heights: Vec<f32> = (0..V::N).map(|k| (i * V::N + k) as f32 / 16.0 - 4.0).collect();
                let height = cpu.read(&heights, 0);
                let grey = match self.0 {
                    Tone::Greys => grey::<V, 0>(height),
                    Tone::Linear => grey::<V, 1>(height),
                    Tone::Android => grey::<V, 2>(height),
                };
                out.iter_mut().zip(grey.to_array()).for_each(|(word, grey)| *word = grey.to_bits());
            }
        }
    }

    #[test]
    fn vectors_paint_what_the_definition_does_on_every_path() {
        for path in Path::available() {
            for (tone, steps) in [(Tone::Greys, 256.0), (Tone::Linear, 255.0), (Tone::Android, 255.0)] {
                let mut got = vec![0u32; 16 * 270];
                dispatch(path, Curve(tone, &mut got));
                for (i, &grey) in got.iter().enumerate() {
                    let height = i as f64 / 16.0 - 4.0;
                    let tie = tone != Tone::Greys && (height.fract().abs() - 0.5).abs() < 1e-9;
                    let want = tone.grey(height / steps);
                    assert!(
                        grey as u8 == want || (tie && (grey as u8).abs_diff(want) <= 1),
                        "{path:?} {tone:?} {height}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_batch_of_cells_is_painted_as_the_definition_paints_it() {
        for (tone, steps, middle) in [(Tone::Greys, 256, 0.5), (Tone::Linear, 255, 0.0), (Tone::Android, 255, 0.0)] {
            // Black at -140 octaves, below the normal powers, is not a matter of the fast way.
            for (bins, low) in
                [1, 2, 15, 16, 17, 31, 32, 33, 49, 65, 129].into_iter().zip([-30.0, -60.0, -140.0].into_iter().cycle())
            {
                let ends: [f64; 2] = [low, 20.0];
                let level = |frame: usize, bin: usize| (7 * bin + 37 * frame) % (steps + 1);
                let power = |frame: usize, bin: usize| {
                    let height = (level(frame, bin) as f64 + middle) / steps as f64;
                    if (frame + bin).is_multiple_of(29) {
                        0.0
                    } else {
                        (ends[0] + height * (ends[1] - ends[0])).exp2() as f32
                    }
                };
                let mut cells = vec![0.0; 2 * bins * BLOCK];
                for (i, cell) in cells.iter_mut().enumerate() {
                    *cell = power(i / (bins * BLOCK) * BLOCK + i % BLOCK, i / BLOCK % bins);
                }
                let pitch = bins.next_multiple_of(TILE);
                for path in Path::available() {
                    let mut out = vec![0; 2 * BLOCK * pitch];
                    dispatch(path, Greys { tone, cells: &cells, ends, bins, pitch, out: &mut out });
                    for (i, &cell) in cells.iter().enumerate() {
                        let (frame, bin) = (i / (bins * BLOCK) * BLOCK + i % BLOCK, i / BLOCK % bins);
                        let height = if cell < f32::MIN_POSITIVE {
                            0.0
                        } else {
                            (level(frame, bin) as f64 + middle) / steps as f64
                        };
                        assert_eq!(
                            out[frame * pitch + bin],
                            tone.grey(height),
                            "{path:?} {tone:?} {bins} {frame} {bin}"
                        );
                    }
                }
            }
        }
    }
}
