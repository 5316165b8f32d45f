//! A chunk in the format of Blosc 1, compressed by Zstandard, its two bytes shuffled: what zarr-python writes for int16.
//!
//! ```text
//! version u8, codec version u8, flags u8, item size u8, bytes u32, block bytes u32, compressed bytes u32
//! for each block: its offset u32
//! for each block: one stream, or one for each byte of an item; a stream is its length u32 and its bytes
//! ```
//!
//! Source: c-blosc, `README_CHUNK_FORMAT.rst`.

use zstd_safe::{CCtx, DCtx, compress_bound, get_error_name, max_c_level};

use crate::error::{Error, Result};

const FORMAT: &str = "blosc";
const HEADER: usize = 16;
const SHUFFLED: u8 = 1;
const STORED: u8 = 2;
const BITS_SHUFFLED: u8 = 4;
const WHOLE_BLOCKS: u8 = 16;
const ZSTD: u8 = 4;
const ITEM: usize = 2;
/// A block of fewer items than this has one stream.
const LEAST_SPLIT: usize = 128;

/// Bytes of a block, each of whose two streams then fits into the first cache of a core, which also gives the smallest files.
const BLOCK: usize = 1 << 15;

/// Encodes chunks of int16, and keeps its memory from one to the next.
pub struct Encoder {
    context: CCtx<'static>,
    /// Of Zstandard.
    level: i32,
    /// The low bytes of a block's items, then their high bytes.
    planes: Vec<u8>,
    stream: Vec<u8>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder at a level of Blosc, 1 to 9.
    pub fn new(level: u8) -> Self {
        let stream = vec![0; compress_bound(BLOCK)];
        let level = if level < 9 { 2 * i32::from(level) - 1 } else { max_c_level() };
        Self { context: CCtx::create(), level, planes: vec![0; BLOCK], stream }
    }

    /// Appends the chunk of some items to `out`, which is empty.
    ///
    /// # Errors
    /// [`Error::Value`] for a chunk of more than 1 GB.
    pub fn encode(&mut self, items: &[i16], out: &mut Vec<u8>) -> Result<()> {
        let n_bytes = size_of_val(items);
        if n_bytes > i32::MAX as usize / 2 {
            return Err(Error::value("chunk", "less than 1 GB", format!("{n_bytes} bytes")));
        }
        let block_bytes = n_bytes.min(BLOCK);
        let blocks = items.chunks((block_bytes / ITEM).max(1));
        out.extend_from_slice(&[2, 1, SHUFFLED | (ZSTD << 5), ITEM as u8]);
        put(out, n_bytes);
        put(out, block_bytes);
        out.resize(HEADER + 4 * blocks.len(), 0);
        for (i, block) in blocks.enumerate() {
            let start = out.len();
            set(out, HEADER + 4 * i, start);
            let planes = self.planes.get_mut(..ITEM * block.len()).unwrap_or_default();
            let (low, high) = planes.split_at_mut(block.len());
            for ((item, low), high) in block.iter().zip(low).zip(high) {
                [*low, *high] = item.to_le_bytes();
            }
            for plane in planes.chunks(ITEM * block.len() / n_streams(block, block_bytes)) {
                let written = self.context.compress(self.stream.as_mut_slice(), plane, self.level);
                let stream = written.ok().and_then(|n| self.stream.get(..n));
                let stream = stream.filter(|stream| stream.len() < plane.len()).unwrap_or(plane);
                put(out, stream.len());
                out.extend_from_slice(stream);
            }
        }
        let end = out.len();
        set(out, 12, end);
        Ok(())
    }
}

/// Decodes chunks of int16, and keeps its memory from one to the next.
pub struct Decoder {
    context: DCtx<'static>,
    /// The low bytes of a block's items, then their high bytes.
    planes: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { context: DCtx::create(), planes: Vec::new() }
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("planes", &self.planes.len()).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Fills `out` with the items of a chunk, which must be as many.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the chunk has another form, another size, or cannot be decompressed.
    pub fn decode(&mut self, chunk: &[u8], out: &mut [i16]) -> Result<()> {
        let n_bytes = size_of_val(out);
        let &[_, _, flags, item, ..] = chunk else {
            return Err(malformed("a header of 16 bytes", chunk.len()));
        };
        let (stated, block, compressed) = (word(chunk, 4)?, word(chunk, 8)?, word(chunk, 12)?);
        if stated != n_bytes || compressed != chunk.len() {
            let expected = format!("{n_bytes} bytes in {}", chunk.len());
            return Err(malformed(&expected, format!("{stated} in {compressed}")));
        }
        if flags & STORED != 0 {
            let bytes = chunk.get(HEADER..).filter(|bytes| bytes.len() == n_bytes);
            join(bytes.ok_or_else(|| malformed("as many bytes as its items have", chunk.len()))?, out);
            return Ok(());
        }
        if flags & SHUFFLED == 0 || flags & BITS_SHUFFLED != 0 || flags >> 5 != ZSTD || usize::from(item) != ITEM {
            return Err(malformed("Zstandard of shuffled int16", format!("flags {flags:#04x}, items of {item} bytes")));
        }
        if block == 0 || block % ITEM != 0 {
            return Err(malformed("blocks of whole items", format!("{block} bytes")));
        }
        for (i, items) in out.chunks_mut(block / ITEM).enumerate() {
            let start = word(chunk, HEADER + 4 * i)?;
            let rest = chunk.get(start..).ok_or_else(|| malformed("a block inside the chunk", start))?;
            let n_streams = if flags & WHOLE_BLOCKS == 0 { n_streams(items, block) } else { 1 };
            self.block(rest, n_streams, items)?;
        }
        Ok(())
    }

    /// Decodes one block, which begins `bytes` and has `n_streams` streams.
    fn block(&mut self, mut bytes: &[u8], n_streams: usize, items: &mut [i16]) -> Result<()> {
        self.planes.resize(ITEM * items.len(), 0);
        for plane in self.planes.chunks_mut((ITEM * items.len() / n_streams).max(1)) {
            let length = word(bytes, 0)?;
            let end = length.saturating_add(4);
            let stream = bytes.get(4..end).ok_or_else(|| malformed("a stream inside the chunk", length))?;
            if length == plane.len() {
                plane.copy_from_slice(stream); // it could not be made smaller
            } else {
                let written = self.context.decompress(&mut *plane, stream);
                let written = written.map_err(|code| malformed("a frame of Zstandard", get_error_name(code)))?;
                if written != plane.len() {
                    return Err(malformed(&format!("{} bytes in a stream", plane.len()), written));
                }
            }
            bytes = bytes.get(end..).unwrap_or_default();
        }
        let (low, high) = self.planes.split_at(items.len());
        for ((item, &low), &high) in items.iter_mut().zip(low).zip(high) {
            *item = i16::from_le_bytes([low, high]);
        }
        Ok(())
    }
}

/// Streams of a block among blocks of `block_bytes`: one for each byte of an item, but one for a block that is small or shorter.
fn n_streams(block: &[i16], block_bytes: usize) -> usize {
    if block_bytes / ITEM >= LEAST_SPLIT && size_of_val(block) == block_bytes { ITEM } else { 1 }
}

fn join(bytes: &[u8], out: &mut [i16]) {
    for (item, pair) in out.iter_mut().zip(bytes.as_chunks().0) {
        *item = i16::from_le_bytes(*pair);
    }
}

fn put(bytes: &mut Vec<u8>, word: usize) {
    bytes.extend_from_slice(&(word as u32).to_le_bytes());
}

fn set(bytes: &mut [u8], place: usize, word: usize) {
    if let Some(four) = bytes.get_mut(place..place + 4) {
        four.copy_from_slice(&(word as u32).to_le_bytes());
    }
}

fn word(bytes: &[u8], place: usize) -> Result<usize> {
    let four = bytes.get(place..).and_then(|rest| rest.first_chunk());
    four.map(|four| u32::from_le_bytes(*four) as usize).ok_or_else(|| malformed("four more bytes", bytes.len()))
}

fn malformed(expected: &str, got: impl std::fmt::Display) -> Error {
    Error::malformed(FORMAT, 0, format!("chunk: expected {expected}, got {got}"))
}
