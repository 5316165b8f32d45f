//! Temperature beside samples and windows, and calibration by it.

use super::prepared::Prepared;
use crate::error::Result;
use crate::signal::calibrate::Calibration;
use crate::signal::grid::Grid;
use crate::signal::windows::Window;

/// Mean temperature of each window from the blocks that begin in it; one without takes its predecessor's.
pub fn warm(windows: &mut [Window], temperature: &[(i64, f32)], length: i64) {
    let mut index = 0;
    let mut last = temperature.first().map_or(f64::NAN, |t| f64::from(t.1));
    for window in windows {
        let (mut sum, mut n) = (0.0, 0u32);
        while let Some((_, t)) = temperature.get(index).filter(|(time, _)| *time < window.start + length) {
            sum += f64::from(*t);
            n += 1;
            index += 1;
        }
        if n > 0 {
            last = sum / f64::from(n);
        }
        window.temperature = last;
    }
}

/// Calibrates the grid in place.
///
/// # Errors
/// Those of [`Points::for_each`](super::Points::for_each).
pub fn apply(out: &mut Prepared, calibration: &Calibration, grid: &Grid, temperature: &[(i64, f32)]) -> Result<()> {
    let warm = calibration.temperature_slope != [0.0; 3] && !temperature.is_empty();
    let mut index = 0;
    let mut warmth = Vec::new();
    out.acceleration.for_each(|first, axes| {
        warmth.clear();
        if warm {
            warmth.extend((first..first + axes[0].len()).map(|point| {
                let time = grid.time(point as u64);
                while temperature.get(index + 1).is_some_and(|(next, _)| *next <= time) {
                    index += 1;
                }
                temperature[index].1
            }));
        }
        for (axis, row) in axes.into_iter().enumerate() {
            calibration.apply_in_place(axis, row, &warmth);
        }
        true
    })
}
