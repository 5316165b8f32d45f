//! A stream of bytes as lines, with a limit on their length.

use std::ops::Range;

use super::source::Source;
use super::steps;
use crate::error::Result;

/// Bytes that a line may have. A longer one is passed over and given as empty, with [`Line::long`] set.
pub const MAX_LINE: usize = 1 << 20;
/// Bytes read at once: at first, doubled each time, and at most.
const FIRST_PIECE: usize = 8 << 10;
const PIECE: usize = 256 << 10;

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Byte offset in the uncompressed file.
    pub offset: u64,
    /// The line without its end, for [`Lines::bytes`].
    pub range: Range<usize>,
    /// It was longer than [`MAX_LINE`] and is not here.
    pub long: bool,
    /// It ended with a line feed.
    pub ended: bool,
}

/// Lines that end with a line feed, with or without a carriage return before it.
pub struct Lines {
    source: Source,
    buffer: Vec<u8>,
    position: usize,
    /// File offset of `buffer[0]`.
    base: u64,
    piece: usize,
    drained: bool,
}

impl Lines {
    /// The remaining lines of `source`.
    pub fn new(source: Source) -> Self {
        let base = source.position();
        Self { source, buffer: Vec::new(), position: 0, base, piece: FIRST_PIECE, drained: false }
    }

    /// The bytes of the line that [`Lines::next`] gave last.
    pub fn bytes(&self, line: &Line) -> &[u8] {
        self.buffer.get(line.range.clone()).unwrap_or_default()
    }

    /// Where the bytes come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Offset of the next line.
    pub fn position(&self) -> u64 {
        self.base + self.position as u64
    }

    /// The next line, `None` when there are no more.
    ///
    /// # Errors
    /// Those of [`Source::fill`].
    pub fn next(&mut self) -> Result<Option<Line>> {
        let offset = self.position();
        let mut searched = 0;
        let mut long = false;
        loop {
            let rest = self.buffer.get(self.position..).unwrap_or_default();
            if let Some(n) = rest.get(searched..).and_then(|new| memchr::memchr(b'\n', new)) {
                steps::count(n);
                let n = searched + n;
                let text = rest.get(..n).unwrap_or_default();
                let length = if long { 0 } else { text.strip_suffix(b"\r").unwrap_or(text).len() };
                let range = self.position..self.position + length;
                self.position += n + 1;
                return Ok(Some(Line { offset, range, long, ended: true }));
            }
            steps::count(rest.len() - searched);
            searched = rest.len();
            if self.drained {
                let range = self.position..self.position + if long { 0 } else { searched };
                self.position += searched;
                return Ok((searched > 0 || long).then_some(Line { offset, range, long, ended: false }));
            }
            if searched > MAX_LINE {
                long = true;
                self.position += searched;
                searched = 0;
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.position);
        self.base += self.position as u64;
        self.position = 0;
        let have = self.buffer.len();
        steps::count(have);
        self.buffer.resize(have + self.piece, 0);
        let got = self.source.fill(self.buffer.get_mut(have..).unwrap_or_default())?;
        self.buffer.truncate(have + got);
        self.drained = got < self.piece;
        self.piece = PIECE.min(2 * self.piece);
        Ok(())
    }
}
