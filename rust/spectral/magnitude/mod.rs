//! Log mean magnitudes of the short-time spectrum, and the reconstruction loss on them.

pub mod features;
pub mod loss;
pub mod steps;
