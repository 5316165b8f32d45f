//! Wear: a device that lies still for long is not worn, and wear without a break is a segment.
//!
//! Works on tables of windows and of runs, never on samples, so that one pass over a recording can feed it. A window is
//! still when the standard deviation of each axis is below the tolerance; a window without samples is not in the table and
//! so ends a stretch of still ones, as in actipy.

use super::windows::Window;
use crate::error::{Error, Result};

/// A stretch of time `[start, end)`, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// First instant.
    pub start: i64,
    /// First instant after.
    pub end: i64,
}

impl Episode {
    /// Length, ns.
    pub fn length(&self) -> i64 {
        self.end - self.start
    }
}

/// How long k still windows last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthRule {
    /// From the first's start to the last's end.
    Plain,
    /// From the first's start to the last's start, that instant included: k - 1 windows, so the last one stays worn.
    Actipy,
}

/// Numbers of non-wear detection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Standard deviation of each axis below which a window is still, g.
    pub tolerance_g: f64,
    /// Length of a window, ns.
    pub window: i64,
    /// From one window's start to the next one's, ns: `window` for fixed windows, less for sliding ones.
    pub step: i64,
    /// Still for longer than this is not worn, ns.
    pub patience: i64,
    /// How a stretch's length is counted.
    pub rule: LengthRule,
}

/// Non-wear: stretches of still windows that last longer than the patience.
///
/// # Errors
/// [`Error::Value`] for options outside their domain.
pub fn nonwear(windows: &[Window], options: &Options) -> Result<Vec<Episode>> {
    if options.tolerance_g.is_nan() || options.tolerance_g <= 0.0 {
        return Err(Error::value("tolerance_g", "a positive number of g", options.tolerance_g));
    }
    if options.window <= 0 || options.step <= 0 {
        return Err(Error::value("window_s", "a positive number of seconds", options.window as f64 / 1e9));
    }
    if options.patience < 0 {
        return Err(Error::value("nonwear_min", "at least 0 minutes", options.patience as f64 / 6e10));
    }
    let mut episodes = Vec::new();
    let mut open: Option<(i64, i64)> = None;
    let close = |open: &mut Option<(i64, i64)>, episodes: &mut Vec<Episode>| {
        if let Some((first, last)) = open.take() {
            let (length, end) = match options.rule {
                LengthRule::Plain => (last + options.window - first, last + options.window),
                LengthRule::Actipy => (last - first, last + 1),
            };
            if length > options.patience {
                episodes.push(Episode { start: first, end });
            }
        }
    };
    for window in windows {
        let still = window.sd.iter().all(|&sd| sd < options.tolerance_g);
        match open {
            Some((first, last)) if still && window.start - last == options.step => open = Some((first, window.start)),
            _ => {
                close(&mut open, &mut episodes);
                open = still.then_some((window.start, window.start));
            }
        }
    }
    close(&mut open, &mut episodes);
    Ok(episodes)
}

/// What is left of `runs` without `nonwear`, both in order of time: the wear segments, however short.
pub fn segments(runs: &[Episode], nonwear: &[Episode]) -> Vec<Episode> {
    let mut segments = Vec::new();
    for run in runs {
        let mut start = run.start;
        for episode in nonwear.iter().filter(|e| e.end > run.start && e.start < run.end) {
            if episode.start > start {
                segments.push(Episode { start, end: episode.start });
            }
            start = start.max(episode.end);
        }
        if start < run.end {
            segments.push(Episode { start, end: run.end });
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(still: &str) -> Vec<Window> {
        let window = |(i, c): (usize, char)| {
            let sd = if c == 's' { [0.001; 3] } else { [0.001, 0.1, 0.001] };
            (c != ' ').then_some(Window { start: 10 * i as i64, n: 9, mean: [0.0; 3], sd, temperature: f64::NAN })
        };
        still.chars().enumerate().filter_map(window).collect()
    }

    fn wear_of(still: &str, patience: i64, rule: LengthRule) -> Vec<(i64, i64)> {
        let options = Options { tolerance_g: 0.013, window: 10, step: 10, patience, rule };
        nonwear(&table(still), &options).unwrap().iter().map(|e| (e.start, e.end)).collect()
    }

    #[test]
    fn stretches_are_counted_by_either_rule_and_broken_by_empty_windows() {
        assert_eq!(wear_of("wsssws", 20, LengthRule::Plain), [(10, 40)]);
        assert_eq!(wear_of("wsssws", 30, LengthRule::Plain), []);
        assert_eq!(wear_of("wsssws", 19, LengthRule::Actipy), [(10, 31)]);
        assert_eq!(wear_of("wsssws", 20, LengthRule::Actipy), []);
        assert_eq!(wear_of("sss ss", 15, LengthRule::Plain), [(0, 30), (40, 60)]);
        // A deviation of just the tolerance is motion.
        let mut windows = table("sss");
        windows[1].sd[2] = 0.013;
        let options = Options { tolerance_g: 0.013, window: 10, step: 10, patience: 5, rule: LengthRule::Plain };
        let nonwear: Vec<_> = nonwear(&windows, &options).unwrap().iter().map(|e| (e.start, e.end)).collect();
        assert_eq!(nonwear, [(0, 10), (20, 30)]);
    }

    #[test]
    fn segments_are_runs_without_nonwear() {
        let episode = |(start, end)| Episode { start, end };
        let runs = [(0, 100), (200, 300), (400, 500)].map(episode);
        let nonwear = [(50, 60), (90, 250), (400, 500)].map(episode);
        assert_eq!(segments(&runs, &nonwear), [(0, 50), (60, 90), (250, 300)].map(episode));
        assert_eq!(runs[0].length(), 100);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let options = Options { tolerance_g: 0.013, window: 10, step: 10, patience: 0, rule: LengthRule::Plain };
        for bad in [
            Options { tolerance_g: f64::NAN, ..options },
            Options { window: 0, ..options },
            Options { patience: -1, ..options },
        ] {
            assert!(nonwear(&[], &bad).is_err());
        }
    }
}
