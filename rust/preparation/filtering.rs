//! The low-pass of each run, by that run's own rate.

use super::settings::Settings;
use crate::error::Result;
use crate::signal::butterworth::Butterworth;
use crate::signal::filter::ZeroPhase;

/// A rate this close to twice the cutoff has nothing above the cutoff, and a filter there would ring for ever.
const AT_NYQUIST: f64 = 1.002;
/// A rate below this share of what the recipe needs is slower; a device's own oscillator is allowed.
const SLOWER: f64 = 0.9;

/// Filtered samples on their way to the second thread.
#[derive(Default)]
pub struct Piece {
    pub values: [Vec<f32>; 3],
    pub time: Vec<i64>,
}

/// The filter of the present run, and the samples that it has not given back.
pub struct Filtering<'a> {
    settings: &'a Settings,
    filter: Option<ZeroPhase>,
    /// Hz of the present run.
    pub rate: f64,
    /// Filtered samples, and the times of those and of the samples that the filter holds.
    pub values: [Vec<f32>; 3],
    /// ns on the grid's clock.
    pub time: Vec<i64>,
    /// Runs whose rate was too low for the filter's cutoff.
    pub skipped: u64,
    /// Runs slower than twice the cutoff or than the grid, and the slowest rate among them, Hz.
    pub slow: (u64, f64),
}

impl<'a> Filtering<'a> {
    pub fn new(settings: &'a Settings) -> Self {
        let (values, time) = Default::default();
        Self { settings, filter: None, rate: 0.0, values, time, skipped: 0, slow: (0, f64::INFINITY) }
    }

    /// A filter for a run of this rate, Hz.
    pub fn begin(&mut self, rate: f64) -> Result<()> {
        let needed = self.settings.lowpass.map_or(0.0, |(cutoff, _)| 2.0 * cutoff).max(self.settings.rate);
        if rate < SLOWER * needed {
            self.slow = (self.slow.0 + 1, self.slow.1.min(rate));
        }
        if rate == self.rate {
            return Ok(());
        }
        self.rate = rate;
        self.filter = match self.settings.lowpass {
            Some((cutoff, order)) if rate > 2.0 * cutoff * AT_NYQUIST => {
                Some(ZeroPhase::new(Butterworth::lowpass(order, cutoff, rate)?)?)
            }
            Some(_) => {
                self.skipped += 1;
                None
            }
            None => None,
        };
        Ok(())
    }

    /// One sample's time, ns.
    pub fn period(&self) -> i64 {
        ((1e9 / self.rate.max(1e-3)) as i64).max(1)
    }

    /// Takes samples of the present run.
    pub fn push(&mut self, values: [&[f32]; 3], time: &[i64]) {
        self.time.extend_from_slice(time);
        match &mut self.filter {
            Some(filter) => {
                filter.push(values, &mut self.values);
            }
            None => self.values.iter_mut().zip(values).for_each(|(held, axis)| held.extend_from_slice(axis)),
        }
    }

    /// Ends the run: the filter gives back all that it holds.
    pub fn finish(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.finish(&mut self.values);
        }
    }

    /// Filtered samples and their times, ns.
    pub fn filtered(&self) -> (&[i64], [&[f32]; 3]) {
        let values = self.values.each_ref().map(Vec::as_slice);
        (self.time.get(..values[0].len()).unwrap_or_default(), values)
    }

    /// Moves them into a piece, whose room is used for the next.
    pub fn move_to(&mut self, piece: &mut Piece) {
        piece.time.clear();
        piece.time.extend(self.time.drain(..self.values[0].len()));
        std::mem::swap(&mut self.values, &mut piece.values);
    }

    /// Drops what has been taken.
    pub fn taken(&mut self) {
        self.time.drain(..self.values[0].len());
        self.values.iter_mut().for_each(Vec::clear);
    }
}
