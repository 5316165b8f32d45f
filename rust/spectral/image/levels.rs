//! Decibels -> grey levels: the two tone curves of the pictures and the one of the Android app.
//!
//! [`Tone::grey`] is the definition; [`Greys`] paints the cells of [`super::power`] a vector at a time. There the table of
//! `Greys`, which is linear between nine anchors, is a sum of seven hinges. Loops here are plain ones: a closure inside a
//! kernel that is not inlined is not compiled for the kernel's path.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use crate::cpu::Path;
use crate::spectral::lanes::log::{OCTAVE, scaled_normal};
use crate::spectral::lanes::{Cpu, Kernel, Lanes, Real};

/// Frames in a block of cells: one row of float32 lanes.
pub const BLOCK: usize = <f32 as Real>::LANES;

/// How a height u in [0, 1] between the weakest and the strongest cell becomes a grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// 256 levels through 255 less matplotlib's `Greys`: `GREYS[min(floor(256 u), 255)]`.
    Greys,
    /// `floor(255 u + 1/2)`.
    Linear,
    /// [`Tone::Linear`] followed by the app's colour matrix of gain 0.99.
    Android,
}

/// Red of matplotlib's `Greys` at its nine equidistant anchors, in 1/255.
const ANCHORS: [i32; 9] = [255, 240, 217, 189, 150, 115, 82, 37, 0];

/// Grey of each of the 256 levels: 255 less the red channel of `Greys`, linear between `ANCHORS` and cut to bytes.
pub static GREYS: [u8; 256] = greys();

const fn greys() -> [u8; 256] {
    let mut table = [0; 256];
    let mut level = 0;
    while level < 256 {
        // 8 level / 255 = segment + rest / 255; the red is (a * 255 + (b - a) * rest) / 255, towards zero.
        let segment = if level == 255 { 7 } else { 8 * level / 255 };
        let rest = 8 * level - 255 * segment;
        let (a, b) = (ANCHORS[segment], ANCHORS[segment + 1]);
        table[level] = (255 - (a * 255 + (b - a) * rest as i32) / 255) as u8;
        level += 1;
    }
    table
}

impl Tone {
    /// The grey of height `u`, which is clamped to [0, 1].
    #[inline]
    pub fn grey(self, u: f64) -> u8 {
        let u = u.clamp(0.0, 1.0);
        match self {
            Self::Greys => GREYS[((256.0 * u) as usize).min(255)],
            Self::Linear => (255.0 * u + 0.5) as u8,
            Self::Android => android((255.0 * u + 0.5) as u8),
        }
    }
}

/// The colour matrix of the app: three draws of gain 0.33.
#[inline]
pub fn android(level: u8) -> u8 {
    (f64::from(level) * 0.99 + 0.5) as u8
}

/// 2^23: added to a float32 below it, it leaves the nearest whole number in the low bits.
const WHOLE: f32 = 8_388_608.0;

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

/// Side of the squares of bytes that are transposed at once.
pub const TILE: usize = 16;

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
        // Hundredths: a thousandth more rounds a half up and nothing else.
        _ => height.add(whole).sub(whole).mul(cpu.splat(0.99)).add(cpu.splat(1e-3)).add(whole),
    }
}

/// The greys' curve above `level`, by its eight segments' lines where the vector can look them up, else by hinges.
#[inline(always)]
fn rise<V: Lanes<T = f32>>(level: V) -> V {
    #[cfg(target_arch = "x86_64")]
    if V::PATH == Path::Avx2 {
        use std::arch::x86_64::*;
        // SAFETY: `level` is proof of the path's instructions; the one vector of f32 of the AVX2 path is a transparent
        // `__m256`, and the two lines have its eight lanes.
        unsafe {
            let x: __m256 = std::mem::transmute_copy(&level);
            // No whole level but 0 and 255 begins a segment: just under 8 / 255 keeps 255 in the last one.
            let segment = _mm256_cvttps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(8.0 / 255.0 * (1.0 - 1e-6))));
            let slope = _mm256_permutevar8x32_ps(_mm256_loadu_ps(LINES[0].as_ptr()), segment);
            let offset = _mm256_permutevar8x32_ps(_mm256_loadu_ps(LINES[1].as_ptr()), segment);
            return std::mem::transmute_copy(&_mm256_fmadd_ps(x, slope, offset));
        }
    }
    let cpu = level.cpu();
    let mut rise = level.mul(cpu.splat(slope(0)));
    for k in 1..8 {
        let begin = cpu.splat(255.0 * k as f32 / 8.0);
        rise = level.max(begin).sub(begin).mul_add(cpu.splat(slope(k) - slope(k - 1)), rise);
    }
    rise
}

/// Slopes and offsets of the eight segments.
#[cfg(target_arch = "x86_64")]
static LINES: [[f32; 8]; 2] = lines();

#[cfg(target_arch = "x86_64")]
const fn lines() -> [[f32; 8]; 2] {
    let mut lines = [[0.0; 8]; 2];
    let mut k = 0;
    while k < 8 {
        lines[0][k] = slope(k);
        lines[1][k] = (255 - ANCHORS[k] - k as i32 * (ANCHORS[k] - ANCHORS[k + 1])) as f32;
        k += 1;
    }
    lines
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

/// Turns a tile, whose rows lie `from_pitch` apart, into one whose rows lie `to_pitch` apart.
///
/// # Safety
/// All rows of both may be read and written for [`TILE`] bytes.
#[inline(always)]
#[allow(clippy::needless_range_loop, unused_unsafe)] // plain loops are what the compiler inlines and unrolls
pub unsafe fn transpose(from: *const u8, from_pitch: usize, to: *mut u8, to_pitch: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; rows are the caller's promise.
    unsafe {
        use std::arch::x86_64::*;
        // Four rounds of interleaving row i with row i + 8 bring byte (i, j) to (j, i).
        let mut rows = [_mm_setzero_si128(); TILE];
        for i in 0..TILE {
            rows[i] = _mm_loadu_si128(from.add(i * from_pitch).cast());
        }
        for _ in 0..4 {
            let before = rows;
            for i in 0..8 {
                rows[2 * i] = _mm_unpacklo_epi8(before[i], before[i + 8]);
                rows[2 * i + 1] = _mm_unpackhi_epi8(before[i], before[i + 8]);
            }
        }
        for i in 0..TILE {
            _mm_storeu_si128(to.add(i * to_pitch).cast(), rows[i]);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..TILE {
        for j in 0..TILE {
            // SAFETY: the caller's promise.
            unsafe { *to.add(j * to_pitch + i) = *from.add(i * from_pitch + j) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Path;
    use crate::spectral::lanes::dispatch;

    #[test]
    fn the_greys_are_the_published_ones() {
        assert_eq!(&GREYS[..20], &[0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 8, 9, 9]);
        assert_eq!((GREYS[32], GREYS[128], GREYS[254], GREYS[255]), (16, 106, 254, 255));
    }

    #[test]
    fn tones_reach_black_and_white_and_clamp() {
        for (tone, white) in [(Tone::Greys, 255), (Tone::Linear, 255), (Tone::Android, 252)] {
            assert_eq!((tone.grey(-3.0), tone.grey(0.0), tone.grey(1.0), tone.grey(7.0)), (0, 0, white, white));
        }
    }

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
    fn a_tile_is_transposed() {
        let tile: [[u8; TILE]; TILE] = std::array::from_fn(|i| std::array::from_fn(|j| (16 * i + j) as u8));
        let mut turned = [[0u8; TILE]; TILE];
        // SAFETY: two whole tiles.
        unsafe { transpose(tile.as_ptr().cast(), TILE, turned.as_mut_ptr().cast(), TILE) };
        assert!((0..256).all(|k| turned[k % 16][k / 16] == k as u8));
    }
}
