//! Facts that the first rows of a text file leave open, from later rows.
//!
//! The file is opened a second time and its rows are looked at up to the one that decides: a day above 12, a midnight that
//! would jump a month, a time that differs, an acceleration that is not zero. Where a file cannot be opened again, the first
//! rows have to do.

use super::calendar::{self, Order};
use super::fields::{Row, Time};
use super::lines::Lines;
use super::source::{self, Opened, Source};
use super::table::{Layout, MIDNIGHT, SAMPLE};
use crate::error::Result;

/// Rows that are looked at for a time that differs: ten minutes at 1600 Hz.
const MOST_ROWS: usize = 1_000_000;
/// Changes of the time that tell the rate of rows that share a stamp.
const CHANGES: usize = 4;

/// The reason of an order that a date decides.
const ABOVE_12: &str = "by a day above 12";

/// The order of day and month of a file whose dates leave it open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DateOrder {
    /// Month first, as an assumption that is noted.
    #[default]
    Auto,
    /// The given order.
    Given(Order),
}

/// Settles the parts of a layout that the first rows of `source` left open.
///
/// # Errors
/// [`crate::error::Error::Malformed`] if later rows leave it open too; the file system's.
pub(super) fn complete(layout: &mut Layout, source: &Source, choice: DateOrder) -> Result<()> {
    if layout.open.time {
        let rows = changing_rows(layout, source)?;
        let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
        let texts = layout.times(&rows);
        layout.settle_time(&texts, true)?;
    }
    let decided = if layout.open.order { decided_order(layout, source)? } else { (None, "") };
    settle_order(layout, decided, choice);
    if layout.open.unit {
        let mut norms = Vec::new();
        each_row(layout, source, |layout, text| {
            norms.extend(layout.norms(&[text]));
            norms.len() < SAMPLE
        })?;
        layout.settle_units(norms, true);
    }
    Ok(())
}

/// Takes the order of dates that the rows decide, else the one that the caller states; where the file tells another than the
/// caller, that is noted.
pub(super) fn settle_order(layout: &mut Layout, (decided, reason): (Option<Order>, &'static str), choice: DateOrder) {
    let stated = match choice {
        DateOrder::Given(order) => Some(order),
        DateOrder::Auto => None,
    };
    if layout.open.order {
        match decided.filter(|order| Some(*order) != stated) {
            Some(order) => layout.choose_order(Some(order), reason),
            None => layout.choose_order(stated, "as the caller says"),
        }
    }
    let used = match layout.time {
        Time::Written { order, .. } | Time::Split { order, .. } => Some(order),
        Time::Numeric { .. } | Time::Counted { .. } => None,
    };
    let used = used.filter(|order| *order != Order::YearMonthDay);
    if stated.is_some() && used.is_some() && used != stated {
        layout.note("date_order_disagrees", f64::NAN);
    }
}

/// The rows of the same bytes once more; the caller ends it by `false`.
fn each_row(layout: &Layout, source: &Source, mut row: impl FnMut(&Layout, &[u8]) -> bool) -> Result<()> {
    let Ok(Opened::Stream(again)) = source::open(source.path()) else { return Ok(()) };
    if again.peek() != source.peek() {
        return Ok(());
    }
    let mut lines = Lines::new(again);
    for _ in 0..layout.skip {
        lines.next()?;
    }
    while let Some(line) = lines.next()? {
        let text = lines.bytes(&line);
        if !text.is_empty() && !row(layout, text) {
            break;
        }
    }
    Ok(())
}

/// Rows up to the one whose time has changed some times.
fn changing_rows(layout: &Layout, source: &Source) -> Result<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    let (mut changes, mut last) = (0, Vec::new());
    each_row(layout, source, |layout, text| {
        let now = layout.times(&[text]).first().map(|time| time.concat()).unwrap_or_default();
        changes += usize::from(now != last);
        last = now;
        rows.push(text.to_vec());
        rows.len() < MOST_ROWS && (changes <= CHANGES || rows.len() < SAMPLE)
    })?;
    Ok(rows)
}

/// The order of day and month, from the first later row that decides it.
fn decided_order(layout: &Layout, source: &Source) -> Result<(Option<Order>, &'static str)> {
    let (day_column, column) = match layout.time {
        Time::Split { day, .. } => (true, day),
        Time::Written { column, .. } => (false, column),
        Time::Numeric { .. } | Time::Counted { .. } => return Ok((None, "")),
    };
    let mut row = Row::new(layout.separator);
    let mut dates = Dates::default();
    each_row(layout, source, |_, text| {
        if row.split(text) > column {
            let field = row.field(text, column);
            dates.look(if day_column { field } else { date_of(field) });
        }
        dates.decided.is_none()
    })?;
    Ok(dates.order())
}

/// The date in front of a written time.
pub(super) fn date_of(text: &[u8]) -> &[u8] {
    text.split(|b| b.is_ascii_whitespace() || *b == b'T').next().unwrap_or_default()
}

/// The order of day and month, from successive dates.
#[derive(Debug, Default)]
pub(super) struct Dates {
    before: Vec<u8>,
    /// The last date in both orders.
    days: Option<(i64, i64)>,
    decided: Option<(Order, &'static str)>,
}

impl Dates {
    /// Looks at the next date.
    pub(super) fn look(&mut self, date: &[u8]) {
        if date == self.before.as_slice() || self.decided.is_some() {
            return;
        }
        self.before = date.to_vec();
        let of = |order| calendar::day(date, order);
        match (of(Order::MonthDayYear), of(Order::DayMonthYear)) {
            (Some(_), None) => self.decided = Some((Order::MonthDayYear, ABOVE_12)),
            (None, Some(_)) => self.decided = Some((Order::DayMonthYear, ABOVE_12)),
            (Some(month_first), Some(day_first)) => {
                if let Some((a, b)) = self.days.replace((month_first, day_first)) {
                    match (month_first.abs_diff(a) == 1, day_first.abs_diff(b) == 1) {
                        (true, false) => self.decided = Some((Order::MonthDayYear, MIDNIGHT)),
                        (false, true) => self.decided = Some((Order::DayMonthYear, MIDNIGHT)),
                        _ => {}
                    }
                }
            }
            (None, None) => {}
        }
    }

    /// The order, if it is decided, and by what.
    pub(super) fn order(&self) -> (Option<Order>, &'static str) {
        (self.decided.map(|(order, _)| order), self.decided.map_or("", |(_, reason)| reason))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::Timestamps;

    /// How many of 5000 rows are looked at, whose time changes every so many rows.
    fn rows_for_changes(every: u32) -> usize {
        let row = |i: u32| {
            let ms = i / every * 10;
            format!("2020-03-05 00:00:{:02}.{:03},0.1,0.2,0.9\n", ms / 1000, ms % 1000)
        };
        let text: String = std::iter::once("time,x,y,z\n".to_owned()).chain((0..5000).map(row)).collect();
        let path = std::env::temp_dir().join(format!("imuspec-survey-{}-{every}.csv", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let Ok(Opened::Stream(source)) = source::open(&path) else { unreachable!("an archive") };
        let layout = Layout::find(source.peek(), &Timestamps::Device.into()).unwrap();
        let rows = changing_rows(&layout, &source).unwrap();
        std::fs::remove_file(&path).unwrap();
        rows.len()
    }

    #[test]
    fn rows_are_looked_at_until_the_time_has_changed_often_enough() {
        assert_eq!(rows_for_changes(1), SAMPLE);
        // the first row and each 600th after it
        assert_eq!(rows_for_changes(600), CHANGES * 600 + 1);
        assert_eq!(rows_for_changes(5000), 5000);
    }
}
