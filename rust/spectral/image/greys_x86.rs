//! [`super::greys::Greys`] by the instructions of AVX2, in three passes over 32 bins of a block of frames: levels by
//! floats, their greys by 16-bit integers, and the turn from bins of frames to frames of bins.
//!
//! One pass that does all three is a chain of some fifty dependent operations a cell. The CPU does not look so far ahead that
//! the chains of the next cells would fill the gaps: it took 2.2 times as long.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::bytes::{TILE, high_product_avx2, transpose, turn_pair};
use super::levels::{ANCHORS, BLOCK, height};
use crate::cpu::Path;
use crate::spectral::lanes::{F32x8, F32x16, Lanes};

/// Bins of a pass: two tiles, side by side in the two halves of a vector.
const PAIR: usize = 2 * TILE;

/// Greys whose black is a normal power: `gain` and `offset` bring the log2 of a power to levels. `grid`: bins of a frame, and
/// bytes from one frame of `out` to the next.
///
/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn paint_avx2<const TONE: u8>(
    cells: &[f32],
    gain: f32,
    offset: f32,
    grid: [usize; 2],
    out: &mut [u8],
) {
    // SAFETY: this function runs, so the CPU has the instructions that it enables.
    unsafe { paint::<F32x8, TONE>(cells, [gain, offset].map(|v| F32x8::splat(v)), grid, out) }
}

/// As [`paint_avx2`], with levels by 16 lanes.
///
/// # Safety
/// The CPU has AVX2, FMA and AVX-512F.
#[target_feature(enable = "avx512f,avx2,fma")]
pub(super) unsafe fn paint_avx512<const TONE: u8>(
    cells: &[f32],
    gain: f32,
    offset: f32,
    grid: [usize; 2],
    out: &mut [u8],
) {
    // SAFETY: this function runs, so the CPU has the instructions that it enables.
    unsafe { paint::<F32x16, TONE>(cells, [gain, offset].map(|v| F32x16::splat(v)), grid, out) }
}

/// # Safety
/// The CPU has AVX2 and the instructions of the vectors' path.
#[inline(always)]
unsafe fn paint<V: Lanes<T = f32>, const TONE: u8>(
    cells: &[f32],
    [gain, offset]: [V; 2],
    [bins, pitch]: [usize; 2],
    out: &mut [u8],
) {
    assert!(pitch >= bins.next_multiple_of(TILE), "greys have rows of whole tiles");
    for (cells, out) in cells.chunks_exact(bins * BLOCK).zip(out.chunks_exact_mut(BLOCK * pitch)) {
        let (cells, out) = (cells.as_ptr(), out.as_mut_ptr());
        let mut first = 0;
        // SAFETY: rows of bins below `bins` lie in `cells`; `out` has BLOCK rows of `pitch` bytes, which hold whole tiles of
        // bins; the rest is the caller's promise.
        unsafe {
            while first + PAIR <= bins {
                let mut tile = [_mm256_setzero_si256(); TILE];
                for (i, two) in tile.iter_mut().enumerate() {
                    *two = levels::<V, TONE>(
                        cells.add((first + i) * BLOCK),
                        cells.add((first + TILE + i) * BLOCK),
                        gain,
                        offset,
                    );
                }
                if TONE == 0 {
                    for two in &mut tile {
                        *two = curve(*two);
                    }
                }
                turn_pair(tile, out.add(first), pitch);
                first += PAIR;
            }
            while first < bins {
                let n = TILE.min(bins - first);
                let mut tile = [[0u8; TILE]; TILE];
                for i in (0..n).step_by(2) {
                    let next = first + (i + 1).min(n - 1);
                    let two = levels::<V, TONE>(cells.add((first + i) * BLOCK), cells.add(next * BLOCK), gain, offset);
                    let two = if TONE == 0 { curve(two) } else { two };
                    _mm256_storeu_si256(tile.as_mut_ptr().add(i).cast(), two);
                }
                if n == 1 {
                    for (frame, &grey) in tile[0].iter().enumerate() {
                        out.add(frame * pitch + first).write(grey);
                    }
                } else {
                    transpose(tile.as_ptr().cast(), TILE, out.add(first), pitch);
                }
                first += TILE;
            }
        }
    }
}

/// The levels of two rows of powers, of `a` in the lower half; of the tones but `Greys` they are the greys.
///
/// # Safety
/// Both may be read for BLOCK scalars; the CPU has AVX2 and the instructions of the vectors' path.
#[inline(always)]
unsafe fn levels<V: Lanes<T = f32>, const TONE: u8>(a: *const f32, b: *const f32, gain: V, offset: V) -> __m256i {
    // SAFETY: the caller's promise. F32x8 and F32x16 are transparent, and chosen by the path that they belong to.
    unsafe {
        if V::PATH == Path::Avx512 {
            let a: __m512 = std::mem::transmute_copy(&height::<V, TONE>(a, gain, offset));
            let b: __m512 = std::mem::transmute_copy(&height::<V, TONE>(b, gain, offset));
            let (a, b) = if TONE == 0 {
                (_mm512_cvttps_epi32(a), _mm512_cvttps_epi32(b))
            } else {
                (_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b))
            };
            return _mm256_set_m128i(_mm512_cvtepi32_epi8(b), _mm512_cvtepi32_epi8(a));
        }
        let mut words = [_mm256_setzero_si256(); 4];
        for (i, from) in [a, a.add(8), b, b.add(8)].into_iter().enumerate() {
            let height: __m256 = std::mem::transmute_copy(&height::<V, TONE>(from, gain, offset));
            words[i] = if TONE == 0 { _mm256_cvttps_epi32(height) } else { _mm256_cvtps_epi32(height) };
        }
        let (a, b) = (_mm256_packs_epi32(words[0], words[1]), _mm256_packs_epi32(words[2], words[3]));
        _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
    }
}

/// For each segment of 32 levels: eight times its slope, and what then makes 255 times the grey plus 254.
const LINES: [[u16; 8]; 2] = lines();

const fn lines() -> [[u16; 8]; 2] {
    let mut lines = [[0; 8]; 2];
    let mut k = 0;
    while k < 8 {
        let slope = ANCHORS[k] - ANCHORS[k + 1];
        lines[0][k] = (8 * slope) as u16;
        lines[1][k] = (254 + 255 * (255 - ANCHORS[k] - k as i32 * slope)) as u16; // modulo 2^16, as the sum
        k += 1;
    }
    lines
}

/// [`super::levels::GREYS`] of each byte: a quotient by 255 that is rounded up, as the table cuts the red.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn curve(level: __m256i) -> __m256i {
    // SAFETY: the caller's promise; both lines are a vector of eight words.
    unsafe {
        let slope = _mm256_broadcastsi128_si256(_mm_loadu_si128(LINES[0].as_ptr().cast()));
        let base = _mm256_broadcastsi128_si256(_mm_loadu_si128(LINES[1].as_ptr().cast()));
        let mut words = [_mm256_unpacklo_epi8(level, level), _mm256_unpackhi_epi8(level, level)];
        for word in &mut words {
            // The places of both bytes of the word of segment level / 32.
            let index = _mm256_and_si256(_mm256_srli_epi16::<4>(*word), _mm256_set1_epi16(0x0e0e));
            let index = _mm256_or_si256(index, _mm256_set1_epi16(0x0100));
            let rise = _mm256_mullo_epi16(_mm256_srli_epi16::<8>(*word), _mm256_shuffle_epi8(slope, index));
            let sum = _mm256_add_epi16(rise, _mm256_shuffle_epi8(base, index));
            *word = _mm256_srli_epi16::<7>(high_product_avx2(sum, _mm256_set1_epi16(0x8081_u16 as i16)));
        }
        _mm256_packus_epi16(words[0], words[1])
    }
}
