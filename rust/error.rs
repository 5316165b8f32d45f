//! The one error type of the crate.

use std::fmt;

/// Result of the crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong. Malformed, unsupported and too big are three different answers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An array has the wrong shape. Form: *name: expected ..., got ...*.
    #[error("{0}")]
    Shape(String),
    /// An argument has a value outside its domain. Form: *name: expected ..., got ...*.
    #[error("{0}")]
    Value(String),
    /// The bytes break the rules of their format.
    #[error("{format}: {reason} at byte {offset}")]
    Malformed {
        /// Short name of the format: `cwa`, `gt3x`, ...
        format: &'static str,
        /// Byte offset in the (uncompressed) file.
        offset: u64,
        /// *name: expected ..., got ...*
        reason: String,
    },
    /// The bytes are sound but of a kind that is not read here.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Reading on would pass a limit that protects the machine.
    #[error("{name}: more than the limit of {max}")]
    Limit {
        /// What grew too large, with its unit.
        name: &'static str,
        /// The limit.
        max: u64,
    },
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Error {
    /// [`Error::Malformed`] in one line.
    pub fn malformed(format: &'static str, offset: u64, reason: impl fmt::Display) -> Self {
        Self::Malformed { format, offset, reason: reason.to_string() }
    }
    /// [`Error::Value`] as *name: expected ..., got ...*.
    pub fn value(name: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::Value(format!("{name}: expected {expected}, got {got}"))
    }
    /// [`Error::Shape`] as *name: expected ..., got ...*.
    pub fn shape(name: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self::Shape(format!("{name}: expected {expected}, got {got}"))
    }
}
