//! The bytes of a recording, whatever they are wrapped in.
//!
//! Plain files, `.gz`, `.bz2` and one-member `.zip` become one forward stream with a limit on what may come out; an archive
//! whose members matter (`.gt3x`) gives each member as such a stream. Nothing is unpacked to disk. Plain `read` into a small
//! buffer is used rather than a map: it costs 0.04 s for a week, does not count the file as resident memory, and a file that
//! shrinks while it is read is an early end, not a signal.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::read::MultiBzDecoder;
use flate2::bufread::GzDecoder;

use super::{Event, Quality};
use crate::error::{Error, Result};
use archive::Backing;

mod archive;

pub use archive::{Archive, Member};

/// Bytes that may come out of one compressed stream.
pub const MAX_INFLATED: u64 = 64 << 30;
/// Bytes that an archive inside another wrapping may have: it is held in memory.
pub const MAX_NESTED: u64 = 2 << 30;
const PEEK: usize = 64 << 10;
/// Bytes that room is made for by a compressed byte, whatever is stated.
const HINT_RATIO: u64 = 32;

/// A forward stream of bytes with its first 64 KiB in view.
pub struct Source {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    peeked: Vec<u8>,
    taken: usize,
    position: u64,
    size_hint: Option<u64>,
    inflates: bool,
    damage: Option<Damage>,
    /// Bytes that come out, as an archive's directory states them.
    stated: Option<u64>,
    /// Bytes of the compressed file that were taken, and all of them.
    compressed: Option<(Arc<AtomicU64>, u64)>,
}

/// Why a stream ended early.
#[derive(Debug, Clone)]
struct Damage {
    why: String,
    /// The compressed bytes end where more should follow.
    cut: bool,
}

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

/// Opens a regular file; a pipe or a device is refused, and none is waited for.
fn regular(path: &Path) -> Result<File> {
    let refusal = |kind: std::fs::FileType| {
        #[cfg(unix)]
        let special = {
            use std::os::unix::fs::FileTypeExt;
            [(kind.is_fifo(), "a named pipe"), (kind.is_socket(), "a socket")]
        };
        #[cfg(not(unix))]
        let special: [(bool, &str); 0] = [];
        let special = special.into_iter().find(|(is, _)| *is).map(|(_, name)| name);
        let name = if kind.is_dir() { "a folder" } else { special.unwrap_or("a device") };
        Error::malformed("file", 0, format!("expected a regular file, got {name}"))
    };
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() {
        return Err(refusal(kind));
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(refusal(kind)) }
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

impl Source {
    fn new(path: &Path, reader: Box<dyn Read + Send>, size_hint: Option<u64>, inflates: bool) -> Result<Self> {
        let mut source = Self {
            path: path.to_owned(),
            reader,
            peeked: Vec::new(),
            taken: 0,
            position: 0,
            size_hint,
            inflates,
            damage: None,
            stated: None,
            compressed: None,
        };
        let mut peeked = vec![0; PEEK];
        let n = source.fill(&mut peeked)?;
        peeked.truncate(n);
        source.peeked = peeked;
        source.position = 0;
        Ok(source)
    }

    /// Bytes in memory; `path` is where they came from.
    ///
    /// # Errors
    /// None that can be foreseen.
    pub fn of_bytes(path: &Path, bytes: Arc<[u8]>) -> Result<Self> {
        let size = bytes.len() as u64;
        Self::new(path, Box::new(Cursor::new(bytes)), Some(size), false)
    }

    /// The file on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first bytes (64 KiB where there are as many), without taking them.
    pub fn peek(&self) -> &[u8] {
        &self.peeked
    }

    /// Bytes taken so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes that will come, as far as the outside tells; a hint.
    pub fn size_hint(&self) -> Option<u64> {
        self.size_hint
    }

    /// Why the stream ended early, if its compression was damaged.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_ref().map(|damage| damage.why.as_str())
    }

    /// Notes a damaged compression, if there is one, with the share of the file that it keeps back; NaN where nothing says
    /// how much that is.
    pub fn note_damage(&self, block: u64, quality: &mut Quality) {
        let Some(damage) = &self.damage else { return };
        let left = |got: u64, all: u64| if all > got { (all - got) as f64 / all as f64 } else { 0.0 };
        let value = match (&self.compressed, self.stated) {
            (_, Some(stated)) => left(self.position, stated),
            _ if damage.cut => f64::NAN,
            (Some((taken, all)), None) => left(taken.load(Ordering::Relaxed), *all),
            (None, None) => f64::NAN,
        };
        quality.note(Event { value, ..Event::at("damaged_compression", self.position, block) });
    }

    /// Reads until `buffer` is full or the bytes end; returns how many came. A damaged compressed stream ends where the
    /// damage is, and [`Source::damage`] says so.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut n = 0;
        if let Some(rest) = self.peeked.get(self.taken..).filter(|r| !r.is_empty()) {
            n = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
                to.copy_from_slice(from);
            }
            self.taken += n;
        }
        while let Some(room) = buffer.get_mut(n..).filter(|r| !r.is_empty()) {
            if self.damage.is_some() {
                break;
            }
            match self.reader.read(room) {
                Ok(0) => break,
                Ok(k) => n += k,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if self.inflates && e.raw_os_error().is_none() => {
                    let cut = e.kind() == std::io::ErrorKind::UnexpectedEof;
                    self.damage = Some(Damage { why: e.to_string(), cut });
                }
                Err(e) => return Err(e.into()),
            }
        }
        self.position += n as u64;
        if self.inflates && self.position > MAX_INFLATED {
            return Err(Error::Limit { what: "bytes out of one compressed stream", max: MAX_INFLATED });
        }
        Ok(n)
    }

    /// All remaining bytes, at most [`MAX_NESTED`].
    pub fn into_memory(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            let n = self.fill(&mut piece)?;
            all.extend_from_slice(piece.get(..n).unwrap_or_default());
            if all.len() as u64 > MAX_NESTED {
                return Err(Error::Limit { what: "bytes of a file held in memory", max: MAX_NESTED });
            }
            if n < piece.len() {
                return Ok(all);
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.fill(buffer).map_err(|error| match error {
            Error::Io(error) => error,
            other => std::io::Error::other(other.to_string()),
        })
    }
}
