//! Resizing of an 8-bit grid by banded matrices, rows of the grid first, rounded to 8 bits between the two passes.
//!
//! The authors' pictures go over a canvas: the grid is stretched to 480 x 640 pixels by nearest neighbour and the canvas
//! shrunk with a triangle filter. Both steps are linear, so one line of the result is a weighted sum of a few neighbouring
//! lines of the grid ([`Line`]) and the canvas is never built. All weights are ratios of integers; where their common
//! denominator is small (it is 25, 22, 192 or 256 at 96 x 128) the sums are done in 16-bit integers and are exact,
//! elsewhere they are Pillow's: fractions of 22 bits.

use std::ops::Range;

use super::bytes::TILE;

/// How a grid becomes a picture of another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resize {
    /// Over the canvas of 480 rows and 640 columns: nearest up, triangle down. The recipe of the published pictures.
    Canvas,
    /// The triangle filter on the grid itself, as wide as the shrinking asks: Pillow's `BILINEAR`.
    Antialias,
    /// The two nearest lines, half-pixel centres: OpenCV's `INTER_LINEAR`.
    Bilinear,
    /// The nearest line.
    Nearest,
}

/// Rows and columns of the canvas.
pub const CANVAS: [usize; 2] = [480, 640];
/// The largest denominator whose weighted sums of bytes fit 16 bits.
const MAX_DENOMINATOR: u32 = 256;

/// One line of the result: the weighted mean of the lines `first..first + n` of the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// First line of the source.
    pub first: u32,
    /// Integer weights of the lines from `first` on; none: the line is black.
    pub weights: Vec<u16>,
    /// (half, multiplier, shift): `((sum + half) * multiplier >> 16) >> shift` is `floor(sum / denominator + 1/2)`, exactly.
    pub rounding: (u16, u16, u32),
    /// The weights in 1 / 2^22 where the denominator is too large for that; else empty.
    pub fractions: Vec<u32>,
}

impl Line {
    /// The line with integer weights `from`, of which those before `first` are zero.
    fn new(first: usize, weights: Vec<u32>) -> Self {
        Self::rounded(first, weights, |_| true)
    }

    /// As Pillow rounds: its fractions are exact where no tie can show the difference.
    fn as_pillow(first: usize, weights: Vec<u32>) -> Self {
        Self::rounded(first, weights, |sum| sum % 2 == 1 || sum.is_power_of_two())
    }

    fn rounded(first: usize, mut weights: Vec<u32>, exactly: impl Fn(u32) -> bool) -> Self {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        weights.iter_mut().for_each(|w| *w /= divisor);
        let sum: u32 = weights.iter().sum();
        let rounding = reciprocal(sum).filter(|_| exactly(sum));
        let exact = rounding.is_some();
        Self {
            first: first as u32,
            rounding: rounding.unwrap_or_default(),
            fractions: if exact { Vec::new() } else { weights.iter().map(|&w| fraction(w, sum)).collect() },
            weights: if exact { weights.iter().map(|&w| w as u16).collect() } else { Vec::new() },
        }
    }

    #[inline(always)]
    /// Whether the line is a plain copy of line `first`.
    pub fn is_copy(&self) -> bool {
        self.weights.len() == 1 && self.fractions.is_empty()
    }

    #[inline(always)]
    /// Whether the line is black for every source.
    pub fn is_black(&self) -> bool {
        self.weights.is_empty() && self.fractions.is_empty()
    }
}

/// Bits of [`Line::fractions`].
pub const FRACTION_BITS: u32 = 22;

fn fraction(weight: u32, sum: u32) -> u32 {
    (f64::from(weight) / f64::from(sum) * f64::from(1 << FRACTION_BITS) + 0.5) as u32
}

/// [`Line::rounding`] for weights that sum to `denominator`, if there is one for all sums of bytes.
fn reciprocal(denominator: u32) -> Option<(u16, u16, u32)> {
    if denominator < 2 {
        return Some((0, 0, 0));
    }
    if denominator > MAX_DENOMINATOR {
        return None;
    }
    let shift = (denominator - 1).ilog2();
    let one = 1u32 << (16 + shift);
    let multiplier = one.div_ceil(denominator);
    // Too large by excess / denominator: harmless while it cannot carry the largest sum over the next whole number.
    let excess = u64::from(multiplier * denominator - one);
    let largest = u64::from(255 * denominator + denominator / 2);
    (largest * excess < u64::from(one)).then_some(((denominator / 2) as u16, multiplier as u16, shift))
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The lines of one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Lines {
    lines: Vec<Line>,
    reach: Range<usize>,
}

impl Lines {
    fn of(lines: Vec<Line>) -> Self {
        let ends = lines.iter().map(|l| (l.first as usize, l.first as usize + l.weights.len().max(l.fractions.len())));
        let reach = ends.reduce(|r, next| (r.0.min(next.0), r.1.max(next.1))).map_or(0..0, |(a, b)| a..b);
        Self { lines, reach }
    }

    /// `to` lines out of `from`, over `canvas` lines where `method` is [`Resize::Canvas`].
    pub fn new(method: Resize, from: usize, to: usize, canvas: usize) -> Self {
        let lines = (0..to).map(|i| match method {
            Resize::Canvas => triangle(i, canvas, to, |p| (2 * p + 1) * from / (2 * canvas)),
            Resize::Antialias => triangle(i, from, to, |p| p),
            Resize::Bilinear => two_point(i, from, to),
            Resize::Nearest => Line::new((2 * i + 1) * from / (2 * to), vec![1]),
        });
        Self::of(lines.collect())
    }

    /// Every line as it is.
    pub fn identity(n: usize) -> Self {
        Self::of((0..n).map(|i| Line::new(i, vec![1])).collect())
    }

    /// The same lines on a source of `from` lines that lies the other way round.
    pub fn on_flipped(mut self, from: usize) -> Self {
        for line in &mut self.lines {
            let n = line.weights.len().max(line.fractions.len());
            line.first = (from - n) as u32 - line.first;
            line.weights.reverse();
            line.fractions.reverse();
        }
        Self::of(self.lines)
    }

    /// Puts `n` black lines before the source's first.
    pub fn on_source_below(mut self, n: usize) -> Self {
        for line in &mut self.lines {
            let black = (n as u32).saturating_sub(line.first) as usize;
            line.weights.drain(..black.min(line.weights.len()));
            line.first = line.first.saturating_sub(n as u32);
        }
        Self::of(self.lines)
    }

    /// The lines, first to last.
    pub fn iter(&self) -> std::slice::Iter<'_, Line> {
        self.lines.iter()
    }

    /// How many lines come out.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The source lines that the first to last result needs.
    pub fn reach(&self) -> Range<usize> {
        self.reach.clone()
    }
}

/// Line `i` of `to` out of `n` pixels with the triangle filter; pixel p shows line `shows(p)` of the source.
///
/// With everything in units of 1 / (2 to): the centre is (2i + 1) n, pixel p lies at (2p + 1) to, the half-width is
/// 2 max(n, to).
fn triangle(i: usize, n: usize, to: usize, shows: impl Fn(usize) -> usize) -> Line {
    if n == to {
        return Line::new(shows(i), vec![1]);
    }
    let (centre, half_width) = ((2 * i + 1) * n, 2 * n.max(to));
    let weight = |p: usize| half_width.saturating_sub(((2 * p + 1) * to).abs_diff(centre));
    let mut pixels = (0..n).filter(|&p| weight(p) > 0).peekable();
    let first = pixels.peek().map_or(0, |&p| shows(p));
    let mut weights = Vec::new();
    for p in pixels {
        let index = shows(p) - first;
        weights.resize(weights.len().max(index + 1), 0);
        weights[index] += weight(p) as u32;
    }
    Line::as_pillow(first, weights)
}

/// Line `i` of `to` out of `from` between its two nearest: at ((2i + 1) from - to) / (2 to), held inside the source.
fn two_point(i: usize, from: usize, to: usize) -> Line {
    let position = ((2 * i + 1) * from).saturating_sub(to).min(2 * to * (from - 1));
    let (first, rest) = (position / (2 * to), (position % (2 * to)) as u32);
    Line::new(first, if rest == 0 { vec![1] } else { vec![2 * to as u32 - rest, rest] })
}

/// One byte of a line, by definition: what every faster loop must equal.
#[inline(always)]
pub fn mix(line: &Line, source: impl Fn(usize) -> u8) -> u8 {
    if line.fractions.is_empty() {
        if line.is_copy() {
            return source(line.first as usize);
        }
        let (half, multiplier, shift) = line.rounding;
        let sum: u32 = line
            .weights
            .iter()
            .enumerate()
            .map(|(k, &w)| u32::from(w) * u32::from(source(line.first as usize + k)))
            .sum();
        return ((((sum + u32::from(half)) * u32::from(multiplier)) >> 16) >> shift) as u8;
    }
    let half = 1 << (FRACTION_BITS - 1);
    let source = line.fractions.iter().enumerate().map(|(k, &w)| w * u32::from(source(line.first as usize + k)));
    (source.fold(half, |sum, v| sum + v) >> FRACTION_BITS).min(255) as u8
}

/// A line that is black, a copy, or of fractions, whose weighted sums are taken in 32 bits; false for any other.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // plain loops over whole tiles are what the compiler turns into vectors
pub(super) fn mix_simply(line: &Line, source: &[u8], pitch: usize, out: &mut [u8]) -> bool {
    let source = &source[line.first as usize * pitch..];
    if line.is_black() {
        out.fill(0);
    } else if line.is_copy() {
        out.copy_from_slice(&source[..pitch]);
    } else if line.fractions.is_empty() {
        return false;
    } else {
        for (c, out) in out.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
            let mut sum = [1u32 << (FRACTION_BITS - 1); TILE];
            for (k, &w) in line.fractions.iter().enumerate() {
                let row = &source[k * pitch + c * TILE..][..TILE];
                for i in 0..TILE {
                    sum[i] += w * u32::from(row[i]);
                }
            }
            for i in 0..TILE {
                out[i] = (sum[i] >> FRACTION_BITS).min(255) as u8;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_rounding_is_exact_for_every_denominator() {
        for sum in 2..=MAX_DENOMINATOR {
            let line = Line::new(0, vec![1, sum - 1]);
            assert!(line.fractions.is_empty() || ![2, 22, 25, 32, 64, 96, 128, 192, 256].contains(&sum), "{sum}");
            for (a, b) in (0..=255u8).flat_map(|a| [0, 1, 2, 77, 128, 254, 255].map(|b| (a, b))) {
                let total = u32::from(a) + (sum - 1) * u32::from(b);
                let want = ((2 * total + sum) / (2 * sum)) as u8;
                let got = mix(&line, |k| [a, b][k]);
                assert!(got == want || !line.fractions.is_empty() && got.abs_diff(want) == 1, "{sum} {a} {b}");
            }
        }
    }

    #[test]
    fn weights_are_those_of_the_published_recipe() {
        for from in [17, 40, 65, 110, 129, 235] {
            let lines = Lines::new(Resize::Canvas, from, 128, 640);
            for (i, line) in lines.iter().enumerate() {
                let centre = (i as f64 + 0.5) * 5.0;
                let mut want = vec![0.0; from];
                let pixels = ((centre - 4.5).max(0.0) as usize)..((centre + 5.5) as usize).min(640);
                for p in pixels {
                    want[((p as f64 + 0.5) * from as f64 / 640.0) as usize] +=
                        (1.0 - (p as f64 + 0.5 - centre).abs() / 5.0).max(0.0);
                }
                let total: f64 = want.iter().sum();
                let as_f64 = if line.fractions.is_empty() {
                    line.weights.iter().map(|&w| f64::from(w)).collect::<Vec<_>>()
                } else {
                    line.fractions.iter().map(|&w| f64::from(w)).collect()
                };
                let sum: f64 = as_f64.iter().sum();
                for (g, w) in want.iter().enumerate() {
                    let got =
                        (g as u32).checked_sub(line.first).and_then(|k| as_f64.get(k as usize)).copied().unwrap_or(0.0);
                    assert!((got / sum - w / total).abs() < 3e-7, "{from} {i} {g}");
                }
            }
        }
    }

    #[test]
    fn a_flipped_source_gives_the_same_line() {
        for method in [Resize::Canvas, Resize::Antialias, Resize::Bilinear, Resize::Nearest] {
            for (from, to) in [(33, 96), (129, 96), (97, 11), (5, 224)] {
                let source: Vec<u8> = (0..from).map(|i| (i * 37 % 251) as u8).collect();
                let plain = Lines::new(method, from, to, 480);
                let flipped = plain.clone().on_flipped(from);
                for (a, b) in plain.iter().zip(flipped.iter()) {
                    let (a, b) = (mix(a, |i| source[i]), mix(b, |i| source[from - 1 - i]));
                    assert!(a.abs_diff(b) <= u8::from(to == 224 || to == 11), "{method:?} {from} {to}");
                }
            }
        }
    }
}
