//! Windows -> RGB images.
//!
//! [`definition`] is what a picture is; the other files draw the same bytes faster. Arrows go one way:
//! `extent, pixel, resize, levels <- definition <- power, resize_lanes, stream <- painter`.

pub mod definition;
pub mod extent;
pub mod levels;
pub mod painter;
pub mod pixel;
pub mod power;
pub mod resize;
mod resize_lanes;
pub mod stream;
