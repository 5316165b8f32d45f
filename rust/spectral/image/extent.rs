//! The least and the largest power of a spectrogram's cells.

/// What a channel's cells span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Weakest unmasked cell.
    pub low: f64,
    /// Strongest unmasked cell.
    pub high: f64,
}

impl Extent {
    /// Of no cell at all.
    pub const NONE: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };

    /// The smallest that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The extent with `octaves` added to both ends.
    #[must_use]
    pub fn raised(self, octaves: f64) -> Self {
        Self { low: self.low + octaves, high: self.high + octaves }
    }
}
