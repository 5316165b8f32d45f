//! The logs of quality flags beside the hours.

use std::collections::BTreeMap;
use std::path::Path;

use super::joints::HOUR;
use crate::device::calendar::{Order, date_and_time};
use crate::device::fields::{Row, fields};
use crate::device::source::{self, Opened, Source};
use crate::device::{Event, Header, Quality, room};
use crate::error::{Error, Result};

/// Bytes of a log that are read, and of all logs.
pub(in crate::device) const MAX_LOG: usize = 16 << 20;
const MAX_LOGS: usize = 64 << 20;
const PIECE: usize = 64 << 10;

/// The logs of a participant.
#[derive(Default)]
pub(in crate::device) struct Logs {
    all: Vec<Vec<u8>>,
    bytes: usize,
}

impl Logs {
    /// Adds a log.
    ///
    /// # Errors
    /// [`Error::Limit`] where all logs together are too long.
    pub(in crate::device) fn add(&mut self, log: Vec<u8>) -> Result<()> {
        self.bytes = self.bytes.saturating_add(log.len());
        self.all.push(log);
        if self.bytes > MAX_LOGS {
            return Err(Error::Limit { name: "bytes of the logs of one participant", max: MAX_LOGS as u64 });
        }
        Ok(())
    }
}

/// The logs' flags: `DAY_OF_DATA,START_TIME,END_TIME,DATA_QUALITY_FLAG_CODE,DATA_QUALITY_FLAG_VALUE`.
pub(super) fn note_flags(logs: Logs, first_day: Option<i64>, header: &mut Header, quality: &mut Quality) {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for log in logs.all {
        let mut rows = log.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        let names: Vec<String> = fields(rows.next().unwrap_or_default(), b',')
            .iter()
            .map(|n| String::from_utf8_lossy(n).to_lowercase())
            .collect();
        let column = |name: &str| names.iter().position(|n| n.contains(name));
        let (Some(day), Some(start), Some(end), Some(code)) =
            (column("day"), column("start"), column("end"), column("code"))
        else {
            continue;
        };
        let mut row = Row::new(b',');
        for (i, text) in rows.enumerate().filter(|(_, text)| !text.is_empty()) {
            row.split(text);
            let field = |i: usize| row.field(text, i);
            let clock = |text: &[u8]| date_and_time(b"1970-01-01", text, Order::YearMonthDay);
            let number = std::str::from_utf8(field(day)).ok().and_then(|t| t.parse::<i64>().ok());
            let (from, to) = (clock(field(start)), clock(field(end)));
            let time = from.zip(number).zip(first_day).and_then(|((from, number), first)| {
                let day = first.checked_add(number)?.checked_sub(1)?;
                day.checked_mul(24 * HOUR)?.checked_add(from)
            });
            let value = from.zip(to).map_or(f64::NAN, |(from, to)| (to - from) as f64 / 1e9);
            quality.note(Event { time, value, ..Event::at("quality_flag", 0, i as u64) });
            if kinds.len() < 1000 {
                *kinds.entry(String::from_utf8_lossy(field(code)).into_owned()).or_default() += 1;
            }
        }
    }
    if !kinds.is_empty() {
        let all: Vec<String> = kinds.iter().map(|(code, n)| format!("{code} {n}")).collect();
        header.metadata.push(("quality_flags".into(), all.join(", ")));
    }
}

pub(super) fn read_log(file: &Path) -> Result<Vec<u8>> {
    match source::open(file) {
        Ok(Opened::Stream(source)) => head_of(source),
        Ok(Opened::Archive(_)) | Err(Error::Malformed { .. }) => Ok(Vec::new()),
        Err(other) => Err(other),
    }
}

/// The first bytes of a log.
pub(super) fn head_of(mut source: Source) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; PIECE];
    while bytes.len() < MAX_LOG {
        let n = source.fill(&mut piece)?;
        room::join(&mut bytes, piece.get(..n).unwrap_or_default())?;
        if n < piece.len() {
            break;
        }
    }
    Ok(bytes)
}
