//! The settings of a pass.

use crate::device::Reading;
use crate::signal::grid::Method;
use crate::signal::{calibrate, wear};

/// Where the windows of calibration and non-wear are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Low-pass, resample, calibrate, non-wear: on the grid.
    Paper,
    /// Low-pass, calibrate, non-wear, resample: on the filtered samples.
    Actipy,
}

/// Every number of a pass.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the file is read.
    pub reading: Reading,
    /// Order of the steps.
    pub order: Order,
    /// Cutoff in Hz and order of the low-pass, or none.
    pub lowpass: Option<(f64, usize)>,
    /// Whether the filter takes rows on both sides of a gap as neighbours.
    pub across_gaps: bool,
    /// Hz of the grid.
    pub rate: f64,
    /// How the grid gets its values.
    pub method: Method,
    /// Length of a calibration window, ns, and the fit; or none.
    pub calibration: Option<(i64, calibrate::Options)>,
    /// Non-wear.
    pub nonwear: wear::Options,
    /// Shorter segments are dropped, s.
    pub min_wear_s: f64,
    /// Longer gaps end a segment, s; lifted to one lost record of the format where it lies just under it.
    pub max_gap_s: f64,
    /// Whether a device's idle sleep is filled with the last value.
    pub fill_idle_sleep: bool,
}
