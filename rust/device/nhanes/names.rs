//! Times and serial numbers in the names of members.

use crate::device::calendar::{SECOND, days};

/// What the name of an hourly member says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hour {
    /// ns since 1970.
    pub time: i64,
    /// Serial number of the device, in lower case.
    pub serial: String,
}

impl Hour {
    pub fn of(name: &str) -> Option<Self> {
        let name = name.rsplit(['/', '\\']).next()?.to_ascii_lowercase();
        let stem = name.strip_suffix(".gz").unwrap_or(&name).strip_suffix(".sensor.csv")?;
        let stem = stem.strip_prefix("gt3xplus-accelerationcalibrated-")?;
        let mut fields = stem.rsplit('.');
        let mut parts = fields.next()?.split('-').map(|p| p.parse::<i64>().ok());
        let mut part = || parts.next().flatten();
        let year = part().filter(|year| (1970..2200).contains(year))?;
        let day = days(year, part()?, part()?)?;
        let (hour, minute, second, ms) = (part()?, part()?, part()?, part()?);
        let sound = (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..1000).contains(&ms);
        let time = day * 86_400 * SECOND + (hour * 3600 + minute * 60 + second) * SECOND + ms * 1_000_000;
        sound.then(|| Self { time, serial: fields.next().unwrap_or_default().to_owned() })
    }
}

pub(super) fn is_log(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    name.contains("_log") && name.ends_with(".csv")
}

/// True for the name of an hour or of a log.
pub fn is_member(name: &str) -> bool {
    is_log(name) || Hour::of(name).is_some()
}
