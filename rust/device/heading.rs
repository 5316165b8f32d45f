//! The heading of a text file: the names of its columns with their units, and ActiLife's ten lines.

use super::calendar::{Order, SECOND, date_and_time};
use super::fields::{Time, fields, lines, refuse};
use super::number::float;
use super::owners;
use super::units::{TimeUnit, Unit};
use crate::error::{Error, Result};

/// Lines before ActiLife's rows where no dashed line ends them, and most that one is looked for in.
const ACTILIFE: usize = 10;
const MOST_LINES: usize = 40;
/// Lines of ActiLife's heading that are given on, and their names.
const METADATA: [(&str, &str); 3] =
    [("Start Time", "start_time"), ("Start Date", "start_date"), ("Download Date", "download_date")];

/// Where numbers as time count from, as their name says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Epoch {
    /// No word of it.
    #[default]
    Unnamed,
    /// 1970.
    Unix,
    /// A clock of GPS: 1980, a week of it, or 1970, as phones give it.
    Gps,
    /// In minutes, hours or days.
    Slow,
}

impl Epoch {
    fn of(name: &str, unit: &str) -> Self {
        let name = format!("{name}{unit}");
        match unit {
            "min" | "mins" | "minutes" | "h" | "hr" | "hrs" | "hours" | "d" | "days" => Self::Slow,
            _ if name.contains("gps") => Self::Gps,
            _ if ["unix", "posix", "epoch", "1970"].iter().any(|word| name.contains(word)) => Self::Unix,
            _ => Self::Unnamed,
        }
    }
}

/// What the names of the columns say of their units.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hints {
    pub(super) time: Option<TimeUnit>,
    pub(super) epoch: Epoch,
    /// Order of dates, which a title may name.
    pub(super) order: Option<Order>,
    pub(super) unit: Option<Unit>,
    pub(super) radians: bool,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    /// How sure the name makes it: 0 is surest.
    Time(u8),
    Day,
    Acceleration(usize),
    Gyroscope(usize),
    Temperature,
    Light,
    Annotation,
    /// Whose row it is.
    Owner,
}

/// A name in lower case without its unit, and the unit: what stands in brackets, or a last word that is one.
fn parts(name: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(name).to_lowercase();
    let (text, bracket) = match text.split_once(['(', '[', '{']) {
        Some((before, unit)) => (before.to_owned(), unit.trim_end_matches([')', ']', '}', ' ']).to_owned()),
        None => (text, String::new()),
    };
    let mut words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let mut unit = bracket;
    let units = ["g", "mg", "ms2", "mps2", "s", "ms", "us", "ns", "dps", "rads", "degs", "c", "lux"];
    if unit.is_empty()
        && words.len() > 1
        && let Some(last) = words.last().filter(|w| units.contains(w))
    {
        unit = (*last).to_owned();
        words.pop();
    }
    (words.concat(), unit.replace([' ', '^', '*', '.'], ""))
}

/// Reads a column's name.
fn column(name: &str) -> Option<Column> {
    let bare = name.strip_suffix("axis").unwrap_or(name);
    let (stem, axis) = match (bare.chars().last(), bare.chars().next()) {
        (Some(c @ 'x'..='z'), _) => (bare.get(..bare.len() - 1).unwrap_or_default(), Some(c)),
        (_, Some(c @ 'x'..='z')) => (bare.get(1..).unwrap_or_default(), Some(c)),
        _ => (bare, None),
    };
    if let Some(axis) = axis.map(|c| c as usize - 'x' as usize) {
        match stem {
            "" | "a" | "acc" | "accel" | "accelerometer" | "acceleration" | "accelerations" | "rawacc" | "accraw" => {
                return Some(Column::Acceleration(axis));
            }
            "g" | "w" | "gyr" | "gyro" | "gyroscope" | "angularvelocity" | "rotationrate" | "omega" => {
                return Some(Column::Gyroscope(axis));
            }
            _ => {}
        }
    }
    Some(match name {
        "time" | "timestamp" | "datetime" | "headertimestamp" => Column::Time(0),
        "date" | "day" => Column::Day,
        "t" | "ts" | "epoch" | "unixtime" | "localtime" | "secondselapsed" | "elapsed" | "seconds" => Column::Time(1),
        "annotation" | "annotations" | "label" | "labels" | "activity" | "class" => Column::Annotation,
        "temp" | "temperature" | "bodysurfacetemperature" => Column::Temperature,
        "light" | "lux" => Column::Light,
        _ if owners::NAMES.contains(&name) => Column::Owner,
        _ if name.contains("time") => Column::Time(2),
        _ => return None,
    })
}

fn unit_of_time(unit: &str) -> Option<TimeUnit> {
    TimeUnit::of_exponent(match unit {
        "s" | "sec" | "seconds" | "secondselapsed" => 9,
        "ms" | "msec" | "milliseconds" => 6,
        "us" | "\u{b5}s" | "\u{3bc}s" | "microseconds" => 3,
        "ns" | "nanoseconds" => 0,
        _ => return None,
    })
}

/// What the names of the columns of time and of acceleration say of their units.
pub(super) fn hints(time: &str, acceleration: &str) -> Hints {
    let (name, unit) = parts(time.as_bytes());
    let time = unit_of_time(if unit.is_empty() { &name } else { &unit });
    Hints {
        time,
        epoch: Epoch::of(&name, &unit),
        unit: unit_of_acceleration(&parts(acceleration.as_bytes()).1),
        ..Hints::default()
    }
}

fn unit_of_acceleration(unit: &str) -> Option<Unit> {
    Some(match unit {
        "g" | "gs" => Unit::G,
        "mg" => Unit::Milli,
        "cm/s2" | "cm/s\u{b2}" | "gal" => Unit::CentimetresPerSecond2,
        "m/s2" | "m/s\u{b2}" | "m/s/s" | "ms2" | "ms-2" | "mps2" => Unit::MetresPerSecond2,
        _ => return None,
    })
}

/// What the names of a table's columns say.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// Where the time stands.
    pub(super) time: Time,
    /// Fields of x, y, z, the gyroscope's three, temperature, light.
    pub(super) channels: [Option<usize>; 8],
    /// Field of the annotation.
    pub(super) annotation: Option<usize>,
    /// Fields that name the recording.
    pub(super) owners: Vec<usize>,
    /// Fields that a row must have.
    pub(super) count: usize,
    pub(super) hints: Hints,
}

/// Columns by the names of a header line.
///
/// # Errors
/// [`Error::Malformed`] without one of the axes, or without a time unless rows are `timeless`.
pub(super) fn columns(names: &[&[u8]], head: &[u8], timeless: bool) -> Result<Columns> {
    let mut hints = Hints::default();
    let mut channels = [None; 8];
    let (mut time, mut day, mut annotation) = (None::<(u8, usize)>, None, None);
    let (mut units, mut owners) = (Vec::new(), Vec::new());
    for (i, name) in names.iter().enumerate() {
        let (name, unit) = parts(name);
        let taken = channels.map(|channel| channel.is_some());
        let mut set = |slot: usize| {
            channels.iter_mut().skip(slot).take(1).filter(|c| c.is_none()).for_each(|c| *c = Some(i));
        };
        match column(&name) {
            Some(Column::Acceleration(axis)) if taken.get(axis) == Some(&true) => {
                return Err(refuse("one column of acceleration for each axis", head));
            }
            Some(Column::Time(rank)) if time.is_none_or(|(best, _)| rank < best) => {
                time = Some((rank, i));
                hints.time = unit_of_time(if unit.is_empty() { &name } else { &unit });
                hints.epoch = Epoch::of(&name, &unit);
            }
            Some(Column::Day) => day = day.or(Some(i)),
            Some(Column::Acceleration(axis)) => {
                set(axis);
                units.push(unit_of_acceleration(&unit));
            }
            Some(Column::Gyroscope(axis)) => {
                set(3 + axis);
                hints.radians |= unit.starts_with("rad");
            }
            Some(Column::Temperature) => set(6),
            Some(Column::Light) => set(7),
            Some(Column::Annotation) => annotation = annotation.or(Some(i)),
            Some(Column::Owner) => owners.push(i),
            Some(Column::Time(_)) | None => {}
        }
    }
    let [Some(_), Some(_), Some(_), g @ .., _, _] = channels else {
        return Err(refuse("columns named x, y and z", head));
    };
    hints.unit = units.iter().copied().flatten().next();
    if units.iter().flatten().any(|unit| Some(*unit) != hints.unit) {
        return Err(refuse("one unit for all axes of the acceleration", head));
    }
    if g.iter().any(Option::is_none) {
        channels.iter_mut().skip(3).take(3).for_each(|c| *c = None);
    }
    let (time, last) = match (time, day) {
        (Some((_, time)), Some(day)) => (Time::Split { day, time, order: Order::YearMonthDay }, day.max(time)),
        (Some((_, column)), None) | (None, Some(column)) => (Time::Numeric { column, unit: TimeUnit::S }, column),
        (None, None) if timeless => (Time::Counted { start: 0, period: 0.0 }, 0),
        (None, None) => return Err(refuse("a column named time (or a rate given by the caller)", head)),
    };
    let count = 1 + channels.iter().flatten().copied().max().unwrap_or(0).max(last);
    Ok(Columns { time, channels, annotation, owners, count, hints })
}

/// What ActiLife's heading says.
#[derive(Debug, Clone, Default)]
pub(super) struct ActiLife {
    pub(super) device: String,
    pub(super) device_id: String,
    pub(super) metadata: Vec<(String, String)>,
    /// Lines before the first row.
    pub(super) skip: usize,
    pub(super) separator: u8,
    /// Of its dates, where the title names one.
    pub(super) order: Option<Order>,
    /// Start and ns a row of rows without times.
    pub(super) counted: Option<(i64, f64)>,
    /// That start with the day first, where the title names no order and both are dates.
    pub(super) day_first_start: Option<i64>,
    /// Columns of rows with times.
    pub(super) columns: Option<Columns>,
}

/// ActiLife's heading: ten lines, or up to the second dashed one, perhaps names, rows with or without times.
///
/// # Errors
/// [`Error::Malformed`] without start or rate, [`Error::Unsupported`] for counts.
pub(super) fn acti_life(first: &[u8]) -> Result<ActiLife> {
    let dashed = |line: &[u8]| line.starts_with(b"----------");
    let n = lines(first).skip(1).take(MOST_LINES).position(dashed).map_or(ACTILIFE, |line| line + 2);
    let head: Vec<String> = lines(first).take(n).map(|l| String::from_utf8_lossy(l).trim().to_owned()).collect();
    let title = head.first().map(String::as_str).unwrap_or_default();
    let value = |name: &str| {
        let value = head.iter().find_map(|line| line.strip_prefix(name));
        value.map(|v| v.trim_matches([':', ' ', ',', ';'])).unwrap_or_default()
    };
    let epoch = value("Epoch Period (hh:mm:ss)");
    if epoch.bytes().any(|b| matches!(b, b'1'..=b'9')) {
        let reason = format!("ActiLife counts by epoch of {epoch}: raw acceleration is needed");
        return Err(Error::Unsupported(reason));
    }
    let row = lines(first).nth(n).unwrap_or_default();
    let separator = [b';', b'\t', b','].into_iter().find(|s| fields(row, *s).len() >= 3);
    let separator = separator.ok_or_else(|| refuse("rows of x, y, z behind ActiLife's heading", row))?;
    let names = fields(row, separator);
    let named = names.first().is_some_and(|n| n.first().is_some_and(u8::is_ascii_alphabetic));
    let timed = if named { names.len() >= 4 } else { names.first().is_some_and(|n| float(n).is_none()) };
    let mut file = ActiLife {
        device: format!("ActiGraph {}", after(title, "By ActiGraph").unwrap_or_default()).trim().to_owned(),
        device_id: value("Serial Number").to_owned(),
        metadata: METADATA.iter().map(|(name, key)| ((*key).to_owned(), value(name).to_owned())).collect(),
        skip: n + usize::from(named),
        separator,
        order: date_order(title),
        ..ActiLife::default()
    };
    if timed {
        let usual: [&[u8]; 4] = [b"timestamp", b"x", b"y", b"z"];
        file.columns = Some(columns(if named { &names } else { &usual }, row, false)?);
    } else {
        let start_of = |order| date_and_time(value("Start Date").as_bytes(), value("Start Time").as_bytes(), order);
        let start = start_of(file.order.unwrap_or(Order::MonthDayYear));
        let day_first = if file.order.is_none() { start_of(Order::DayMonthYear) } else { None };
        file.day_first_start = day_first.filter(|other| start.is_some_and(|start| start != *other));
        let start = start
            .or(day_first)
            .ok_or_else(|| refuse("Start Date and Start Time in ActiLife's heading", title.as_bytes()))?;
        let rate = title.split_once(" at ").and_then(|(_, rest)| rest.split_whitespace().next());
        let rate = rate.and_then(|rate| rate.replace(',', ".").parse::<f64>().ok());
        let rate = rate.filter(|r| (0.1..=10_000.0).contains(r));
        let rate = rate.ok_or_else(|| refuse("'at ... Hz' in ActiLife's first line", title.as_bytes()))?;
        file.counted = Some((start, SECOND as f64 / rate));
    }
    Ok(file)
}

/// The word behind `mark`.
fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}

/// Order of ActiLife's dates by its title, `date format M/d/yyyy`.
fn date_order(title: &str) -> Option<Order> {
    match after(title, "date format")?.chars().next()? {
        'y' | 'Y' => Some(Order::YearMonthDay),
        'd' | 'D' => Some(Order::DayMonthYear),
        'm' | 'M' => Some(Order::MonthDayYear),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_named_before_or_behind_the_sensor() {
        for (axis, letter) in ["x", "y", "z"].into_iter().enumerate() {
            for name in [letter.to_owned(), format!("acc{letter}"), format!("{letter}acc"), format!("{letter}axis")] {
                assert!(matches!(column(&name), Some(Column::Acceleration(matches)) if matches == axis), "{name}");
            }
            for name in [format!("gyro{letter}"), format!("{letter}gyro"), format!("w{letter}")] {
                assert!(matches!(column(&name), Some(Column::Gyroscope(matches)) if matches == axis), "{name}");
            }
        }
        assert!(column("pressure").is_none());
    }

    #[test]
    fn a_title_of_actilife_tells_the_order_of_its_dates() {
        let order = |date: &str| date_order(&format!("Data File Created By ActiGraph date format {date} at 30 Hz"));
        assert_eq!(order("M/d/yyyy"), Some(Order::MonthDayYear));
        assert_eq!(order("dd.MM.yyyy"), Some(Order::DayMonthYear));
        assert_eq!(order("yyyy-MM-dd"), Some(Order::YearMonthDay));
        assert_eq!(order("'the' d"), None);
        assert_eq!(date_order("Data File Created By ActiGraph"), None);
    }
}
