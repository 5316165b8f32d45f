//! Dates and clock times as device files write them -> ns since 1970, local device clock.

/// ns of a second.
pub const SECOND: i64 = 1_000_000_000;

/// Days since 1970-01-01 of a date of the Gregorian calendar; `None` where there is no such day.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    (-9999..=9999).contains(&year).then_some(())?;
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
pub(super) fn digits(text: &mut &[u8], most: usize) -> Option<i64> {
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
pub(super) fn fraction(text: &mut &[u8]) -> i64 {
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

/// Words for the halves of the day, in lower case without points and blanks.
const MORNING: [&str; 16] = [
    "am",
    "a",
    "vorm",
    "vormittags",
    "fm",
    "de",
    "\u{3c0}\u{3bc}",
    "\u{4e0a}\u{5348}",
    "\u{5348}\u{524d}",
    "\u{c624}\u{c804}",
    "\u{f6}\u{f6}",
    "sa",
    "delama\u{f1}ana",
    "dumatin",
    "\u{635}",
    "pd",
];
const AFTERNOON: [&str; 18] = [
    "pm",
    "p",
    "nachm",
    "nachmittags",
    "em",
    "du",
    "\u{3bc}\u{3bc}",
    "\u{4e0b}\u{5348}",
    "\u{5348}\u{5f8c}",
    "\u{c624}\u{d6c4}",
    "\u{f6}s",
    "ch",
    "delatarde",
    "delanoche",
    "dusoir",
    "delapr\u{e8}smidi",
    "\u{645}",
    "md",
];

/// The half of the day that a text names: hours to add to 12 h times, 0 or 12.
fn half_of_day(text: &str) -> Option<i64> {
    let word: String = text.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    let among = |words: &[&str]| words.contains(&word.as_str());
    if among(&MORNING) { Some(0) } else { among(&AFTERNOON).then_some(12) }
}

/// Takes blanks off the front, non-breaking and narrow ones too.
fn skip_blanks(text: &mut &[u8]) {
    const WIDE: [&[u8]; 4] = [b"\xc2\xa0", b"\xe2\x80\xaf", b"\xe2\x80\x89", b"\xe3\x80\x80"];
    loop {
        let rest = text.trim_ascii_start();
        let rest = WIDE.iter().find_map(|blank| rest.strip_prefix(*blank)).unwrap_or(rest);
        if rest.len() == text.len() {
            return;
        }
        *text = rest;
    }
}

/// A clock time `10:09:00[.000]` in front of `text`: hour, and ns behind it.
fn clock(text: &mut &[u8]) -> Option<(i64, i64)> {
    let hour = digits(text, 2)?;
    one_of(text, b":")?;
    let minute = digits(text, 2)?;
    one_of(text, b":")?;
    let second = digits(text, 2)?;
    let fraction = fraction(text);
    (hour < 24 && minute < 60 && second < 60).then_some((hour, (minute * 60 + second) * SECOND + fraction))
}

/// A date and time as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// ns since 1970 of the local clock.
    pub time: i64,
    /// ns by which that clock is ahead of UTC, where the text says so.
    pub zone: Option<i64>,
}

/// ns ahead of UTC of `Z`, `+0100`, `-05:30`, `UTC`, `UTC+1` in front of `text`; `None` in it where there is no zone.
fn zone(text: &mut &[u8]) -> Option<Option<i64>> {
    skip_blanks(text);
    let mut rest = *text;
    let named = rest.get(..3).is_some_and(|w| w.eq_ignore_ascii_case(b"UTC") || w.eq_ignore_ascii_case(b"GMT"));
    if named {
        rest = rest.get(3..).unwrap_or_default();
    } else if one_of(&mut rest, b"Zz").is_some() {
        *text = rest;
        return Some(Some(0));
    }
    let Some(sign) = one_of(&mut rest, b"+-") else {
        if named {
            *text = rest;
        }
        return Some(named.then_some(0));
    };
    let hours = digits(&mut rest, 2)?;
    let colon = one_of(&mut rest, b":").is_some();
    let minutes = match digits(&mut rest, 2) {
        Some(minutes) => minutes,
        None if colon => return None,
        None => 0,
    };
    *text = rest;
    let ahead = (hours * 3600 + minutes * 60) * SECOND;
    (hours < 24 && minutes < 60).then_some(Some(if sign == b'-' { -ahead } else { ahead }))
}

/// A clock time with a half of the day before or behind it, and a zone: ns since midnight, and the zone.
fn clock_and_zone(text: &[u8]) -> Option<(i64, Option<i64>)> {
    let mut rest = text;
    skip_blanks(&mut rest);
    let lead = rest.iter().position(u8::is_ascii_digit)?;
    let before = if lead > 0 { Some(half_of_day(std::str::from_utf8(rest.get(..lead)?).ok()?)?) } else { None };
    rest = rest.get(lead..)?;
    let (mut hour, behind) = clock(&mut rest)?;
    let mut ahead = zone(&mut rest)?;
    skip_blanks(&mut rest);
    let word = rest.split(|b| matches!(b, b'[' | b'+' | b'-' | b'(')).next().unwrap_or_default();
    let mut half = before;
    if !word.is_empty() {
        let word = std::str::from_utf8(word).ok()?;
        match half_of_day(word) {
            Some(twelve) => half = Some(twelve),
            // a zone's name or `Uhr`, which say nothing of the half
            None => {
                let name = word.trim();
                let is_zone = (2..=5).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_uppercase());
                (is_zone || name.eq_ignore_ascii_case("uhr")).then_some(())?;
            }
        }
        rest = rest.get(word.len()..)?;
        ahead = ahead.or(zone(&mut rest)?);
        skip_blanks(&mut rest);
    }
    (rest.is_empty() || matches!(rest.first(), Some(b'[' | b'('))).then_some(())?;
    match half {
        Some(half) if (1..=12).contains(&hour) => hour = hour % 12 + half,
        _ => {}
    }
    Some((hour * 3600 * SECOND + behind, ahead))
}

/// Date and time, `2020-08-26 10:09:00.000`, with a blank or `T` between them, perhaps with a half of the day and a zone.
pub fn written(text: &[u8], order: Order) -> Option<Written> {
    let mut rest = text.trim_ascii();
    let day = date(&mut rest, order)?;
    let between = rest.len();
    if one_of(&mut rest, b"T_").is_none() {
        one_of(&mut rest, b",");
        skip_blanks(&mut rest);
        (rest.len() < between).then_some(())?;
    }
    let (clock, zone) = clock_and_zone(rest)?;
    Some(Written { time: day.checked_mul(86_400 * SECOND)?.checked_add(clock)?, zone })
}

/// Local time of [`written`].
pub fn date_time(text: &[u8], order: Order) -> Option<i64> {
    written(text, order).map(|written| written.time)
}

/// Days since 1970 of a date alone.
pub fn day(text: &[u8], order: Order) -> Option<i64> {
    date(&mut text.trim_ascii(), order)
}

/// Date and time in two fields.
pub fn date_and_time(day: &[u8], time: &[u8], order: Order) -> Option<i64> {
    let day = date(&mut day.trim_ascii(), order)?;
    let (time, _) = clock_and_zone(time)?;
    day.checked_mul(86_400 * SECOND)?.checked_add(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::clocks::Cached;

    #[test]
    fn days_count_from_1970_over_leap_years_and_refuse_dates_that_are_none() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 3, 1), Some(11_017));
        assert_eq!(days(2063, 12, 31), Some(34_332));
        for invalid in [(2023, 2, 29), (1900, 2, 29), (2020, 4, 31), (2020, 0, 1), (2020, 13, 1), (2020, 1, 0)] {
            assert_eq!(days(invalid.0, invalid.1, invalid.2), None, "{invalid:?}");
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
        for invalid in
            ["", "2020-08-26", "2020-08-26 10:09", "2020-08-26 24:00:00", "2020-08-26 10:09:00x", "x", "2020-8"]
        {
            assert_eq!(date_time(invalid.as_bytes(), iso), None, "{invalid}");
        }
    }

    #[test]
    fn halves_of_the_day_are_read_in_the_words_of_many_languages() {
        let local = |text: &str| date_time(text.as_bytes(), Order::DayMonthYear).map(|t| t.rem_euclid(86_400 * SECOND));
        let evening = Some((17 * 3600 + 41 * 60 + 40) * SECOND);
        let words =
            ["PM", "pm", "p.m.", "p. m.", "P.M.", "\u{202f}PM", "\u{a0}p.\u{a0}m.", "nachm.", "\u{3bc}.\u{3bc}."];
        for word in words {
            assert_eq!(local(&format!("11/12/2024 05:41:40 {word}")), evening, "{word}");
            assert_eq!(local(&format!("11/12/2024 5:41:40.000{word}")), evening, "{word}");
        }
        assert_eq!(local("11/12/2024 \u{c624}\u{d6c4} 5:41:40"), evening);
        assert_eq!(local("11/12/2024 12:00:01 a. m."), Some(SECOND));
        assert_eq!(local("11/12/2024 12:00:01 p. m."), Some(12 * 3600 * SECOND + SECOND));
        assert_eq!(local("11/12/2024 05:41:40 frob"), None);
    }

    #[test]
    fn a_zone_is_read_where_there_is_one() {
        let zone =
            |text: &str| written(text.as_bytes(), Order::YearMonthDay).map(|w| w.zone.map(|z| z / (60 * SECOND)));
        for (text, minutes) in [
            ("2019-03-31 02:00:00.000+0100 [Europe/London]", Some(60)),
            ("2019-03-31T02:00:00-05:30", Some(-330)),
            ("2019-03-31T02:00:00Z", Some(0)),
            ("2019-03-31 02:00:00 UTC", Some(0)),
            ("2019-03-31 02:00:00 GMT+2", Some(120)),
            ("2019-03-31 02:00:00 PM +01", Some(60)),
            ("2019-03-31 02:00:00 CET", None),
            ("2019-03-31 02:00:00", None),
        ] {
            assert_eq!(zone(text), Some(minutes), "{text}");
        }
        assert_eq!(zone("2019-03-31 02:00:00+99"), None);
    }

    #[test]
    fn dates_outside_of_what_nanoseconds_hold_are_none_and_do_not_overflow() {
        let mut cached = Cached::default();
        for (year, sound) in [(1676, false), (1677, true), (2261, true), (2262, false), (9999, false), (1, false)] {
            for second in ["00", "59"] {
                let text = format!("{year:04}-12-31 23:59:{second}.999999999");
                let plain = date_time(text.as_bytes(), Order::YearMonthDay);
                assert_eq!(plain.is_some(), sound, "{text}");
                assert_eq!(cached.written(text.as_bytes(), Order::YearMonthDay).map(|w| w.time), plain, "{text}");
            }
        }
        assert_eq!(days(i64::MAX, 1, 1), None);
    }
}
