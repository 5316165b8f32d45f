//! The members of a tar archive, one after the other, from a stream.
//!
//! Blocks of 512 bytes: a head with name, size in octal and kind, then the member's bytes up to the next multiple of 512.
//! Long names come as a member of kind `L` (GNU) or in a pax head (kind `x`, `path=`) before the one they name (POSIX.1-2001).

use super::room;
use super::source::Source;
use crate::error::{Error, Result};
use crate::threads;

const BLOCK: usize = 512;
/// Bytes that a member may have: it is held in memory.
pub const MAX_MEMBER: u64 = 512 << 20;
const MAX_NAME: u64 = 64 << 10;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, with its folders.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// It is a file, no folder or link.
    pub file: bool,
}

/// True where the first bytes are a member's head.
pub fn sniff(first: &[u8]) -> bool {
    first.first_chunk::<BLOCK>().is_some_and(sound)
}

/// The sum of the head's bytes, its own field counted as blanks, is what the field says.
fn sound(head: &[u8; BLOCK]) -> bool {
    let sum: u64 = head.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u64::from(*b) }).sum();
    sum > 256 && octal(head.get(148..156).unwrap_or_default()) == Some(sum)
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

/// A stream of members.
pub struct Tar {
    source: Source,
    /// Bytes up to the next head.
    rest: u64,
}

impl Tar {
    /// The archive in `source`.
    pub fn new(source: Source) -> Self {
        Self { source, rest: 0 }
    }

    /// Where the bytes come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The next member; the rest of the one before is passed over. `None` at the end, or without a head.
    ///
    /// # Errors
    /// The file system's, [`Error::Limit`].
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let mut long = None;
        loop {
            threads::check_interrupt()?;
            self.skip()?;
            let mut head = [0u8; BLOCK];
            if self.source.fill(&mut head)? < BLOCK || !sound(&head) {
                return Ok(None);
            }
            let Some(size) = octal(head.get(124..136).unwrap_or_default()) else { return Ok(None) };
            let Some(rest) = size.checked_next_multiple_of(BLOCK as u64) else { return Ok(None) };
            self.rest = rest;
            let kind = head.get(156).copied().unwrap_or(0);
            match kind {
                b'L' => long = Some(text(&self.bytes(size, MAX_NAME)?)),
                b'x' => long = path(&self.bytes(size, MAX_NAME)?).or(long),
                _ => {
                    let (name, folder) = (head.get(..100).unwrap_or_default(), head.get(345..500).unwrap_or_default());
                    let name = long.take().unwrap_or_else(|| match text(folder) {
                        folder if folder.is_empty() => text(name),
                        folder => format!("{folder}/{}", text(name)),
                    });
                    return Ok(Some(Entry { name, size, file: matches!(kind, 0 | b'0' | b'7') }));
                }
            }
        }
    }

    /// The bytes of the member that [`Tar::next`] gave last; fewer where the archive ends.
    ///
    /// # Errors
    /// The file system's, [`Error::Limit`] beyond [`MAX_MEMBER`].
    pub fn read(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        self.bytes(entry.size, MAX_MEMBER)
    }

    fn bytes(&mut self, size: u64, max: u64) -> Result<Vec<u8>> {
        if size > max {
            return Err(Error::Limit { name: "bytes of an archive member", max });
        }
        // a stated size is not trusted before its bytes come
        let mut all = Vec::new();
        let mut piece = vec![0; 1 << 16];
        while (all.len() as u64) < size {
            threads::check_interrupt()?;
            let want = (size - all.len() as u64).min(piece.len() as u64) as usize;
            let n = self.source.fill(piece.get_mut(..want).unwrap_or_default())?;
            room::join(&mut all, piece.get(..n).unwrap_or_default())?;
            if n < want {
                break;
            }
        }
        self.rest = self.rest.saturating_sub(all.len() as u64);
        Ok(all)
    }

    /// Passes over the rest of a member.
    fn skip(&mut self) -> Result<()> {
        let mut piece = [0; 1 << 15];
        while self.rest > 0 {
            threads::check_interrupt()?;
            let want = self.rest.min(piece.len() as u64) as usize;
            let n = self.source.fill(piece.get_mut(..want).unwrap_or_default())?;
            self.rest = if n < want { 0 } else { self.rest - n as u64 };
        }
        Ok(())
    }
}

/// The record `path` of a pax head: lines of length, blank, name=value.
fn path(bytes: &[u8]) -> Option<String> {
    let lines = String::from_utf8_lossy(bytes);
    lines.lines().find_map(|l| l.split_once(' ')?.1.strip_prefix("path=")).map(str::to_owned)
}
