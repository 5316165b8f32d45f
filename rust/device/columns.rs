//! A whole recording in memory.

use super::room::{self, no_room};
use super::{Block, Chunk, Stream, Summary};
use crate::error::{Error, Result};
use crate::threads;

/// Samples that one recording may hold: 100 days at 1600 Hz.
pub const MAX_SAMPLES: u64 = 16_000_000_000;

/// Samples that room is made for at once, on the word of the file: a fortnight at 100 Hz. More room comes with more samples.
const MAX_HINT: u64 = 1 << 27;

/// Three rows of `capacity` values in one piece of memory, of which the first `len` are in use.
#[derive(Debug, Default)]
pub struct Planar {
    /// Row after row.
    pub values: Vec<f32>,
    /// Values between the beginnings of two rows.
    pub capacity: usize,
}

impl Planar {
    /// Three rows with room for `capacity` values each.
    ///
    /// # Errors
    /// [`Error::Limit`] where the machine has no room for them.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        Ok(Self { values: zeroed(capacity.saturating_mul(3))?, capacity })
    }

    /// Puts `rows` behind the first `len` values of each row, with room for them.
    ///
    /// # Errors
    /// [`Error::Limit`] where the machine has no room for them.
    pub fn append(&mut self, len: usize, rows: &[Vec<f32>; 3]) -> Result<()> {
        let [row, ..] = rows;
        if len + row.len() > self.capacity {
            self.grow(len, (len + row.len()).max(2 * self.capacity))?;
        }
        self.put(len, rows);
        Ok(())
    }

    /// The first `len` values of each row.
    pub fn rows(&mut self, len: usize) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_mut(self.capacity.max(1)).map(move |row| row.get_mut(..len).unwrap_or_default())
    }

    fn grow(&mut self, len: usize, capacity: usize) -> Result<()> {
        let mut values = zeroed(capacity.saturating_mul(3))?;
        for (new, old) in values.chunks_mut(capacity.max(1)).zip(self.values.chunks(self.capacity.max(1))) {
            threads::check_interrupt()?;
            if let (Some(new), Some(old)) = (new.get_mut(..len), old.get(..len)) {
                new.copy_from_slice(old);
            }
        }
        *self = Self { values, capacity };
        Ok(())
    }

    fn put(&mut self, start: usize, rows: &[Vec<f32>; 3]) {
        for (row, from) in self.values.chunks_mut(self.capacity.max(1)).zip(rows) {
            if let Some(to) = row.get_mut(start..start + from.len()) {
                to.copy_from_slice(from);
            }
        }
    }

    fn fill(&mut self, from: usize, to: usize, value: f32) {
        for row in self.values.chunks_mut(self.capacity.max(1)) {
            row.get_mut(from..to).unwrap_or_default().fill(value);
        }
    }
}

/// Types whose values may be all zero bits.
trait Number: Copy + Default {}
impl Number for f32 {}
impl Number for i64 {}

/// `n` zeros, on huge pages where the system has them: the first touch of a gigabyte costs more than all the decoding.
/// Pages that are never touched cost nothing, and a size that the machine does not have is an error, not the end.
fn zeroed<T: Number>(n: usize) -> Result<Vec<T>> {
    let layout = std::alloc::Layout::array::<T>(n).map_err(|_| no_room::<T>(n))?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    #[allow(unsafe_code)]
    // SAFETY: the layout has a size above 0; the memory comes from the global allocator with the layout of `n` values of T,
    // is zeroed, which is a valid value of every `Number`, and is owned by the vector alone.
    let values = unsafe {
        let start = std::alloc::alloc_zeroed(layout);
        if start.is_null() {
            return Err(no_room::<T>(n));
        }
        Vec::from_raw_parts(start.cast::<T>(), n, n)
    };
    #[cfg(target_os = "linux")]
    {
        let bytes = std::mem::size_of_val(values.as_slice());
        if bytes >= 8 << 20 {
            const PAGE: usize = 2 << 20;
            let start = (values.as_ptr() as usize).next_multiple_of(PAGE);
            let end = (values.as_ptr() as usize + bytes) / PAGE * PAGE;
            if end > start {
                #[allow(unsafe_code)]
                // SAFETY: the range lies inside the allocation and the advice changes no contents; a refusal costs nothing.
                unsafe {
                    libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE);
                }
            }
        }
    }
    Ok(values)
}

/// A recording's samples, times, runs and blocks.
#[derive(Debug, Default)]
pub struct Columns {
    /// Samples.
    pub len: usize,
    /// Acceleration, g.
    pub xyz: Planar,
    /// Angular rate, degrees a second; capacity 0 without a gyroscope.
    pub gyro: Planar,
    /// ns since 1970, local device clock; longer than `len`.
    pub time: Vec<i64>,
    /// Light of each sample, lux; empty where the format states it by block.
    pub light: Vec<f32>,
    /// Temperature of each sample, degrees Celsius; empty where the format states it by block.
    pub temperature: Vec<f32>,
    /// Index into the header's labels, -1 without a label; empty in a file without labels.
    pub annotation: Vec<i32>,
    /// First sample of each run.
    pub run_starts: Vec<u64>,
    /// (first sample, block).
    pub blocks: Vec<(u64, Block)>,
    /// Header, quality, rate.
    pub summary: Summary,
}

/// Reads a stream to its end.
///
/// # Errors
/// Those of [`Stream::next`], and [`Error::Limit`] beyond [`MAX_SAMPLES`].
pub fn collect(mut stream: Stream) -> Result<Columns> {
    let mut all = Columns::default();
    let hint = stream.size_hint().unwrap_or(0).min(MAX_HINT) as usize;
    let mut chunk = Chunk::default();
    while stream.next(&mut chunk)? {
        all.append(&chunk, hint)?;
    }
    all.summary = stream.finish();
    Ok(all)
}

impl Columns {
    fn append(&mut self, chunk: &Chunk, hint: usize) -> Result<()> {
        let (from, n) = (self.len, chunk.data.len());
        let end = from + n;
        if end as u64 > MAX_SAMPLES {
            return Err(Error::Limit { name: "samples in one recording", max: MAX_SAMPLES });
        }
        if end > self.xyz.capacity {
            // a hint is of the file's size, which may be a lie: where it finds no room, what is there may
            let capacity = if from == 0 { hint.max(n) } else { end.max(2 * self.xyz.capacity) };
            let capacity = match self.xyz.grow(from, capacity) {
                Ok(()) => capacity,
                Err(_) => {
                    self.xyz.grow(from, end + end / 8)?;
                    end + end / 8
                }
            };
            let mut time = zeroed(capacity)?;
            if let (Some(new), Some(old)) = (time.get_mut(..from), self.time.get(..from)) {
                new.copy_from_slice(old);
            }
            self.time = time;
            if self.gyro.capacity > 0 {
                self.gyro.grow(from, capacity)?;
            }
        }
        self.xyz.put(from, &chunk.data.xyz);
        if let Some(to) = self.time.get_mut(from..end) {
            to.copy_from_slice(&chunk.data.time);
        }
        if chunk.data.gyro.iter().any(|g| !g.is_empty()) && self.gyro.capacity == 0 {
            self.gyro.grow(0, self.xyz.capacity)?;
            self.gyro.fill(0, from, f32::NAN);
        }
        if self.gyro.capacity > 0 {
            self.gyro.fill(from, end, f32::NAN);
            self.gyro.put(from, &chunk.data.gyro);
        }
        sparse(&mut self.light, &chunk.data.light, from, end, f32::NAN)?;
        sparse(&mut self.temperature, &chunk.data.temperature, from, end, f32::NAN)?;
        sparse(&mut self.annotation, &chunk.data.annotation, from, end, -1)?;
        room::make_room(&mut self.run_starts, chunk.run_starts.len())?;
        self.run_starts.extend(chunk.run_starts.iter().map(|s| (from + s) as u64));
        room::join(&mut self.blocks, &chunk.blocks)?;
        self.len = end;
        Ok(())
    }
}

/// Appends a channel that not every chunk has.
fn sparse<T: Copy>(all: &mut Vec<T>, part: &[T], from: usize, end: usize, missing: T) -> Result<()> {
    if !(all.is_empty() && part.is_empty()) {
        room::make_room(all, end - all.len())?;
        all.resize(from, missing);
        all.extend_from_slice(part);
        all.resize(end, missing);
    }
    Ok(())
}
