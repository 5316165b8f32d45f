//! One forward stream of bytes, its first 64 KiB in view.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ahead::Ahead;
use crate::device::{Event, Quality, room, steps};
use crate::error::{Error, Result};
use crate::threads;

/// Bytes that may come out of one compressed stream.
pub const MAX_INFLATED: u64 = 64 << 30;
/// Bytes that an archive inside another wrapping may have: it is held in memory.
pub const MAX_NESTED: u64 = 2 << 30;
const PEEK: usize = 64 << 10;
/// Most bytes of memory for one compressed byte, whatever size the file states.
pub(super) const HINT_RATIO: u64 = 32;
/// Bytes between two questions for Ctrl-C.
const ASK_EVERY: u64 = 4 << 20;

/// A forward stream of bytes with its first 64 KiB in view.
pub struct Source {
    pub(super) path: PathBuf,
    reader: Box<dyn Read + Send>,
    peeked: Vec<u8>,
    taken: usize,
    position: u64,
    /// Position at which Ctrl-C is asked for next.
    ask_at: u64,
    pub(super) size_hint: Option<u64>,
    inflates: bool,
    damage: Option<Damage>,
    /// Bytes that come out, as an archive's directory states them.
    pub(super) stated: Option<u64>,
    /// Bytes of the compressed file that were taken, and all of them.
    pub(super) compressed: Option<(Arc<AtomicU64>, u64)>,
}

/// Why a stream ended early.
#[derive(Debug, Clone)]
struct Damage {
    reason: String,
    /// The compressed bytes end where more should follow.
    cut: bool,
}

/// Opens a regular file; a pipe or a device is refused, and none is waited for.
pub(super) fn regular(path: &Path) -> Result<File> {
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

impl Source {
    pub(super) fn new(
        path: &Path,
        reader: Box<dyn Read + Send>,
        size_hint: Option<u64>,
        inflates: bool,
    ) -> Result<Self> {
        let reader = if inflates { Box::new(Ahead::new(reader)) } else { reader };
        let mut source = Self {
            path: path.to_owned(),
            reader,
            peeked: Vec::new(),
            taken: 0,
            position: 0,
            ask_at: ASK_EVERY,
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

    /// Whether the bytes come out of a compression.
    pub fn inflates(&self) -> bool {
        self.inflates
    }

    /// Why the stream ended early, if its compression was damaged.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_ref().map(|damage| damage.reason.as_str())
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
                // of a stream that this one is taken out of
                Err(e) if e.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
                    return Err(e.downcast::<Error>().unwrap_or_else(Error::Io));
                }
                Err(e) if self.inflates && e.raw_os_error().is_none() => {
                    let cut = e.kind() == std::io::ErrorKind::UnexpectedEof;
                    self.damage = Some(Damage { reason: e.to_string(), cut });
                }
                Err(e) => return Err(e.into()),
            }
        }
        steps::count(n);
        self.position += n as u64;
        if self.position >= self.ask_at {
            self.ask_at = self.position.saturating_add(ASK_EVERY);
            threads::check_interrupt()?;
        }
        if self.inflates && self.position > MAX_INFLATED {
            return Err(Error::Limit { name: "bytes out of one compressed stream", max: MAX_INFLATED });
        }
        Ok(n)
    }

    /// All remaining bytes, at most [`MAX_NESTED`].
    pub fn into_memory(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut piece = vec![0; 1 << 14];
        loop {
            let n = self.fill(&mut piece)?;
            room::join(&mut all, piece.get(..n).unwrap_or_default())?;
            if all.len() as u64 > MAX_NESTED {
                return Err(Error::Limit { name: "bytes of a file held in memory", max: MAX_NESTED });
            }
            if n < piece.len() {
                return Ok(all);
            }
            piece.resize((2 * n).min(1 << 20), 0);
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.fill(buffer).map_err(|error| match error {
            Error::Io(error) => error,
            other => std::io::Error::other(other),
        })
    }
}
