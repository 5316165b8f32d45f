//! The rows around each start of a window: actipy marks non-wear on the rows and resamples the marks.

use crate::signal::grid::Grid;

/// The rows around a window's start: last before it, first at or after it, and the one after that, ns.
pub type Edge = (i64, [i64; 3]);

/// For every window's start among `time`: the rows around it.
pub fn note_edges(edges: &mut Vec<Edge>, before: &mut i64, origin: i64, step: i64, time: &[i64]) {
    let mut next_edge = match edges.last() {
        Some((edge, _)) => edge + step,
        None => origin,
    };
    for (i, &t) in time.iter().enumerate() {
        if let Some((_, rows)) = edges.last_mut()
            && rows[2] == i64::MIN
        {
            rows[2] = t;
        }
        if t >= next_edge {
            let start = origin + (t - origin).div_euclid(step) * step;
            edges.push((start, [*before, t, time.get(i + 1).copied().unwrap_or(i64::MIN)]));
            next_edge = start + step;
        }
        *before = t;
    }
}

/// The first grid point whose nearest row is not before `time`, a window's start or a nanosecond after it.
pub fn edge_point(edges: &[Edge], grid: &Grid, time: i64) -> usize {
    let Some((start, [before, first, second])) =
        edges.get(edges.partition_point(|(start, _)| *start < time - 1)).copied()
    else {
        return usize::MAX;
    };
    let (left, right) = if start < time && first < time { (first, second) } else { (before, first) };
    if left == i64::MIN {
        return 0;
    }
    // the later of two equally near rows is taken
    grid.at_or_after(left + (right - left + 1).div_euclid(2)) as usize
}
