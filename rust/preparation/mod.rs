//! A device file to calibrated wear in one pass.
//!
//! What is kept of 100 Hz is nothing: chunks of a few thousand samples go through the low-pass and onto the grid while they
//! are in the cache, and what outlives them are the samples of the grid and one row of statistics a window. Calibration is
//! affine and the steps before it are linear, so it is fitted to the table and applied to the grid at the end; so is
//! non-wear, since a window's standard deviation scales with the gain.
//!
//! **Time.** The grid begins at the first sample and runs on the device's clock. Where that clock goes back, the samples that
//! follow are shifted so that the grid goes on a sample later, and wear ends if it fell by more than five seconds. After a
//! gap of more than a day, or once the gaps together last four days longer than all that was recorded, a new piece of grid
//! begins a minute later: a clock that was lost costs kilobytes. [`Prepared::shifts`] says by how much the grid is ahead.
//! So the memory is bounded by the samples that there are, whatever their dates.
//!
//! **Gaps.** Each run is filtered by itself and by its own rate, unless the recipe filters across gaps as actipy does.
//! Between runs no farther apart than `max_gap_s` the linear grid is interpolated and counted; longer ones stay missing and
//! end a segment. Where a format writes records of a second and the limit lies just under that, one lost record is bridged.

use std::path::Path;
use std::sync::Arc;

mod edges;
mod filtering;
mod gridded;
mod pass;
mod points;
mod prepared;
mod segments;
mod settings;
#[cfg(test)]
mod tests;
mod timeline;
mod warmth;

pub use points::{Pieces, Points};
pub use prepared::Prepared;
pub use settings::{Order, Settings};

use crate::device::{self, Chunk, Stream, Timestamps};
use crate::error::{Error, Result};
use crate::signal::grid::{Grid, Method};
use crate::threads;
use pass::Pass;

/// Prepares a file.
///
/// # Errors
/// Those of [`device::open`] and [`Stream::next`], settings outside their domain, and [`Error::Limit`] for a grid of more
/// than 100 days at 30 Hz.
pub fn prepare(path: &Path, settings: &Settings) -> Result<Prepared> {
    prepare_opened(&|| device::open(path, &settings.reading), settings)
}

/// Prepares the bytes of a file.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_bytes(bytes: &Arc<[u8]>, settings: &Settings) -> Result<Prepared> {
    prepare_opened(&|| device::open_bytes(bytes.clone(), &settings.reading), settings)
}

fn prepare_opened(open: &dyn Fn() -> Result<Stream>, settings: &Settings) -> Result<Prepared> {
    let points = match settings.reading.timestamps {
        // actipy's rounding of the grid's times depends on how many there are, so its recipe reads the file twice
        Timestamps::Actipy if settings.method == Method::Nearest => {
            let (first, last) = span(open()?)?;
            Some(Grid::new(first, settings.rate)?.count(last, settings.method))
        }
        _ => None,
    };
    follow(open()?, settings, points)
}

/// First and last time of a recording.
fn span(mut stream: Stream) -> Result<(i64, i64)> {
    let mut chunk = Chunk::default();
    let (mut first, mut last) = (None, 0);
    while stream.next(&mut chunk)? {
        first = first.or(chunk.data.time.iter().copied().find(|time| timeline::is_possible(*time)));
        last = chunk.data.time.iter().rev().copied().find(|time| timeline::is_possible(*time)).unwrap_or(last);
    }
    Ok((first.unwrap_or(last), last))
}

/// Prepares a recording from any reader.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_stream(stream: Stream, settings: &Settings) -> Result<Prepared> {
    follow(stream, settings, None)
}

fn follow(mut stream: Stream, settings: &Settings, points: Option<u64>) -> Result<Prepared> {
    let mut chunk = Chunk::default();
    if !stream.next(&mut chunk)? {
        let kinds = stream.finish();
        return Err(Error::malformed(kinds.header.format, 0, "expected samples, got a recording without any"));
    }
    // a decompressor that runs ahead has a thread already
    let busy = if stream.inflates() { 2 } else { 1 };
    std::thread::scope(|scope| {
        let scope = (threads::count() > busy).then_some(scope);
        let mut pass = Pass::new(settings, &stream, &chunk, points, scope)?;
        loop {
            pass.push(&chunk, &stream)?;
            if !stream.next(&mut chunk)? {
                return pass.finish(stream.finish());
            }
        }
    })
}
