//! The weighted sums and the turn of [`super::resize_lanes`] by the instructions of AVX2 and AVX-512.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::bytes::{TILE, high_product_avx2, high_product_avx512, transpose, turn_pair};
use super::resize::{Line, Lines, mix_simply};

/// All lines, two tiles at a time.
///
/// # Safety
/// The CPU has AVX2; `source` holds rows of `pitch` bytes, in whole tiles, for every line, and `out` has room for them.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn mix_rows_avx2(lines: &Lines, source: &[u8], pitch: usize, out: &mut [u8]) {
    let whole = pitch - pitch % (2 * TILE);
    for (line, out) in lines.iter().zip(out.chunks_exact_mut(pitch)) {
        // SAFETY: the caller's promise.
        if mix_simply(line, source, pitch, out) || unsafe { mix_pairs(line, source, pitch, out) } {
            continue;
        }
        let (half, multiplier, shift) = line.rounding;
        let (half, multiplier) = (_mm256_set1_epi16(half as i16), _mm256_set1_epi16(multiplier as i16));
        let count = _mm_cvtsi32_si128(shift as i32);
        // SAFETY: the caller's promise.
        unsafe {
            let (from, out) = (source.as_ptr().add(line.first as usize * pitch), out.as_mut_ptr());
            let wide = |index: usize| _mm256_cvtepu8_epi16(_mm_loadu_si128(from.add(index).cast()));
            let mean = |sum: __m256i| _mm256_srl_epi16(high_product_avx2(sum, multiplier), count);
            let put = |c: usize, low: __m256i, high: __m256i| {
                let bytes = _mm256_packus_epi16(low, high);
                _mm256_storeu_si256(out.add(c).cast(), _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes));
            };
            let put_last = |last: __m256i| {
                let bytes = _mm_packus_epi16(_mm256_castsi256_si128(last), _mm256_extracti128_si256::<1>(last));
                _mm_storeu_si128(out.add(whole).cast(), bytes);
            };
            if let [a, b] = line.weights[..] {
                let (a, b) = (_mm256_set1_epi16(a as i16), _mm256_set1_epi16(b as i16));
                let sum = |index: usize| {
                    let rest = _mm256_add_epi16(half, _mm256_mullo_epi16(wide(index), a));
                    mean(_mm256_add_epi16(rest, _mm256_mullo_epi16(wide(pitch + index), b)))
                };
                for c in (0..whole).step_by(2 * TILE) {
                    put(c, sum(c), sum(c + TILE));
                }
                if whole < pitch {
                    put_last(sum(whole));
                }
            } else {
                for c in (0..whole).step_by(2 * TILE) {
                    let (mut low, mut high, mut index) = (half, half, c);
                    for &w in &line.weights {
                        let w = _mm256_set1_epi16(w as i16);
                        low = _mm256_add_epi16(low, _mm256_mullo_epi16(wide(index), w));
                        high = _mm256_add_epi16(high, _mm256_mullo_epi16(wide(index + TILE), w));
                        index += pitch;
                    }
                    put(c, mean(low), mean(high));
                }
                if whole < pitch {
                    let (mut last, mut index) = (half, whole);
                    for &w in &line.weights {
                        last = _mm256_add_epi16(last, _mm256_mullo_epi16(wide(index), _mm256_set1_epi16(w as i16)));
                        index += pitch;
                    }
                    put_last(mean(last));
                }
            }
        }
    }
}

/// All lines, two tiles in one vector at a time.
///
/// # Safety
/// As [`mix_rows_avx2`], with AVX-512BW.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn mix_rows_avx512(lines: &Lines, source: &[u8], pitch: usize, out: &mut [u8]) {
    let whole = pitch - pitch % (2 * TILE);
    for (line, out) in lines.iter().zip(out.chunks_exact_mut(pitch)) {
        // SAFETY: the caller's promise.
        if mix_simply(line, source, pitch, out) || unsafe { mix_pairs(line, source, pitch, out) } {
            continue;
        }
        let (half, multiplier, shift) = line.rounding;
        let (half, multiplier) = (_mm512_set1_epi16(half as i16), _mm512_set1_epi16(multiplier as i16));
        let count = _mm_cvtsi32_si128(shift as i32);
        // SAFETY: the caller's promise.
        unsafe {
            let (from, out) = (source.as_ptr().add(line.first as usize * pitch), out.as_mut_ptr());
            let two = |index: usize| _mm512_cvtepu8_epi16(_mm256_loadu_si256(from.add(index).cast()));
            let one =
                |index: usize| _mm512_cvtepu8_epi16(_mm256_castsi128_si256(_mm_loadu_si128(from.add(index).cast())));
            let times = |wide: __m512i, w: __m512i, sum: __m512i| _mm512_add_epi16(sum, _mm512_mullo_epi16(wide, w));
            let bytes =
                |sum: __m512i| _mm512_cvtepi16_epi8(_mm512_srl_epi16(high_product_avx512(sum, multiplier), count));
            let put_one = |c: usize, v: __m256i| _mm_storeu_si128(out.add(c).cast(), _mm256_castsi256_si128(v));
            if let [a, b] = line.weights[..] {
                let (a, b) = (_mm512_set1_epi16(a as i16), _mm512_set1_epi16(b as i16));
                for c in (0..whole).step_by(2 * TILE) {
                    let sum = times(two(pitch + c), b, times(two(c), a, half));
                    _mm256_storeu_si256(out.add(c).cast(), bytes(sum));
                }
                if whole < pitch {
                    put_one(whole, bytes(times(one(pitch + whole), b, times(one(whole), a, half))));
                }
            } else {
                for c in (0..whole).step_by(2 * TILE) {
                    let (mut sum, mut index) = (half, c);
                    for &w in &line.weights {
                        sum = times(two(index), _mm512_set1_epi16(w as i16), sum);
                        index += pitch;
                    }
                    _mm256_storeu_si256(out.add(c).cast(), bytes(sum));
                }
                if whole < pitch {
                    let (mut sum, mut index) = (half, whole);
                    for &w in &line.weights {
                        sum = times(one(index), _mm512_set1_epi16(w as i16), sum);
                        index += pitch;
                    }
                    put_one(whole, bytes(sum));
                }
            }
        }
    }
}

/// A line of two to four weights that sum to 128 at most, two rows at a time by the sum of byte products, which then fits
/// 15 bits; false for any other.
///
/// # Safety
/// As [`mix_rows_avx2`], for one line.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn mix_pairs(line: &Line, source: &[u8], pitch: usize, out: &mut [u8]) -> bool {
    if line.weights.iter().sum::<u16>() > 128 {
        return false;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let row = |k: usize| source.as_ptr().add((line.first as usize + k) * pitch);
        match line.weights[..] {
            [a, b] => mix_paired(line, [row(0), row(1)], [[a, b]], out),
            [a, b, c] => mix_paired(line, [row(0), row(1), row(2), row(2)], [[a, b], [c, 0]], out),
            [a, b, c, d] => mix_paired(line, [row(0), row(1), row(2), row(3)], [[a, b], [c, d]], out),
            _ => return false,
        }
    }
    true
}

/// # Safety
/// The CPU has AVX2; each of the rows may be read for the bytes of `out`, a multiple of [`TILE`].
#[target_feature(enable = "avx2")]
#[inline]
#[allow(clippy::needless_range_loop)] // plain loops are what the compiler unrolls
unsafe fn mix_paired<const ROWS: usize, const PAIRS: usize>(
    line: &Line,
    rows: [*const u8; ROWS],
    weights: [[u16; 2]; PAIRS],
    out: &mut [u8],
) {
    const { assert!(ROWS == 2 * PAIRS) };
    let (half, multiplier, shift) = line.rounding;
    let (half, multiplier) = (_mm256_set1_epi16(half as i16), _mm256_set1_epi16(multiplier as i16));
    let count = _mm_cvtsi32_si128(shift as i32);
    let weights = weights.map(|[a, b]| _mm256_set1_epi16((a | b << 8) as i16));
    let (whole, pitch, out) = (out.len() - out.len() % (2 * TILE), out.len(), out.as_mut_ptr());
    // SAFETY: the caller's promise.
    unsafe {
        for c in (0..whole).step_by(2 * TILE) {
            let mut sums = [half; 2];
            for k in 0..PAIRS {
                let a = _mm256_loadu_si256(rows[2 * k].add(c).cast());
                let b = _mm256_loadu_si256(rows[2 * k + 1].add(c).cast());
                sums[0] = _mm256_add_epi16(sums[0], _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), weights[k]));
                sums[1] = _mm256_add_epi16(sums[1], _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), weights[k]));
            }
            for sum in &mut sums {
                *sum = _mm256_srl_epi16(high_product_avx2(*sum, multiplier), count);
            }
            _mm256_storeu_si256(out.add(c).cast(), _mm256_packus_epi16(sums[0], sums[1]));
        }
        if whole < pitch {
            let mut sum = half;
            for k in 0..PAIRS {
                let a = _mm_loadu_si128(rows[2 * k].add(whole).cast());
                let b = _mm_loadu_si128(rows[2 * k + 1].add(whole).cast());
                let bytes = _mm256_set_m128i(_mm_unpackhi_epi8(a, b), _mm_unpacklo_epi8(a, b));
                sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(bytes, weights[k]));
            }
            let mean = _mm256_srl_epi16(high_product_avx2(sum, multiplier), count);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(mean), _mm256_extracti128_si256::<1>(mean));
            _mm_storeu_si128(out.add(whole).cast(), bytes);
        }
    }
}

/// Transposes rows x columns, two tiles at a time.
///
/// # Safety
/// The CPU has AVX2; `source` and `out` hold rows x columns bytes, both multiples of [`TILE`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn turn_avx2(source: &[u8], [rows, columns]: [usize; 2], out: &mut [u8]) {
    let (source, out) = (source.as_ptr(), out.as_mut_ptr());
    // SAFETY: the caller's promise.
    unsafe {
        for c in (0..columns).step_by(TILE) {
            let (mut r, out) = (0, out.add(c * rows));
            while r + 2 * TILE <= rows {
                let mut tiles = [_mm256_setzero_si256(); TILE];
                for (i, two) in tiles.iter_mut().enumerate() {
                    let from = source.add((r + i) * columns + c);
                    let (low, high) = (_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.add(TILE * columns).cast()));
                    *two = _mm256_set_m128i(high, low);
                }
                turn_pair(tiles, out.add(r), rows);
                r += 2 * TILE;
            }
            if r < rows {
                transpose(source.add(r * columns + c), columns, out.add(r), rows);
            }
        }
    }
}
