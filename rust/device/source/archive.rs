//! A zip archive: its members as streams, none believed beyond what its bytes can come to.

use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use super::stream::{HINT_RATIO, Source, regular};
use crate::error::{Error, Result};

/// Bytes that a byte of deflate can stand for at most.
const DEFLATE_RATIO: u64 = 1032;

#[derive(Clone)]
pub(super) enum Backing {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

/// One member of an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, with its folders.
    pub name: String,
    /// Its size unpacked, as the archive states it.
    pub size: u64,
    start: u64,
    compressed: u64,
    crc32: u32,
    method: zip::CompressionMethod,
}

/// A zip archive: its members as streams.
pub struct Archive {
    path: PathBuf,
    backing: Backing,
    /// The members, in the archive's order.
    pub members: Vec<Member>,
}

impl Archive {
    pub(super) fn open(path: &Path, backing: Backing) -> Result<Self> {
        let members = match &backing {
            Backing::File(path) => list(BufReader::new(regular(path)?)),
            Backing::Memory(bytes) => list(Cursor::new(bytes.clone())),
        }
        .map_err(|e| {
            Error::malformed("zip", 0, format!("expected a whole archive, got one whose directory cannot be read: {e}"))
        })?;
        Ok(Self { path: path.to_owned(), backing, members })
    }

    /// The file on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The member of this name, folders and letter case aside.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name.rsplit(['/', '\\']).next().is_some_and(|n| n.eq_ignore_ascii_case(name)))
    }

    /// Members of this name, folders and letter case aside.
    pub fn count(&self, name: &str) -> usize {
        let is = |m: &&Member| m.name.rsplit(['/', '\\']).next().is_some_and(|n| n.eq_ignore_ascii_case(name));
        self.members.iter().filter(is).count()
    }

    /// A member's bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a size that the compressed bytes cannot come to; the file system's.
    pub fn source(&self, member: &Member) -> Result<Source> {
        let most = match member.method {
            zip::CompressionMethod::Stored => member.compressed,
            _ => member.compressed.saturating_mul(DEFLATE_RATIO).saturating_add(DEFLATE_RATIO),
        };
        if member.size > most {
            let (name, size, compressed) = (&member.name, member.size, member.compressed);
            let reason = format!("{name}: expected at most {most} bytes out of {compressed}, got {size} stated");
            return Err(Error::malformed("zip", member.start, reason));
        }
        let raw: Box<dyn Read + Send> = match &self.backing {
            Backing::File(path) => {
                let mut file = regular(path)?;
                file.seek(SeekFrom::Start(member.start))?;
                Box::new(BufReader::with_capacity(1 << 18, file).take(member.compressed))
            }
            Backing::Memory(bytes) => {
                let mut cursor = Cursor::new(bytes.clone());
                cursor.set_position(member.start);
                Box::new(cursor.take(member.compressed))
            }
        };
        let reader: Box<dyn Read + Send> = match member.method {
            zip::CompressionMethod::Stored => raw,
            zip::CompressionMethod::Deflated => Box::new(DeflateDecoder::new(raw)),
            other => return Err(Error::Unsupported(format!("zip member compressed with {other}"))),
        };
        let checked = Checked { reader, sum: flate2::Crc::new(), expected: member.crc32, got: 0, stated: member.size };
        let mut source = Source::new(
            &self.path,
            Box::new(checked),
            Some(member.size.min(member.compressed.saturating_mul(HINT_RATIO))),
            true,
        )?;
        source.stated = Some(member.size);
        Ok(source)
    }
}

/// A member's bytes with the archive's check sum held against them at the end.
struct Checked {
    reader: Box<dyn Read + Send>,
    sum: flate2::Crc,
    expected: u32,
    got: u64,
    stated: u64,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.sum.update(buffer.get(..n).unwrap_or_default());
        self.got += n as u64;
        if n == 0 && !buffer.is_empty() && self.got != self.stated {
            let reason = format!("archive member: expected {} bytes, got {}", self.stated, self.got);
            return Err(std::io::Error::other(reason));
        }
        if n == 0 && !buffer.is_empty() && self.sum.sum() != self.expected {
            return Err(std::io::Error::other("check sum of the archive member does not hold"));
        }
        Ok(n)
    }
}

fn list<R: Read + Seek>(reader: R) -> zip::result::ZipResult<Vec<Member>> {
    let mut archive = zip::ZipArchive::new(reader)?;
    (0..archive.len())
        .map(|i| {
            let file = archive.by_index_raw(i)?;
            let start = file.data_start().ok_or(zip::result::ZipError::FileNotFound)?;
            Ok(Member {
                name: file.name()?.into_owned(),
                size: file.size(),
                start,
                compressed: file.compressed_size(),
                crc32: file.crc32(),
                method: file.compression(),
            })
        })
        .collect()
}
