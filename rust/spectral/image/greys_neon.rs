//! [`super::greys::Greys`] by the instructions of NEON, a tile at a time: levels by floats, their greys by a look-up, and the
//! turn from bins of frames to frames of bins.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::bytes::{TILE, transpose_neon};
use super::levels::{BLOCK, GREYS, height};
use crate::spectral::lanes::Lanes;
use crate::spectral::lanes::neon::F32x4;

/// Greys whose black is a normal power: `gain` and `offset` bring the log2 of a power to levels. `grid`: bins of a frame, and
/// bytes from one frame of `out` to the next.
#[target_feature(enable = "neon")]
pub(super) fn paint<const TONE: u8>(cells: &[f32], gain: f32, offset: f32, grid: [usize; 2], out: &mut [u8]) {
    let [bins, pitch] = grid;
    assert!(pitch >= bins.next_multiple_of(TILE), "greys have rows of whole tiles");
    // SAFETY: NEON is part of 64-bit ARM; the table has four times 64 bytes.
    let (gain, offset, table) = unsafe {
        let quarter = |k: usize| vld1q_u8_x4(GREYS.as_ptr().add(64 * k));
        (F32x4::splat(gain), F32x4::splat(offset), std::array::from_fn(quarter))
    };
    for (cells, out) in cells.chunks_exact(bins * BLOCK).zip(out.chunks_exact_mut(BLOCK * pitch)) {
        for first in (0..bins).step_by(TILE) {
            let mut tile = [[0u8; TILE]; TILE];
            for (bytes, powers) in tile.iter_mut().zip(cells[first * BLOCK..].chunks_exact(BLOCK)) {
                // SAFETY: a row of BLOCK powers, and of as many bytes.
                unsafe { vst1q_u8(bytes.as_mut_ptr(), levels::<TONE>(powers.as_ptr(), gain, offset)) };
            }
            if TONE == 0 {
                for bytes in &mut tile {
                    // SAFETY: 16 bytes.
                    unsafe { vst1q_u8(bytes.as_mut_ptr(), looked_up(&table, vld1q_u8(bytes.as_ptr()))) };
                }
            }
            let to = &mut out[first..];
            assert!(to.len() >= (BLOCK - 1) * pitch + TILE, "BLOCK rows of whole tiles");
            // SAFETY: just checked.
            unsafe { transpose_neon(tile.as_ptr().cast(), TILE, to.as_mut_ptr(), pitch) };
        }
    }
}

/// The levels of a row of powers; of the tones but `Greys` they are the greys.
///
/// # Safety
/// `powers` may be read for [`BLOCK`] scalars.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn levels<const TONE: u8>(powers: *const f32, gain: F32x4, offset: F32x4) -> uint8x16_t {
    let mut words = [vdupq_n_u32(0); BLOCK / F32x4::N];
    for (i, word) in words.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let height = unsafe { height::<F32x4, TONE>(powers.add(i * F32x4::N), gain, offset) };
        *word = if TONE == 0 { vcvtq_u32_f32(height.0) } else { vcvtnq_u32_f32(height.0) };
    }
    let [a, b, c, d] = words.map(|word| vreinterpretq_u16_u32(word));
    vuzp1q_u8(vreinterpretq_u8_u16(vuzp1q_u16(a, b)), vreinterpretq_u8_u16(vuzp1q_u16(c, d)))
}

/// The bytes of a table at 16 places: a look-up in a quarter of it is zero for the places in the other three.
#[target_feature(enable = "neon")]
#[inline]
fn looked_up(table: &[uint8x16x4_t; 4], places: uint8x16_t) -> uint8x16_t {
    let [a, b, c, d] = std::array::from_fn(|k| vqtbl4q_u8(table[k], veorq_u8(places, vdupq_n_u8(64 * k as u8))));
    vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d))
}
