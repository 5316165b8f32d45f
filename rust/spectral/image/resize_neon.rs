//! The weighted sums and the turn of [`super::resize_lanes`] by the instructions of NEON.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::bytes::{TILE, transpose_neon};
use super::resize::{Line, Lines, mix_simply};

/// All lines, a tile at a time.
///
/// # Safety
/// `source` holds rows of `pitch` bytes, in whole tiles, for every line, and `out` has room for them.
#[target_feature(enable = "neon")]
pub(super) unsafe fn mix_rows(lines: &Lines, source: &[u8], pitch: usize, out: &mut [u8]) {
    for (line, out) in lines.iter().zip(out.chunks_exact_mut(pitch)) {
        if mix_simply(line, source, pitch, out) {
            continue;
        }
        // SAFETY: the caller's promise.
        unsafe {
            let from = source.as_ptr().add(line.first as usize * pitch);
            match line.weights[..] {
                [a, b] => mix_row(line, [a, b], from, pitch, out),
                [a, b, c] => mix_row(line, [a, b, c], from, pitch, out),
                [a, b, c, d] => mix_row(line, [a, b, c, d], from, pitch, out),
                _ => mix_row(line, &line.weights[..], from, pitch, out),
            }
        }
    }
}

/// A line of which `weights` are the weights: where the compiler knows their number, they stay in registers.
///
/// # Safety
/// `from` may be read for the bytes of `out`, a multiple of [`TILE`], at every weight's multiple of `pitch`.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn mix_row(line: &Line, weights: impl AsRef<[u16]>, from: *const u8, pitch: usize, out: &mut [u8]) {
    let (half, multiplier, shift) = line.rounding;
    let (multiplier, shift) = (vdupq_n_u16(multiplier), vdupq_n_s16(-(shift as i16)));
    let mean = |sum: uint16x8_t| {
        let low = vmull_u16(vget_low_u16(sum), vget_low_u16(multiplier));
        let product = vuzp2q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(vmull_high_u16(sum, multiplier)));
        vreinterpretq_u8_u16(vshlq_u16(product, shift))
    };
    for c in (0..out.len()).step_by(TILE) {
        let (mut low, mut high) = (vdupq_n_u16(half), vdupq_n_u16(half));
        for (k, &weight) in weights.as_ref().iter().enumerate() {
            // A byte: the line has several positive weights, which sum to 256 at most.
            let weight = vdupq_n_u8(weight as u8);
            // SAFETY: the caller's promise.
            let bytes = unsafe { vld1q_u8(from.add(k * pitch + c)) };
            low = vmlal_u8(low, vget_low_u8(bytes), vget_low_u8(weight));
            high = vmlal_high_u8(high, bytes, weight);
        }
        // SAFETY: the caller's promise.
        unsafe { vst1q_u8(out.as_mut_ptr().add(c), vuzp1q_u8(mean(low), mean(high))) };
    }
}

/// Transposes rows x columns.
///
/// # Safety
/// `source` and `out` hold rows x columns bytes, both multiples of [`TILE`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn turn(source: &[u8], [rows, columns]: [usize; 2], out: &mut [u8]) {
    let (source, out) = (source.as_ptr(), out.as_mut_ptr());
    for c in (0..columns).step_by(TILE) {
        for r in (0..rows).step_by(TILE) {
            // SAFETY: the caller's promise.
            unsafe { transpose_neon(source.add(r * columns + c), columns, out.add(c * rows + r), rows) };
        }
    }
}
