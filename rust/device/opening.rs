//! The reader of a path: the content decides, not the name.

use std::path::Path;
use std::sync::Arc;

use super::stream::Stream;
use super::{Reader, Reading, cwa, geneactiv, gt3x, matrix, nhanes, source, tar, text};
use crate::error::{Error, Result};

/// Opens a recording of any format. Content decides, not the name.
///
/// # Errors
/// [`Error::Malformed`] for bytes of no known format, [`Error::Unsupported`] for known ones that are not read here.
pub fn open(path: &Path, reading: &Reading) -> Result<Stream> {
    if path.is_dir() {
        let folder = nhanes::Nhanes::folder(path)?.timed(reading.timestamps);
        return Ok(Stream::new(Box::new(folder), reading.timestamps));
    }
    stream_of(source::open(path)?, reading)
}

/// Opens a recording of any format from the bytes of its file.
///
/// # Errors
/// Those of [`open`].
pub fn open_bytes(bytes: Arc<[u8]>, reading: &Reading) -> Result<Stream> {
    stream_of(source::from_memory(bytes)?, reading)
}

fn stream_of(source: source::Opened, reading: &Reading) -> Result<Stream> {
    let inflates = match &source {
        source::Opened::Stream(source) => source.inflates(),
        source::Opened::Archive(_) => true,
    };
    Ok(Stream::new(opened(source, reading)?, reading.timestamps).with_inflates(inflates))
}

/// The format of what was opened. Content decides.
fn opened(opened: source::Opened, reading: &Reading) -> Result<Box<dyn Reader>> {
    match opened {
        source::Opened::Stream(source) => stream_reader(source, reading),
        source::Opened::Archive(archive) if gt3x::sniff(&archive) => {
            Ok(Box::new(gt3x::Gt3x::new(&archive, reading.timestamps)?))
        }
        source::Opened::Archive(archive) if nhanes::sniff(&archive) => {
            Ok(Box::new(nhanes::Nhanes::zip(archive)?.timed(reading.timestamps)))
        }
        source::Opened::Archive(archive) => {
            let mut recording = None;
            for member in archive.members.iter().filter(|m| !is_clutter(&m.name)).take(MAX_MEMBERS) {
                take_recording("zip", source::unwrap(archive.source(member)?, 2), &mut recording)?;
            }
            self::opened(recording.ok_or_else(|| no_recording("zip"))?, reading)
        }
    }
}

/// Members of an archive that are tried.
const MAX_MEMBERS: usize = 64;

/// What packers leave beside the files.
fn is_clutter(name: &str) -> bool {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.is_empty() || last.starts_with('.') || name.starts_with("__MACOSX")
}

fn is_recording(opened: &source::Opened) -> bool {
    match opened {
        source::Opened::Archive(archive) => gt3x::sniff(archive),
        source::Opened::Stream(source) => {
            let first = source.peek();
            cwa::sniff(first) || geneactiv::sniff(first) || matrix::sniff(first) || text::sniff(first)
        }
    }
}

/// Puts a member of an archive into `recording` if it is a recording; a second one is an error, damaged members are passed over.
fn take_recording(
    format: &'static str,
    member: Result<source::Opened>,
    recording: &mut Option<source::Opened>,
) -> Result<()> {
    match member {
        Ok(member) if is_recording(&member) => match recording.replace(member) {
            Some(_) => Err(Error::malformed(format, 0, "expected one recording in the archive, got several")),
            None => Ok(()),
        },
        Err(error @ (Error::Io(_) | Error::Limit { .. } | Error::Interrupted)) => Err(error),
        _ => Ok(()),
    }
}

fn no_recording(format: &'static str) -> Error {
    Error::malformed(format, 0, "expected a recording, got an archive without one")
}

fn stream_reader(source: source::Source, reading: &Reading) -> Result<Box<dyn Reader>> {
    let first = source.peek();
    Ok(if tar::sniff(first) {
        return tar_reader(tar::Tar::new(source), reading);
    } else if cwa::sniff(first) {
        Box::new(cwa::Cwa::new(source, reading.timestamps)?)
    } else if matrix::sniff(first) {
        Box::new(matrix::Matrix::new(source, reading.timestamps)?)
    } else if geneactiv::sniff(first) {
        Box::new(geneactiv::GeneActiv::new(source, reading)?)
    } else {
        geneactiv::refusal(first).map_or(Ok(()), Err)?;
        if let Some(refusal) = text::refusal(first, reading) {
            return Err(named(source.path(), first).unwrap_or(refusal));
        }
        Box::new(text::Text::new(source, reading)?)
    })
}

/// A tar: the hours of a participant, or one recording among other files.
fn tar_reader(mut tar: tar::Tar, reading: &Reading) -> Result<Box<dyn Reader>> {
    let mut recording = None;
    let mut tried = 0;
    while let Some(entry) = tar.next()? {
        if entry.file && nhanes::is_member(&entry.name) {
            return Ok(Box::new(nhanes::Nhanes::tar(tar, entry).timed(reading.timestamps)));
        }
        if !entry.file || is_clutter(&entry.name) || tried == MAX_MEMBERS {
            continue;
        }
        tried += 1;
        let bytes = tar.read(&entry)?;
        if !bytes.is_empty() {
            take_recording("tar", source::from_memory(bytes.into()), &mut recording)?;
        }
    }
    opened(recording.ok_or_else(|| no_recording("tar"))?, reading)
}

/// What to say of bytes that are not what the file's name says.
fn named(path: &Path, first: &[u8]) -> Option<Error> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let name = [".gz", ".bz2", ".zip"].iter().fold(name.as_str(), |name, end| name.strip_suffix(end).unwrap_or(name));
    let (format, least) = match name.rsplit_once('.')?.1 {
        "cwa" => ("cwa", "a header of 1024 bytes and blocks of 512"),
        "gt3x" => ("gt3x", "a zip archive with info.txt"),
        _ => return None,
    };
    let n = first.len();
    let got = if n < 1536 { format!("{n} bytes, too short for one") } else { "none of them in the first bytes".into() };
    Some(Error::malformed(format, 0, format!("expected {least}, got {got}")))
}
