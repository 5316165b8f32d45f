//! [`super::resize`] on whole rows of bytes at a time, as vectors of 16-bit sums.
//!
//! Frames lie in rows of bins, so the columns of the picture are weighted sums of contiguous rows; the result is transposed
//! in tiles, and its rows are weighted sums of contiguous rows again. [`Lanes`] are floats: the sums of integers have a
//! function for each path here, chosen by the path of the [`Cpu`] that `dispatch` made, which asks for no instruction itself.
#![allow(unsafe_code)]

use super::definition::Plan;
use super::levels::{TILE, transpose};
use super::pixel::Pixel;
use super::resize::{FRACTION_BITS, Line, Lines};
#[cfg(target_arch = "x86_64")]
use crate::cpu::Path;
use crate::spectral::lanes::{Cpu, Kernel, Lanes};

/// Working memory for one channel.
#[derive(Default)]
pub struct Scratch {
    first: Vec<u8>,
    second: Vec<u8>,
}

/// Resizes greys [frame, bin] to one plane of a picture.
pub struct Draw<'a, P> {
    /// The sizes and lines.
    pub plan: &'a Plan,
    /// Rows of bins, `bins` rounded up to [`TILE`] apart; as many rows as frames, rounded up likewise.
    pub greys: &'a [u8],
    /// Its memory is kept from call to call.
    pub scratch: &'a mut Scratch,
    /// Which channel.
    pub channel: usize,
    /// The plane.
    pub out: &'a mut [P],
}

impl<P: Pixel> Kernel<f32> for Draw<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) {
        let Self { plan, greys, scratch, channel, out } = self;
        let (bins, frames) = (plan.grid[0].next_multiple_of(TILE), plan.grid[1].next_multiple_of(TILE));
        let (Scratch { first, second }, width) = (scratch, plan.size()[1]);
        if plan.rows_first {
            turn(greys, [frames, bins], second);
            mix_rows(cpu, &plan.rows, second, frames, first);
            turn(first, [plan.rows.len().next_multiple_of(TILE), frames], second);
            mix_rows(cpu, &plan.columns, second, plan.rows.len().next_multiple_of(TILE), first);
            let wide = width.next_multiple_of(TILE);
            turn(first, [wide, plan.rows.len().next_multiple_of(TILE)], second);
            for (row, out) in second.chunks_exact(wide).zip(out.chunks_exact_mut(width)) {
                P::put(&row[..width], channel, out);
            }
            return;
        }
        mix_rows(cpu, &plan.columns, greys, bins, first);
        let wide = width.next_multiple_of(TILE);
        turn(first, [wide, bins], second);
        if wide == width
            && let Some(out) = P::greys(out)
        {
            return mix_into(cpu, &plan.rows, second, wide, out);
        }
        mix_rows(cpu, &plan.rows, second, wide, first);
        for (row, out) in first.chunks_exact(wide).zip(out.chunks_exact_mut(width)) {
            P::put(&row[..width], channel, out);
        }
    }
}

/// All lines of a direction, each a row of `pitch` bytes; their number is rounded up to [`TILE`].
#[inline(always)]
fn mix_rows<V: Lanes>(cpu: Cpu<V>, lines: &Lines, source: &[u8], pitch: usize, out: &mut Vec<u8>) {
    out.resize(lines.len().next_multiple_of(TILE) * pitch, 0);
    mix_into(cpu, lines, source, pitch, out);
}

/// [`mix_rows`] into memory that is there.
#[inline(always)]
fn mix_into<V: Lanes>(_: Cpu<V>, lines: &Lines, source: &[u8], pitch: usize, out: &mut [u8]) {
    assert!(pitch.is_multiple_of(TILE) && source.len() >= lines.reach().end * pitch, "whole tiles of every line");
    assert!(out.len() >= lines.len() * pitch, "room for every line");
    #[cfg(target_arch = "x86_64")]
    match V::PATH {
        // SAFETY: the first argument is proof of the path's instructions, AVX-512BW among them; source and out as checked.
        Path::Avx512 => return unsafe { mix_rows_avx512(lines, source, pitch, out) },
        // SAFETY: the first argument is proof of AVX2; source and out as checked.
        Path::Avx2 => return unsafe { mix_rows_avx2(lines, source, pitch, out) },
        Path::Plain => {}
    }
    for (line, out) in lines.iter().zip(out.chunks_exact_mut(pitch)) {
        if !mix_simply(line, source, pitch, out) {
            let from = &source[line.first as usize * pitch..];
            for c in (0..pitch).step_by(TILE) {
                // SAFETY: row k of the line's has the tile's bytes from k pitch + c on, `out` from c on.
                unsafe { mix_tile(line, from.as_ptr().add(c), pitch, out.as_mut_ptr().add(c)) };
            }
        }
    }
}

/// Transposes rows x columns, both multiples of [`TILE`].
#[inline(always)]
fn turn(source: &[u8], [rows, columns]: [usize; 2], out: &mut Vec<u8>) {
    out.resize(rows * columns, 0);
    assert!(
        source.len() >= rows * columns && rows.is_multiple_of(TILE) && columns.is_multiple_of(TILE),
        "rows and columns of whole tiles"
    );
    for r in (0..rows).step_by(TILE) {
        for c in (0..columns).step_by(TILE) {
            // SAFETY: both hold rows x columns bytes, in whole tiles.
            unsafe {
                transpose(source.as_ptr().add(r * columns + c), columns, out.as_mut_ptr().add(c * rows + r), rows)
            };
        }
    }
}

/// A line that is black, a copy, or of fractions, whose weighted sums are taken in 32 bits; false for any other.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // plain loops over whole tiles are what the compiler turns into vectors
fn mix_simply(line: &Line, source: &[u8], pitch: usize, out: &mut [u8]) -> bool {
    let source = &source[line.first as usize * pitch..];
    if line.is_black() {
        out.fill(0);
    } else if line.is_copy() {
        out.copy_from_slice(&source[..pitch]);
    } else if line.fractions.is_empty() {
        return false;
    } else {
        for (c, out) in out.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
            let mut sum = [1u32 << (FRACTION_BITS - 1); TILE];
            for (k, &w) in line.fractions.iter().enumerate() {
                let row = &source[k * pitch + c * TILE..][..TILE];
                for i in 0..TILE {
                    sum[i] += w * u32::from(row[i]);
                }
            }
            for i in 0..TILE {
                out[i] = (sum[i] >> FRACTION_BITS).min(255) as u8;
            }
        }
    }
    true
}

/// All lines, two tiles at a time.
///
/// # Safety
/// The CPU has AVX2; `source` holds rows of `pitch` bytes, in whole tiles, for every line, and `out` has room for them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn mix_rows_avx2(lines: &Lines, source: &[u8], pitch: usize, out: &mut [u8]) {
    use std::arch::x86_64::*;
    let whole = pitch - pitch % (2 * TILE);
    for (line, out) in lines.iter().zip(out.chunks_exact_mut(pitch)) {
        if mix_simply(line, source, pitch, out) {
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
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn mix_rows_avx512(lines: &Lines, source: &[u8], pitch: usize, out: &mut [u8]) {
    use std::arch::x86_64::*;
    let whole = pitch - pitch % (2 * TILE);
    for (line, out) in lines.iter().zip(out.chunks_exact_mut(pitch)) {
        if mix_simply(line, source, pitch, out) {
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

/// The high halves of the products of 16-bit lanes.
///
/// By name: of the intrinsic the compiler makes a widening product, hoists half of the widening out of the loop, and no longer
/// sees that one instruction does it all. That took a third of a picture's time.
///
/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn high_product_avx2(
    a: std::arch::x86_64::__m256i,
    b: std::arch::x86_64::__m256i,
) -> std::arch::x86_64::__m256i {
    let product;
    // SAFETY: an instruction of AVX2 on registers.
    unsafe {
        std::arch::asm!("vpmulhuw {}, {}, {}", lateout(ymm_reg) product, in(ymm_reg) a, in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    product
}

/// As [`high_product_avx2`], of AVX-512.
///
/// # Safety
/// The CPU has AVX-512BW.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn high_product_avx512(
    a: std::arch::x86_64::__m512i,
    b: std::arch::x86_64::__m512i,
) -> std::arch::x86_64::__m512i {
    let product;
    // SAFETY: an instruction of AVX-512BW on registers.
    unsafe {
        std::arch::asm!("vpmulhuw {}, {}, {}", lateout(zmm_reg) product, in(zmm_reg) a, in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    product
}

/// As [`high_product_avx2`], of SSE2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn high_product(mut a: std::arch::x86_64::__m128i, b: std::arch::x86_64::__m128i) -> std::arch::x86_64::__m128i {
    // SAFETY: an instruction that every x86-64 has, on registers.
    #[cfg(not(miri))]
    unsafe {
        std::arch::asm!("pmulhuw {}, {}", inlateout(xmm_reg) a, in(xmm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: SSE2 is part of x86-64.
    #[cfg(miri)] // which runs no assembly
    unsafe {
        a = std::arch::x86_64::_mm_mulhi_epu16(a, b);
    }
    a
}

/// [`TILE`] bytes of a line with integer weights.
///
/// # Safety
/// `source` may be read for [`TILE`] bytes at every weight's multiple of `pitch`, `out` written for [`TILE`] bytes.
#[inline(always)]
unsafe fn mix_tile(line: &Line, source: *const u8, pitch: usize, out: *mut u8) {
    let (half, multiplier, shift) = line.rounding;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; SSE2 is part of x86-64.
    unsafe {
        use std::arch::x86_64::*;
        let (zero, count) = (_mm_setzero_si128(), _mm_cvtsi32_si128(shift as i32));
        let (mut low, mut high) = (_mm_set1_epi16(half as i16), _mm_set1_epi16(half as i16));
        for (k, &w) in line.weights.iter().enumerate() {
            let (bytes, w) = (_mm_loadu_si128(source.add(k * pitch).cast()), _mm_set1_epi16(w as i16));
            low = _mm_add_epi16(low, _mm_mullo_epi16(_mm_unpacklo_epi8(bytes, zero), w));
            high = _mm_add_epi16(high, _mm_mullo_epi16(_mm_unpackhi_epi8(bytes, zero), w));
        }
        let multiplier = _mm_set1_epi16(multiplier as i16);
        let low = _mm_srl_epi16(high_product(low, multiplier), count);
        let high = _mm_srl_epi16(high_product(high, multiplier), count);
        _mm_storeu_si128(out.cast(), _mm_packus_epi16(low, high));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..TILE {
        let mut sum = half;
        for (k, &w) in line.weights.iter().enumerate() {
            // SAFETY: the caller's promise.
            sum += w * u16::from(unsafe { *source.add(k * pitch + i) });
        }
        // SAFETY: the caller's promise.
        unsafe { *out.add(i) = (((u32::from(sum) * u32::from(multiplier)) >> 16) as u16 >> shift) as u8 };
    }
}
