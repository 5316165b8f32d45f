//! The rate of pages by their times.

/// Steps from page to page that must agree on a rate.
const AGREEING: usize = 3;
/// Share within which they agree, and beyond which the rate is not the stated one.
pub const RATE_DIFFERS: f64 = 0.05;
/// Rates that a header or a page may state, Hz.
pub const RATES: std::ops::RangeInclusive<f64> = 0.1..=10_000.0;

/// Samples a second by the sequence number, the time and the samples of some pages, where most of them agree.
pub fn rate_by_times(pages: &[(Option<u64>, i64, usize)]) -> Option<f64> {
    let rate = |pair: &[(Option<u64>, i64, usize)]| {
        let [(a, from, n), (b, to, _)] = *pair else { return None };
        let follows = b.zip(a).is_some_and(|(b, a)| b.checked_sub(a) == Some(1));
        let step = to.checked_sub(from).filter(|step| follows && *step > 0)?;
        Some(n as f64 * 1e9 / step as f64)
    };
    let mut rates: Vec<f64> = pages.windows(2).filter_map(rate).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let middle = *rates.get(rates.len() / 2)?;
    let agree = rates.iter().filter(|rate| (*rate / middle - 1.0).abs() < RATE_DIFFERS).count();
    (agree >= AGREEING && 2 * agree > rates.len() && RATES.contains(&middle)).then_some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_follow_each_other_tell_the_rate_where_most_agree() {
        let second = 1_000_000_000;
        let pages = |times: &[i64]| -> Vec<(Option<u64>, i64, usize)> {
            times.iter().enumerate().map(|(i, t)| (Some(i as u64), t * second, 300)).collect()
        };
        assert_eq!(rate_by_times(&pages(&[0, 6, 12, 18])), Some(50.0));
        assert_eq!(rate_by_times(&pages(&[0, 6, 12, 100, 106, 112])), Some(50.0));
        assert_eq!(rate_by_times(&pages(&[0, 6, 12])), None);
        assert_eq!(rate_by_times(&pages(&[0, 6, 18, 19, 60, 61])), None);
        let lost: Vec<_> = (0..6).map(|i| (Some(2 * i), 12 * i as i64 * second, 300)).collect();
        assert_eq!(rate_by_times(&lost), None);
    }
}
