//! Heights -> grey levels: the two tone curves of the pictures and the one of the Android app.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::spectral::lanes::log::{OCTAVE, scaled_normal};
use crate::spectral::lanes::{Lanes, Real};

/// Frames in a block of cells: one row of float32 lanes.
pub const BLOCK: usize = <f32 as Real>::LANES;

/// How a height u in [0, 1] between the weakest and the strongest cell becomes a grey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// 256 levels through 255 less matplotlib's `Greys`: `GREYS[min(floor(256 u), 255)]`.
    Greys,
    /// `floor(255 u + 1/2)`.
    Linear,
    /// [`Tone::Linear`] followed by the app's colour matrix of gain 0.99.
    Android,
}

/// Red of matplotlib's `Greys` at its nine equidistant anchors, in 1/255.
pub(super) const ANCHORS: [i32; 9] = [255, 240, 217, 189, 150, 115, 82, 37, 0];

/// Grey of each of the 256 levels: 255 less the red channel of `Greys`, linear between `ANCHORS` and cut to bytes.
pub static GREYS: [u8; 256] = greys();

const fn greys() -> [u8; 256] {
    let mut table = [0; 256];
    let mut level = 0;
    while level < 256 {
        // 8 level / 255 = segment + rest / 255; the red is (a * 255 + (b - a) * rest) / 255, towards zero.
        let segment = if level == 255 { 7 } else { 8 * level / 255 };
        let rest = 8 * level - 255 * segment;
        let (a, b) = (ANCHORS[segment], ANCHORS[segment + 1]);
        table[level] = (255 - (a * 255 + (b - a) * rest as i32) / 255) as u8;
        level += 1;
    }
    table
}

impl Tone {
    /// The grey of height `u`, which is clamped to [0, 1].
    #[inline]
    pub fn grey(self, u: f64) -> u8 {
        let u = u.clamp(0.0, 1.0);
        match self {
            Self::Greys => GREYS[((256.0 * u) as usize).min(255)],
            Self::Linear => (255.0 * u + 0.5) as u8,
            Self::Android => android((255.0 * u + 0.5) as u8),
        }
    }
}

/// The colour matrix of the app: three draws of gain 0.33.
#[inline]
pub fn android(level: u8) -> u8 {
    (f64::from(level) * 0.99 + 0.5) as u8
}

/// 2^23: added to a float32 below it, it leaves the nearest whole number in the low bits.
pub(super) const WHOLE: f32 = 8_388_608.0;

/// [`android`] of whole levels, not rounded: a thousandth more than hundredths rounds a half up and nothing else.
#[inline(always)]
pub(super) fn hundredths<V: Lanes<T = f32>>(level: V) -> V {
    level.mul(level.cpu().splat(0.99)).add(level.cpu().splat(1e-3))
}

/// The heights of a vector of powers in levels, which are cut for the tone `Greys` and rounded for the others.
///
/// # Safety
/// `from` may be read for a vector.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
#[allow(unsafe_code)] // reads a vector
pub(super) unsafe fn height<V: Lanes<T = f32>, const TONE: u8>(from: *const f32, gain: V, offset: V) -> V {
    let cpu = gain.cpu();
    // SAFETY: the caller's promise.
    let height = scaled_normal(unsafe { cpu.load(from) }, OCTAVE).mul_add(gain, offset);
    let height = height.max(cpu.splat(0.0)).min(cpu.splat(255.0));
    if TONE == 2 { hundredths(height.add(cpu.splat(WHOLE)).sub(cpu.splat(WHOLE))) } else { height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greys_are_the_published_ones() {
        assert_eq!(&GREYS[..20], &[0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 8, 9, 9]);
        assert_eq!((GREYS[32], GREYS[128], GREYS[254], GREYS[255]), (16, 106, 254, 255));
    }

    #[test]
    fn tones_reach_black_and_white_and_clamp() {
        for (tone, white) in [(Tone::Greys, 255), (Tone::Linear, 255), (Tone::Android, 252)] {
            assert_eq!((tone.grey(-3.0), tone.grey(0.0), tone.grey(1.0), tone.grey(7.0)), (0, 0, white, white));
        }
    }
}
