//! The stored acceleration of a recording, without the interpreter: one Zarr v3 shard of int16 [3, time].
//!
//! - [`blosc`]: one compressed chunk -> its items, and back.
//! - [`shard`]: samples of a shard, its chunks in parallel.
//! - [`writer`]: a recording in g -> a shard.
//!
//! A chunk that other bytes than a sound writer's describe is refused. Nothing is indexed unchecked.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod blosc;
pub mod shard;
pub mod writer;
