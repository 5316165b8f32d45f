//! Written times of successive rows: on the clock of the first, and decoded only where they change.

use super::calendar::{Order, SECOND, Written, digits, fraction, written};

/// Written times on the clock of the first of them: where a zone says that the clocks were changed, time goes on.
#[derive(Debug, Clone, Default)]
pub struct LocalClock {
    /// ns ahead of UTC, of the first time and of the last.
    zones: Option<(i64, i64)>,
}

impl LocalClock {
    /// ns since 1970 on the first time's clock, and by how much the zone differs from the one before, ns.
    pub fn time(&mut self, written: Written) -> Option<(i64, i64)> {
        let Some(ahead) = written.zone else { return Some((written.time, 0)) };
        let (first, last) = self.zones.get_or_insert((ahead, ahead));
        let change = ahead - std::mem::replace(last, ahead);
        Some((written.time.checked_sub(ahead)?.checked_add(*first)?, change))
    }
}

/// [`written`] that decodes date, hour, minute and zone only where they change.
#[derive(Debug, Clone, Default)]
pub struct Cached {
    /// What stands before the seconds, up to [`MOST`] bytes, and the time of it.
    prefix: [u8; MOST],
    length: usize,
    base: i64,
    /// What stands behind the fraction: half of the day and zone.
    suffix: Vec<u8>,
    zone: Option<i64>,
}

/// Bytes before the seconds that are remembered.
const MOST: usize = 24;

impl Cached {
    /// Date and time of `text`, as [`written`] gives it.
    #[inline]
    pub fn written(&mut self, text: &[u8], order: Order) -> Option<Written> {
        if self.length > 0
            && let Some((head, mut rest)) = text.split_at_checked(self.length)
            && self.prefix.get(..self.length) == Some(head)
            && let Some(second @ 0..60) = digits(&mut rest, 2)
        {
            let ns = fraction(&mut rest);
            if rest == self.suffix.as_slice() {
                return Some(Written { time: self.base.checked_add(second * SECOND + ns)?, zone: self.zone });
            }
        }
        let written = written(text, order)?;
        let seconds = text.iter().enumerate().filter(|(_, b)| **b == b':').nth(1).map(|(colon, _)| colon + 1);
        self.length = 0;
        if let Some((head, mut rest)) = seconds.and_then(|seconds| text.split_at_checked(seconds))
            && let Some(to) = self.prefix.get_mut(..head.len())
            && digits(&mut rest, 2).is_some()
        {
            fraction(&mut rest);
            to.copy_from_slice(head);
            self.length = head.len();
            self.base = written.time - written.time.rem_euclid(60 * SECOND);
            self.suffix.clear();
            self.suffix.extend_from_slice(rest);
            self.zone = written.zone;
        }
        Some(written)
    }
}

#[cfg(test)]
mod tests {
    use super::super::calendar::date_time;
    use super::*;

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
            let cached = cached.written(text.as_bytes(), Order::YearMonthDay).map(|written| written.time);
            assert_eq!(cached, plain, "{text}");
        }
    }

    #[test]
    fn times_of_another_zone_are_on_the_clock_of_the_first_and_tell_the_change() {
        let mut clock = LocalClock::default();
        let mut time = |time, zone| clock.time(Written { time, zone });
        assert_eq!(time(7_000 * SECOND, None), Some((7_000 * SECOND, 0)));
        assert_eq!(time(7_200 * SECOND, Some(3_600 * SECOND)), Some((7_200 * SECOND, 0)));
        assert_eq!(time(10_801 * SECOND, Some(7_200 * SECOND)), Some((7_201 * SECOND, 3_600 * SECOND)));
        assert_eq!(time(7_202 * SECOND, Some(3_600 * SECOND)), Some((7_202 * SECOND, -3_600 * SECOND)));
    }
}
