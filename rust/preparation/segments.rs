//! Stretches of wear on the grid.

use super::prepared::Prepared;
use super::settings::Settings;
use crate::error::Result;
use crate::signal::wear::{self, Episode};

/// Wear is what is neither missing for longer than the longest gap nor non-wear; what is long enough is kept. It ends where
/// the clock fell. `rate` of the samples, Hz: a stretch lasts until one sample after its last, which is up to so much behind
/// its last grid point.
///
/// # Errors
/// Those of [`Points::for_each`](super::Points::for_each).
pub fn segment(out: &mut Prepared, settings: &Settings, max_gap_s: f64, rate: f64) -> Result<()> {
    let runs = present(out, max_gap_s * settings.rate)?;
    let off: Vec<Episode> = out.nonwear.iter().map(|(a, b)| Episode { start: *a as i64, end: *b as i64 }).collect();
    let worn = wear::segments(&cut(runs, &out.breaks), &off);
    let last = if rate > 0.0 { settings.rate / rate } else { 0.0 };
    let whole = |length: i64, needed: f64| length as f64 >= needed || length as f64 + last >= needed;
    let longest = worn.iter().map(Episode::length).max().unwrap_or(0);
    out.longest_wear_s = longest as f64 / settings.rate;
    let needed = (settings.min_wear_s * settings.rate).max(1.0);
    let long_enough = worn.iter().filter(|e| e.length() > 0 && whole(e.length(), needed));
    out.segments = long_enough.map(|e| (e.start as usize, e.end as usize)).collect();
    Ok(())
}

/// Runs of points without a hole of more than `longest_hole` points; counts what is missing.
fn present(out: &mut Prepared, longest_hole: f64) -> Result<Vec<Episode>> {
    let mut runs: Vec<Episode> = Vec::new();
    let mut present = |from: usize, to: usize| match runs.last_mut() {
        Some(run) if (from as i64 + 1 - run.end) as f64 <= longest_hole => run.end = to as i64,
        _ => runs.push(Episode { start: from as i64, end: to as i64 }),
    };
    const PART: usize = 4096; // mostly without a hole, which takes one look
    let mut measured = 0;
    out.acceleration.for_each(|first, [x, ..]| {
        for (part, from) in x.chunks(PART).zip((first..).step_by(PART)) {
            match part.iter().filter(|v| v.is_nan()).count() {
                0 => present(from, from + part.len()),
                _ => {
                    let points = part.iter().zip(from..).filter(|(v, _)| !v.is_nan());
                    points.for_each(|(_, i)| present(i, i + 1));
                }
            }
            measured += part.iter().filter(|v| !v.is_nan()).count();
        }
        false
    })?;
    out.missing = out.n - measured;
    Ok(runs)
}

/// The runs, each cut in two where a break lies inside it.
fn cut(runs: Vec<Episode>, breaks: &[usize]) -> Vec<Episode> {
    let mut pieces = Vec::with_capacity(runs.len());
    let mut breaks = breaks.iter().map(|point| *point as i64).peekable();
    for mut run in runs {
        while let Some(point) = breaks.next_if(|point| *point < run.end) {
            if point > run.start {
                pieces.push(Episode { end: point, ..run });
                run.start = point;
            }
        }
        pieces.push(run);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_where_the_clock_fell() {
        let episode = |(start, end)| Episode { start, end };
        let runs = vec![(0, 10), (20, 30), (40, 50)].into_iter().map(episode).collect();
        let pieces = [(0, 10), (20, 25), (25, 30), (40, 50)].map(episode);
        assert_eq!(cut(runs, &[15, 20, 25, 50]), pieces);
    }
}
