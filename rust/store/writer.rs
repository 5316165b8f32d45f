//! A recording in g -> a shard: quantised, compressed on all threads, chunk by chunk.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use super::blosc::Encoder;
use super::shard::{ABSENT, AXES, MISSING};
use crate::arrays::Signals;
use crate::error::{Error, Result};
use crate::threads;

const LARGEST: f32 = 32767.0;
/// The sum of it and a value of less than 2^22 has the nearest whole number, halves to even, in its lowest bits.
const ROUND: f32 = 12_582_912.0;
/// Chunks that each thread compresses before they are written.
const AHEAD: usize = 4;

/// How samples are stored.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Samples of a chunk.
    pub chunk: usize,
    /// Size of a step, g.
    pub step_g: f64,
    /// Level of Blosc, 1 to 9.
    pub level: u8,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Values beyond the largest int16, which were clipped.
    pub n_clipped: u64,
    /// Bytes of the file; 0 where all samples are missing, and there is no file.
    pub n_bytes: u64,
}

/// A chunk between a thread that compresses it and the file; empty where all samples are missing.
struct Slot {
    rows: Vec<f32>,
    chunk: Vec<u8>,
    n_clipped: u64,
    outcome: Result<()>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { rows: Vec::new(), chunk: Vec::new(), n_clipped: 0, outcome: Ok(()) }
    }
}

/// Writes samples [3, time] in g to a new file at `path`. NaN becomes missing.
///
/// # Errors
/// [`Error::Shape`] for another array, and those of [`write_from`].
pub fn write(path: &Path, x: &Signals<'_, f32>, layout: Layout) -> Result<Written> {
    x.check_dense("x")?;
    if x.count() != AXES {
        return Err(Error::shape("x", "[3, time]", format!("{} axes", x.count())));
    }
    write_from(path, x.time(), layout, &mut |first, rows| {
        rows.fill(f32::NAN);
        for (i, row) in rows.chunks_exact_mut(layout.chunk).enumerate() {
            let samples = x.get(i).get(first..).unwrap_or_default();
            row.iter_mut().zip(samples).for_each(|(value, sample)| *value = *sample);
        }
        Ok(())
    })
}

/// Writes `time` samples to a new file at `path`. `copy` fills rows [3, chunk] with those from a first one on, NaN after the
/// last.
///
/// # Errors
/// [`Error::Value`] for another layout, [`Error::Io`] from the file system, and those of `copy`.
pub fn write_from(
    path: &Path,
    time: usize,
    layout: Layout,
    copy: &mut dyn FnMut(usize, &mut [f32]) -> Result<()>,
) -> Result<Written> {
    let Layout { chunk, step_g, level } = layout;
    if chunk == 0 || chunk.checked_mul(AXES).is_none() {
        return Err(Error::value("chunk", "some samples", chunk));
    }
    if !(step_g > 0.0 && step_g.is_finite()) {
        return Err(Error::value("step_g", "more than 0 g", step_g));
    }
    if !(1..=9).contains(&level) {
        return Err(Error::value("level", "1 to 9", level));
    }
    let n_chunks = time.div_ceil(chunk).max(1);
    let workers = threads::count();
    let mut batch: Vec<Slot> = Vec::new();
    batch.resize_with(n_chunks.min(AHEAD * workers), Slot::default);
    let mut index = Vec::new();
    let mut file = None;
    let (mut n_bytes, mut n_clipped) = (0u64, 0u64);
    let encoders = Mutex::new(Vec::new());
    for first in (0..n_chunks).step_by(AHEAD * workers) {
        batch.truncate(n_chunks - first);
        let scratch = || {
            let spare = encoders.lock().ok().and_then(|mut list: std::sync::MutexGuard<'_, Vec<_>>| list.pop());
            spare.unwrap_or_else(|| (Encoder::new(level), vec![MISSING; AXES * chunk]))
        };
        for (i, slot) in batch.iter_mut().enumerate() {
            slot.rows.resize(AXES * chunk, f32::NAN);
            copy((first + i) * chunk, &mut slot.rows)?;
        }
        threads::for_each(workers, batch.iter_mut(), scratch, |(encoder, items), slot| {
            slot.n_clipped = quantise(&slot.rows, (1.0 / step_g) as f32, items);
            slot.chunk.clear();
            let absent = items.iter().all(|&item| item == MISSING);
            slot.outcome = if absent { Ok(()) } else { encoder.encode(items, &mut slot.chunk) };
        });
        for slot in &mut batch {
            std::mem::replace(&mut slot.outcome, Ok(()))?;
            n_clipped += slot.n_clipped;
            if slot.chunk.is_empty() {
                index.extend_from_slice(&ABSENT.to_le_bytes());
                continue;
            }
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(BufWriter::new(OpenOptions::new().write(true).create_new(true).open(path)?)),
            };
            file.write_all(&slot.chunk)?;
            index.extend_from_slice(&n_bytes.to_le_bytes());
            index.extend_from_slice(&(slot.chunk.len() as u64).to_le_bytes());
            n_bytes += slot.chunk.len() as u64;
        }
    }
    let Some(mut file) = file else { return Ok(Written { n_clipped, n_bytes: 0 }) };
    index.extend_from_slice(&crc32c::crc32c(&index).to_le_bytes());
    file.write_all(&index)?;
    file.flush()?;
    Ok(Written { n_clipped, n_bytes: n_bytes + index.len() as u64 })
}

/// Fills `items` with samples in steps; returns how many were clipped.
fn quantise(samples: &[f32], scale: f32, items: &mut [i16]) -> u64 {
    let mut n_clipped = 0u32;
    for (item, &value) in items.iter_mut().zip(samples) {
        let steps = value * scale;
        n_clipped += u32::from(steps.abs() >= LARGEST + 0.5);
        let steps = if steps > LARGEST { LARGEST } else { steps };
        let steps = if steps < -LARGEST { -LARGEST } else { steps };
        let stored = (steps + ROUND).to_bits() as i16;
        *item = if value.is_nan() { MISSING } else { stored };
    }
    u64::from(n_clipped)
}
