//! Dates and clock times as device files write them -> ns since 1970, local device clock.

/// ns of a second.
pub const SECOND: i64 = 1_000_000_000;

/// Days since 1970-01-01 of a date of the Gregorian calendar; `None` where there is no such day.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let long = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=long).contains(&day) {
        return None;
    }
    // counted from 1 March, so that the leap day is a year's last
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let of_year = (153 * m + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Order of the fields of a written date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// 2020-08-26
    YearMonthDay,
    /// 8/26/2020
    MonthDayYear,
    /// 26/8/2020
    DayMonthYear,
}

/// Takes up to `most` digits off the front of `text`.
fn digits(text: &mut &[u8], most: usize) -> Option<i64> {
    let n = text.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let (head, rest) = text.split_at_checked(n).filter(|(head, _)| !head.is_empty())?;
    *text = rest;
    Some(head.iter().fold(0, |all, b| all * 10 + i64::from(b - b'0')))
}

/// Takes one of `any` off the front of `text`.
fn one_of(text: &mut &[u8], any: &[u8]) -> Option<u8> {
    let (first, rest) = text.split_first().filter(|(first, _)| any.contains(first))?;
    *text = rest;
    Some(*first)
}

/// A date with separators `-`, `/` or `.` in front of `text`: days since 1970.
fn date(text: &mut &[u8], order: Order) -> Option<i64> {
    let a = digits(text, 4)?;
    one_of(text, b"-/.")?;
    let b = digits(text, 2)?;
    one_of(text, b"-/.")?;
    let c = digits(text, 4)?;
    match order {
        Order::YearMonthDay => days(a, b, c),
        Order::MonthDayYear => days(c, a, b),
        Order::DayMonthYear => days(c, b, a),
    }
}

/// Fraction of a second after `.`, `,` or `:` in front of `text`, in ns, cut to nine digits.
fn fraction(text: &mut &[u8]) -> i64 {
    let mut rest = *text;
    if one_of(&mut rest, b".,:").is_none() || !rest.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    let mut unit = SECOND;
    let mut ns = 0;
    while let Some((b, tail)) = rest.split_first().filter(|(b, _)| b.is_ascii_digit()) {
        unit /= 10;
        ns += i64::from(b - b'0') * unit;
        rest = tail;
    }
    *text = rest;
    ns
}

/// A clock time `10:09:00[.000][ AM]` in front of `text`: ns since midnight. A zone behind it is left in place.
fn clock(text: &mut &[u8]) -> Option<i64> {
    let mut hour = digits(text, 2)?;
    one_of(text, b":")?;
    let minute = digits(text, 2)?;
    one_of(text, b":")?;
    let second = digits(text, 2)?;
    let fraction = fraction(text);
    let half = text.trim_ascii_start();
    if half.len() >= 2 && half.get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'M')) {
        match half.first().map(u8::to_ascii_uppercase) {
            Some(b'P') if hour < 12 => hour += 12,
            Some(b'A') if hour == 12 => hour = 0,
            _ => {}
        }
    }
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 3600 + minute * 60 + second) * SECOND + fraction)
}

/// Date and time, `2020-08-26 10:09:00.000`, with a blank or `T` between them. What stands behind (a zone) must begin with a
/// blank, `Z`, `+`, `-`, `[`, or a half of the day: the local clock is what counts, so that it is not applied.
pub fn date_time(text: &[u8], order: Order) -> Option<i64> {
    let mut rest = text.trim_ascii();
    let day = date(&mut rest, order)?;
    one_of(&mut rest, b" T_")?;
    rest = rest.trim_ascii_start();
    let time = clock(&mut rest)?;
    let sound = rest.first().is_none_or(|b| b" Zz+-[AaPp".contains(b));
    sound.then_some(())?;
    day.checked_mul(86_400 * SECOND)?.checked_add(time)
}

/// Date and time in two fields.
pub fn date_and_time(day: &[u8], time: &[u8], order: Order) -> Option<i64> {
    let day = date(&mut day.trim_ascii(), order)?;
    let time = clock(&mut time.trim_ascii())?;
    day.checked_mul(86_400 * SECOND)?.checked_add(time)
}

/// [`date_time`] in the order year, month, day that decodes date, hour and minute only where they change.
#[derive(Debug, Clone, Default)]
pub struct Cached {
    /// `2020-08-26 10:09:` and its time.
    prefix: [u8; 17],
    base: Option<i64>,
}

impl Cached {
    /// Time of `text`, as [`date_time`] gives it.
    pub fn date_time(&mut self, text: &[u8]) -> Option<i64> {
        if let (Some(base), Some((head, mut rest))) = (self.base, text.split_at_checked(17))
            && head == self.prefix
            && let Some(second @ 0..60) = digits(&mut rest, 2)
        {
            let ns = fraction(&mut rest);
            if rest.is_empty() {
                return Some(base + second * SECOND + ns);
            }
        }
        let time = date_time(text, Order::YearMonthDay)?;
        if let Some(head) = text.first_chunk::<17>()
            && head.get(4) == head.get(7)
            && head.get(16) == Some(&b':')
        {
            self.prefix = *head;
            self.base = Some(time - time.rem_euclid(60 * SECOND));
        }
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_1970_over_leap_years_and_refuse_dates_that_are_none() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(2063, 12, 31), Some(34_332));
        for none in [(2023, 2, 29), (1900, 2, 29), (2020, 4, 31), (2020, 0, 1), (2020, 13, 1), (2020, 1, 0)] {
            assert_eq!(days(none.0, none.1, none.2), None, "{none:?}");
        }
    }

    #[test]
    fn a_written_time_means_the_local_clock_whatever_its_order_half_of_day_and_zone() {
        let t = Some(1_598_436_540_250_000_000);
        let iso = Order::YearMonthDay;
        assert_eq!(date_time(b"2020-08-26 10:09:00.250", iso), t);
        assert_eq!(date_time(b"2020-08-26T10:09:00.25+02:00", iso), t);
        assert_eq!(date_time(b" 2020/08/26 10:09:00:250 ", iso), t);
        assert_eq!(date_time(b"2020-08-26 10:09:00.250+0100 [Europe/London]", iso), t);
        assert_eq!(date_time(b"8/26/2020 10:09:00.250 AM", Order::MonthDayYear), t);
        assert_eq!(date_time(b"26.08.2020 10:09:00,250", Order::DayMonthYear), t);
        assert_eq!(date_time(b"8/26/2020 10:09:00.250 PM", Order::MonthDayYear), t.map(|t| t + 12 * 3600 * SECOND));
        assert_eq!(date_time(b"8/26/2020 12:09:00.250 AM", Order::MonthDayYear), t.map(|t| t - 10 * 3600 * SECOND));
        for none in ["", "2020-08-26", "2020-08-26 10:09", "2020-08-26 24:00:00", "2020-08-26 10:09:00x", "x", "2020-8"]
        {
            assert_eq!(date_time(none.as_bytes(), iso), None, "{none}");
        }
    }

    #[test]
    fn the_cached_time_is_the_plain_time() {
        let mut cached = Cached::default();
        for text in [
            "2020-08-26 10:09:00.000",
            "2020-08-26 10:09:59.999999999",
            "2020-08-26 10:09:60.0",
            "2020-08-26 10:10:00",
            "2020-08-26 10:10:00.5Z",
            "2020-08-26 10:10:7.5",
            "2019-02-28T23:59:59.1",
            "2020-08-26 10:10:0",
            "garbage",
            "1969-12-31 23:59:30.5",
            "1969-12-31 23:59:31.5",
        ] {
            let plain = date_time(text.as_bytes(), Order::YearMonthDay);
            assert_eq!(cached.date_time(text.as_bytes()), plain, "{text}");
        }
    }
}
