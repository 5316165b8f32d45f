//! Windows -> RGB images.
//!
//! [`definition`] is what a picture is; the other files draw the same bytes faster. Arrows go one way:
//! `bytes, extent, pixel, levels <- resize <- definition <- greys, power, resize_lanes, stream <- painter`.

mod bytes;
pub mod definition;
pub mod extent;
pub mod greys;
#[cfg(target_arch = "aarch64")]
mod greys_neon;
#[cfg(target_arch = "x86_64")]
mod greys_x86;
pub mod levels;
pub mod painter;
pub mod pixel;
pub mod power;
pub mod resize;
mod resize_lanes;
#[cfg(target_arch = "aarch64")]
mod resize_neon;
#[cfg(target_arch = "x86_64")]
mod resize_x86;
pub mod stream;
