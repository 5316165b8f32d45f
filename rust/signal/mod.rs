//! Samples -> samples: low-pass, resampling, calibration, wear.
//!
//! Every step has a streaming form, which takes a run or a recording in chunks of any size and keeps memory bounded, and
//! gives the same answer however the chunks fall. The preparation of a recording is these forms, one after another.

pub mod butterworth;
pub mod calibrate;
mod cascade;
pub mod filter;
mod fit;
pub mod grid;
pub mod polyphase;
pub mod resample;
pub mod wear;
pub mod windows;
