//! Window functions by SciPy's names and conventions, in float64.
//!
//! `periodic` (`fftbins=True` of SciPy, what `scipy.signal.get_window` gives by default) divides the cosine's argument by
//! `n`; `symmetric` (matplotlib's `window_hanning`, NumPy's `hanning`) by `n - 1`.

use std::f64::consts::PI;

use crate::error::{Error, Result};

/// Names that [`by_name`] knows.
pub const NAMES: [&str; 5] = ["hann", "hann_symmetric", "hamming", "blackman", "boxcar"];

/// The window of `n` samples: `hann`, `hamming`, `blackman` periodic, `hann_symmetric` symmetric, `boxcar` all ones.
///
/// # Errors
/// [`Error::Value`] for another name.
///
/// # Source
/// w\[k\] = a0 - a1 cos(2 pi k / m) + a2 cos(4 pi k / m), m = n (periodic) or n - 1 (symmetric): `scipy.signal.windows`.
pub fn by_name(name: &str, n: usize) -> Result<Vec<f64>> {
    Ok(match name {
        "hann" => cosine_sum([0.5, 0.5, 0.0], n, n),
        "hann_symmetric" => cosine_sum([0.5, 0.5, 0.0], n, n.saturating_sub(1)),
        "hamming" => cosine_sum([0.54, 0.46, 0.0], n, n),
        "blackman" => cosine_sum([0.42, 0.5, 0.08], n, n),
        "boxcar" => vec![1.0; n],
        other => return Err(Error::value("window", format!("one of {}", NAMES.join(", ")), format!("{other:?}"))),
    })
}

fn cosine_sum(a: [f64; 3], n: usize, m: usize) -> Vec<f64> {
    if n == 1 {
        return vec![1.0];
    }
    let step = 2.0 * PI / m as f64;
    (0..n).map(|k| a[0] - a[1] * (step * k as f64).cos() + a[2] * (2.0 * step * k as f64).cos()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_the_values_of_their_definition() {
        let close = |got: Vec<f64>, want: &[f64]| {
            assert_eq!(got.len(), want.len());
            got.iter().zip(want).for_each(|(g, w)| assert!((g - w).abs() < 1e-15, "{got:?} {want:?}"));
        };
        close(by_name("hann", 4).unwrap(), &[0.0, 0.5, 1.0, 0.5]);
        close(by_name("hann_symmetric", 5).unwrap(), &[0.0, 0.5, 1.0, 0.5, 0.0]);
        close(by_name("hamming", 4).unwrap(), &[0.08, 0.54, 1.0, 0.54]);
        close(by_name("blackman", 4).unwrap(), &[0.0, 0.34, 1.0, 0.34]);
        close(by_name("boxcar", 3).unwrap(), &[1.0; 3]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let text = by_name("kaiser", 8).unwrap_err().to_string();
        assert!(text.starts_with("window: expected one of hann,") && text.ends_with("got \"kaiser\""), "{text}");
    }
}
