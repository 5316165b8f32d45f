//! A memory of earlier rows, to recognise repeated ones.

use std::collections::HashMap;

use crate::device::Batch;

/// Rows that are looked ahead at where rows are not even, and so the farthest that a row can be out of place.
pub(super) const WINDOW: usize = 4096;
/// Of a copy of the file one row in so many is compared.
pub(super) const COMPARED: u64 = 64;

/// What is known of earlier rows, to know them again.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Every 64th row of the file, as a hash.
    pub(super) sums: Vec<u64>,
    pub(super) rows: u64,
    /// The last rows that were handed out.
    pub(super) time: Vec<i64>,
    pub(super) xyz: [Vec<f32>; 3],
    /// Row of the file that the next held row should repeat.
    pub(super) copy: Option<u64>,
    /// Equal stamps mean that a row comes twice.
    pub(super) doubled: bool,
}

pub(super) type Bits = [u32; 3];

#[inline]
pub(super) fn bits(xyz: &[Vec<f32>; 3], row: usize) -> Bits {
    xyz.each_ref().map(|axis| axis.get(row).map_or(0, |v| v.to_bits()))
}

#[inline]
fn hash(time: i64, [x, y, z]: Bits) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = time as u64;
    for part in [u64::from(x) | u64::from(y) << 32, u64::from(z)] {
        sum = (sum ^ part).wrapping_mul(K).rotate_left(29);
    }
    sum
}

impl Repeats {
    pub(super) fn in_copy(&self) -> bool {
        self.copy.is_some()
    }

    /// Rows of the file that stand where they belong.
    pub(super) fn note_rows(&mut self, held: &Batch, from: usize, to: usize) {
        let skipped = (COMPARED - self.rows % COMPARED) % COMPARED;
        for row in (from + skipped as usize..to).step_by(COMPARED as usize) {
            self.sums.push(hash(held.time.get(row).copied().unwrap_or(0), bits(&held.xyz, row)));
        }
        self.rows += to.saturating_sub(from) as u64;
    }

    /// Rows about to be handed out.
    pub(super) fn note_tail(&mut self, held: &Batch, n: usize) {
        let from = n.saturating_sub(WINDOW);
        let room = (self.time.len() + n - from).saturating_sub(WINDOW);
        self.time.drain(..room.min(self.time.len()));
        self.time.extend_from_slice(held.time.get(from..n).unwrap_or_default());
        for (tail, axis) in self.xyz.iter_mut().zip(&held.xyz) {
            tail.drain(..room.min(tail.len()));
            tail.extend_from_slice(axis.get(from..n).unwrap_or_default());
        }
    }

    /// The row of the file that a held row repeats, as the rows behind it tell.
    pub(super) fn find(&self, held: &Batch, row: usize) -> Option<u64> {
        let n = held.len();
        let sum = |i: usize| hash(held.time.get(i).copied().unwrap_or(0), bits(&held.xyz, i));
        let ahead: HashMap<u64, usize> =
            (row..n.min(row + COMPARED as usize)).rev().map(|i| (sum(i), i - row)).collect();
        let number =
            |(position, same): (usize, &u64)| (position as u64 * COMPARED).checked_sub(*ahead.get(same)? as u64);
        self.sums.iter().enumerate().find_map(number)
    }

    /// Whether a held row repeats a row of the file, as far as that one is known.
    pub(super) fn repeats(&self, held: &Batch, row: usize, number: u64) -> Option<bool> {
        if !number.is_multiple_of(COMPARED) {
            return None;
        }
        let sum = self.sums.get((number / COMPARED) as usize)?;
        Some(*sum == hash(held.time.get(row).copied().unwrap_or(0), bits(&held.xyz, row)))
    }
}
