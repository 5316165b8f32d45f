//! Samples of one shard: its index, then the chunks that hold them, decoded on all threads.
//!
//! A shard is its chunks, then an index of (offset u64, bytes u64) for each and the CRC-32C of the index. A chunk that is
//! all missing is not stored; both of its numbers are then 2^64 - 1. Source: Zarr, `sharding_indexed` 1.0.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::blosc::Decoder;
use crate::error::{Error, Result};
use crate::threads;

const FORMAT: &str = "zarr shard";
pub(super) const AXES: usize = 3;
pub(super) const MISSING: i16 = i16::MIN;
/// The entry of a chunk that is not stored.
pub(super) const ABSENT: u128 = u128::MAX;
const ENTRY: usize = 16;
const CHECKSUM: usize = 4;
/// Of the time that a sample takes, for the choice of threads.
const NS_PER_SAMPLE: f64 = 4.0;

/// A value that a stored sample becomes.
pub trait Value: Copy + Send {
    /// `stored` in steps of `step`; the smallest int16 is missing.
    fn of(stored: i16, step: f32) -> Self;
}

impl Value for i16 {
    fn of(stored: i16, _: f32) -> Self {
        stored
    }
}

impl Value for f32 {
    fn of(stored: i16, step: f32) -> Self {
        if stored == MISSING { f32::NAN } else { f32::from(stored) * step }
    }
}

/// Fills `out` [3, samples] with `samples` of the shard at `path`, whose chunks have `chunk` samples each.
///
/// A shard that is not there is all missing, as Zarr defines it.
///
/// # Errors
/// [`Error::Malformed`] for a damaged shard, [`Error::Shape`] where `out` has another size, [`Error::Value`] for samples
/// beyond the last of `n_chunks` chunks, [`Error::Io`] from the file system.
pub fn read<T: Value>(
    path: &Path,
    (n_chunks, chunk): (usize, usize),
    samples: Range<usize>,
    step: f32,
    out: &mut [T],
) -> Result<()> {
    let n = samples.len();
    if Some(out.len()) != n.checked_mul(AXES) {
        return Err(Error::shape("out", format!("[3, {n}]"), format!("{} items", out.len())));
    }
    if n_chunks.checked_mul(chunk).is_none_or(|end| samples.end > end) {
        return Err(Error::value("samples", format!("some of {n_chunks} chunks of {chunk}"), format!("{samples:?}")));
    }
    if n == 0 {
        return Ok(());
    }
    let touched = samples.start / chunk..samples.end.div_ceil(chunk);
    let stored = match std::fs::metadata(path) {
        Ok(entry) if entry.is_file() => Some(chunks(File::open(path)?, n_chunks, touched.clone())?),
        Ok(_) => return Err(malformed(0, "a regular file", "another kind of file")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let failed = Mutex::new(None);
    let (mut x, rest) = out.split_at_mut(n);
    let (mut y, mut z) = rest.split_at_mut(n);
    let parts = touched.map(|k| {
        let columns = samples.start.max(k * chunk) - k * chunk..samples.end.min((k + 1) * chunk) - k * chunk;
        let axes = [&mut x, &mut y, &mut z].map(|axis| axis.split_off_mut(..columns.len()).unwrap_or_default());
        (k, columns, axes)
    });
    let scratch = || (Decoder::default(), Vec::new());
    threads::for_each(
        threads::worth(n as f64 * NS_PER_SAMPLE),
        parts,
        scratch,
        |(decoder, items), (k, columns, axes)| {
            let outcome = match stored.as_ref().and_then(|stored| stored.get(k)) {
                None => {
                    axes.into_iter().flatten().for_each(|value| *value = T::of(MISSING, step));
                    Ok(())
                }
                Some(bytes) => part(decoder, items, bytes, (chunk, columns), step, axes),
            };
            if let Err(error) = outcome {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        },
    );
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Decodes a chunk of `chunk` samples, and hands its `columns` to the axes.
fn part<T: Value>(
    decoder: &mut Decoder,
    items: &mut Vec<i16>,
    bytes: &[u8],
    (chunk, columns): (usize, Range<usize>),
    step: f32,
    axes: [&mut [T]; AXES],
) -> Result<()> {
    let n = AXES.saturating_mul(chunk);
    if items.len() != n {
        items.try_reserve_exact(n).map_err(|_| Error::Limit { name: "bytes of memory for a chunk", max: n as u64 })?;
        items.resize(n, 0);
    }
    decoder.decode(bytes, items)?;
    for (axis, stored) in axes.into_iter().zip(items.chunks_exact(chunk)) {
        let stored = stored.get(columns.clone()).unwrap_or_default();
        axis.iter_mut().zip(stored).for_each(|(value, &stored)| *value = T::of(stored, step));
    }
    Ok(())
}

/// The bytes of some chunks of a shard, which lie one after the other in most files.
struct Chunks {
    first: usize,
    /// Offset in the file of `bytes`.
    start: u64,
    bytes: Vec<u8>,
    entries: Vec<Option<Range<u64>>>,
}

impl Chunks {
    /// The bytes of chunk `k`; none if it is all missing.
    fn get(&self, k: usize) -> Option<&[u8]> {
        let entry = self.entries.get(k.checked_sub(self.first)?)?.as_ref()?;
        let within = |offset: u64| usize::try_from(offset - self.start).ok();
        self.bytes.get(within(entry.start)?..within(entry.end)?)
    }
}

/// Reads the index of a shard, and then the `touched` of its chunks in one piece.
fn chunks(mut file: File, n_chunks: usize, touched: Range<usize>) -> Result<Chunks> {
    let length = file.metadata()?.len();
    let size = n_chunks.saturating_mul(ENTRY).saturating_add(CHECKSUM);
    let Some(index) = length.checked_sub(size as u64) else {
        return Err(malformed(length, &format!("an index of {size} bytes"), format!("a file of {length}")));
    };
    let mut bytes = vec![0; size];
    file.seek(SeekFrom::Start(index))?;
    file.read_exact(&mut bytes)?;
    let (entries, checksum) = bytes.split_at(size - CHECKSUM);
    let expected = crc32c::crc32c(entries);
    if checksum != expected.to_le_bytes() {
        return Err(malformed(index, &format!("an index of CRC-32C {expected:#010x}"), format!("{checksum:02x?}")));
    }
    let entries = entries.as_chunks::<ENTRY>().0.iter().skip(touched.start).take(touched.len());
    let entries = entries.map(|entry| self::entry(entry, index)).collect::<Result<Vec<_>>>()?;
    let start = entries.iter().flatten().map(|entry| entry.start).min().unwrap_or(0);
    let end = entries.iter().flatten().map(|entry| entry.end).max().unwrap_or(start);
    bytes.clear();
    file.seek(SeekFrom::Start(start))?;
    file.take(end - start).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != end - start {
        return Err(malformed(start, &format!("chunks of {} bytes", end - start), bytes.len()));
    }
    Ok(Chunks { first: touched.start, start, bytes, entries })
}

/// The bytes of a chunk, which must end before the index begins; none if it is all missing.
fn entry(entry: &[u8; ENTRY], index: u64) -> Result<Option<Range<u64>>> {
    let both = u128::from_le_bytes(*entry);
    if both == ABSENT {
        return Ok(None);
    }
    let (offset, n_bytes) = (both as u64, (both >> 64) as u64);
    match offset.checked_add(n_bytes).filter(|&end| end <= index) {
        Some(end) => Ok(Some(offset..end)),
        None => Err(malformed(index, "chunks before the index", format!("{n_bytes} bytes at {offset}"))),
    }
}

fn malformed(offset: u64, expected: &str, got: impl std::fmt::Display) -> Error {
    Error::malformed(FORMAT, offset, format!("expected {expected}, got {got}"))
}
