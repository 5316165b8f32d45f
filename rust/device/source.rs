//! The bytes of a recording in any compression or archive.
//!
//! Plain files, `.gz`, `.bz2` and one-member `.zip` become one forward stream with a limit on what may come out; an archive
//! whose members matter (`.gt3x`) gives each member as such a stream. Nothing is unpacked to disk. Plain `read` into a small
//! buffer is used rather than a map: it costs 0.04 s for a week, does not count the file as resident memory, and a file that
//! shrinks while it is read is an early end, not a signal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::read::MultiBzDecoder;
use flate2::bufread::GzDecoder;

use crate::error::{Error, Result};
use archive::Backing;
use stream::{HINT_RATIO, regular};

mod ahead;
mod archive;
mod stream;

pub use archive::{Archive, Member};
pub use stream::{MAX_INFLATED, MAX_NESTED, Source};

/// What a path turned out to hold.
pub enum Opened {
    /// One stream of bytes.
    Stream(Source),
    /// An archive with several members, or one whose layout is the format.
    Archive(Archive),
}

/// Opens a file and takes off its wrapping: gzip, bzip2, or a zip of one member.
pub fn open(path: &Path) -> Result<Opened> {
    let file = regular(path)?;
    let size = file.metadata()?.len();
    if size == 0 {
        return Err(Error::malformed("file", 0, "expected a recording, got an empty file"));
    }
    let source = Source::new(path, Box::new(file), Some(size), false)?;
    unwrap(source, 0)
}

/// Bytes in memory, with the wrapping taken off as [`open`] does.
///
/// # Errors
/// Those of [`open`].
pub fn from_memory(bytes: Arc<[u8]>) -> Result<Opened> {
    if bytes.is_empty() {
        return Err(Error::malformed("file", 0, "expected a recording, got no byte"));
    }
    unwrap(Source::of_bytes(Path::new(""), bytes)?, 1)
}

/// Takes the wrapping off a stream: gzip, bzip2, or a zip of one member.
///
/// # Errors
/// Those of [`open`].
pub fn unwrap(source: Source, depth: u32) -> Result<Opened> {
    if depth > 3 {
        return Err(Error::Unsupported("more than three compressions around each other".into()));
    }
    let magic = source.peek().get(..4).unwrap_or_default().to_vec();
    let path = source.path.clone();
    let hint = source.size_hint;
    match magic.as_slice() {
        [0x1f, 0x8b, ..] => {
            let hint = if depth == 0 { gzip_size(&path, hint) } else { None };
            inflated(source, hint, |source| Box::new(GzMembers(Some(GzDecoder::new(source)))), depth)
        }
        [b'B', b'Z', b'h', _] => inflated(source, None, |source| Box::new(MultiBzDecoder::new(source)), depth),
        [b'P', b'K', 3, 4] => {
            let bytes =
                if depth == 0 { Backing::File(path.clone()) } else { Backing::Memory(source.into_memory()?.into()) };
            let archive = Archive::open(&path, bytes)?;
            let single: Vec<&Member> = archive.members.iter().filter(|m| !m.name.ends_with('/')).collect();
            if let [member] = single.as_slice()
                && !member.name.ends_with(".npy")
            {
                let inner = archive.source(member)?;
                return unwrap(inner, depth + 1);
            }
            Ok(Opened::Archive(archive))
        }
        _ => Ok(Opened::Stream(source)),
    }
}

type Buffered = BufReader<Counted>;

/// A compressed stream with its wrapping taken off.
fn inflated(
    source: Source,
    hint: Option<u64>,
    decoder: fn(Buffered) -> Box<dyn Read + Send>,
    depth: u32,
) -> Result<Opened> {
    let (path, all) = (source.path.clone(), source.size_hint);
    let taken = Arc::new(AtomicU64::new(0));
    let counted = Counted { reader: source, taken: taken.clone() };
    let mut inner = Source::new(&path, decoder(BufReader::with_capacity(1 << 18, counted)), hint, true)?;
    inner.compressed = all.map(|all| (taken, all));
    unwrap(inner, depth + 1)
}

/// The members of a gzip file, one behind the other. What stands behind the last one and is none is damage, though all of
/// the file has come: it is told apart from a file that is cut.
struct GzMembers(Option<GzDecoder<Buffered>>);

impl Read for GzMembers {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let Some(decoder) = &mut self.0 else { return Ok(0) };
            let n = decoder.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Some(mut rest) = self.0.take().map(GzDecoder::into_inner) else { return Ok(0) };
            match rest.fill_buf()? {
                [] => return Ok(0),
                [0x1f, 0x8b, ..] => self.0 = Some(GzDecoder::new(rest)),
                _ => return Err(std::io::Error::other("bytes behind the compressed stream that are not of it")),
            }
        }
    }
}

/// A stream whose bytes are counted.
struct Counted {
    reader: Source,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The uncompressed size modulo 2^32 that a gzip file ends with: a hint for how much room to make, never trusted.
fn gzip_size(path: &Path, compressed: Option<u64>) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::End(-4)).ok()?;
    let mut last = [0u8; 4];
    file.read_exact(&mut last).ok()?;
    let size = u64::from(u32::from_le_bytes(last));
    compressed.filter(|c| size >= *c / 2 && size <= c.saturating_mul(HINT_RATIO)).map(|_| size)
}
