//! [`super::resize`] on whole rows of bytes at a time, as vectors of 16-bit sums.
//!
//! Frames lie in rows of bins, so the columns of the picture are weighted sums of contiguous rows; the result is transposed
//! in tiles, and its rows are weighted sums of contiguous rows again. [`Lanes`] are floats: the sums of integers have a
//! function for each path here, chosen by the path of the [`Cpu`] that `dispatch` made, which asks for no instruction itself.
#![allow(unsafe_code)]

use super::bytes::{TILE, transpose};
use super::definition::Plan;
use super::pixel::Pixel;
use super::resize::{Line, Lines, mix_simply};
#[cfg(target_arch = "aarch64")]
use super::resize_neon;
#[cfg(target_arch = "x86_64")]
use super::resize_x86;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::cpu::Path;
use crate::spectral::lanes::{Cpu, Kernel, Lanes};
use crate::spectral::memory::finish;

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
    /// It is one of a batch that no cache holds.
    pub past_cache: bool,
}

impl<P: Pixel> Kernel<f32> for Draw<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<T = f32>>(self, cpu: Cpu<V>) {
        let Self { plan, greys, scratch, channel, out, past_cache } = self;
        let (bins, frames) = (plan.grid[0].next_multiple_of(TILE), plan.grid[1].next_multiple_of(TILE));
        let (Scratch { first, second }, width) = (scratch, plan.size()[1]);
        if plan.rows_first {
            turn(cpu, greys, [frames, bins], second);
            mix_rows(cpu, &plan.rows, second, frames, first);
            turn(cpu, first, [plan.rows.len().next_multiple_of(TILE), frames], second);
            mix_rows(cpu, &plan.columns, second, plan.rows.len().next_multiple_of(TILE), first);
            let wide = width.next_multiple_of(TILE);
            turn(cpu, first, [wide, plan.rows.len().next_multiple_of(TILE)], second);
            for (row, out) in second.chunks_exact(wide).zip(out.chunks_exact_mut(width)) {
                P::put(&row[..width], channel, out);
            }
            return;
        }
        mix_rows(cpu, &plan.columns, greys, bins, first);
        let wide = width.next_multiple_of(TILE);
        turn(cpu, first, [wide, bins], second);
        if wide == width
            && let Some(out) = P::greys(out)
        {
            return mix_into(cpu, &plan.rows, second, wide, out);
        }
        mix_rows(cpu, &plan.rows, second, wide, first);
        for (row, out) in first.chunks_exact(wide).zip(out.chunks_exact_mut(width)) {
            if past_cache {
                P::put_past_cache(&row[..width], channel, out);
            } else {
                P::put(&row[..width], channel, out);
            }
        }
        if past_cache {
            finish();
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
        Path::Avx512 => return unsafe { resize_x86::mix_rows_avx512(lines, source, pitch, out) },
        // SAFETY: the first argument is proof of AVX2; source and out as checked.
        Path::Avx2 => return unsafe { resize_x86::mix_rows_avx2(lines, source, pitch, out) },
        Path::Plain | Path::Neon => {}
    }
    #[cfg(target_arch = "aarch64")]
    if V::PATH == Path::Neon {
        // SAFETY: source and out as checked.
        return unsafe { resize_neon::mix_rows(lines, source, pitch, out) };
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
fn turn<V: Lanes>(_: Cpu<V>, source: &[u8], [rows, columns]: [usize; 2], out: &mut Vec<u8>) {
    out.resize(rows * columns, 0);
    assert!(
        source.len() >= rows * columns && rows.is_multiple_of(TILE) && columns.is_multiple_of(TILE),
        "rows and columns of whole tiles"
    );
    #[cfg(target_arch = "x86_64")]
    if V::PATH >= Path::Avx2 {
        // SAFETY: the first argument is proof of AVX2; both hold rows x columns bytes, in whole tiles.
        return unsafe { resize_x86::turn_avx2(source, [rows, columns], out) };
    }
    #[cfg(target_arch = "aarch64")]
    if V::PATH == Path::Neon {
        // SAFETY: both hold rows x columns bytes, in whole tiles.
        return unsafe { resize_neon::turn(source, [rows, columns], out) };
    }
    for r in (0..rows).step_by(TILE) {
        for c in (0..columns).step_by(TILE) {
            // SAFETY: both hold rows x columns bytes, in whole tiles.
            unsafe {
                transpose(source.as_ptr().add(r * columns + c), columns, out.as_mut_ptr().add(c * rows + r), rows)
            };
        }
    }
}

/// As [`super::bytes::high_product_avx2`], of SSE2.
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
