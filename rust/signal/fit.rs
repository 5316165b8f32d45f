//! The rounds of a calibration: lines of three axes that bring points nearest to the unit sphere.

/// A mean error that is as good as none, g.
const EXACT_G: f64 = 1e-9;
/// A round's relative gain below which actipy's rule stops.
const RELATIVE_GAIN: f64 = 1e-4;

/// `offset + gain x + slope t` for each axis, and how well they fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) offset: [f64; 3],
    pub(super) gain: [f64; 3],
    pub(super) slope: [f64; 3],
    /// Mean distance of the points from the unit sphere, g.
    pub(super) error: f64,
    /// Rounds done.
    pub(super) rounds: usize,
}

pub(super) fn norm(v: &[f64; 3]) -> f64 {
    (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt()
}

pub(super) fn mean_error(points: &[[f64; 3]]) -> f64 {
    points.iter().map(|p| (norm(p) - 1.0).abs()).sum::<f64>() / points.len() as f64
}

/// Weights and stopping rule of a fit.
pub(super) trait Rule {
    /// Weights of a round from the errors before it.
    fn weigh(&mut self, errors: &[f64], weights: &mut [f64]);
    /// Told the errors after a round, whether to stop.
    fn stop(&mut self, errors: &[f64], weights: &[f64], best: f64) -> bool;
    /// Whether the best round counts, not the last.
    const BEST: bool;
}

/// Weights that fall linearly to 0 at the 99.5th percentile of the errors.
pub(super) struct ActipyRule {
    sorted: Vec<f64>,
}

impl ActipyRule {
    pub(super) fn new(n: usize) -> Self {
        Self { sorted: Vec::with_capacity(n) }
    }
}

impl Rule for ActipyRule {
    const BEST: bool = true;

    fn weigh(&mut self, errors: &[f64], weights: &mut [f64]) {
        self.sorted.clear();
        self.sorted.extend_from_slice(errors);
        let largest = quantile(&mut self.sorted, 0.995);
        for (weight, error) in weights.iter_mut().zip(errors) {
            // All errors 0: every point is as good as any other.
            *weight = if largest > 0.0 { (1.0 - error / largest).max(0.0) } else { 1.0 };
        }
    }

    fn stop(&mut self, errors: &[f64], _weights: &[f64], best: f64) -> bool {
        let error = mean(errors);
        // The first round has nothing to compare with.
        error < EXACT_G || (best.is_finite() && best - error < RELATIVE_GAIN * best)
    }
}

/// Weights of one over the error.
pub(super) struct VanHeesRule {
    /// Weighted mean square of the round before; infinite before the first.
    square: f64,
}

impl VanHeesRule {
    pub(super) fn new() -> Self {
        Self { square: f64::INFINITY }
    }
}

impl Rule for VanHeesRule {
    const BEST: bool = false;

    fn weigh(&mut self, errors: &[f64], weights: &mut [f64]) {
        for (weight, error) in weights.iter_mut().zip(errors) {
            // The first round has no errors yet: weights 1.
            *weight = if self.square.is_finite() { (1.0 / error).min(100.0) } else { 1.0 };
        }
    }

    fn stop(&mut self, errors: &[f64], weights: &[f64], _best: f64) -> bool {
        let total: f64 = weights.iter().sum();
        let square = errors.iter().zip(weights).map(|(e, w)| w * e * e).sum::<f64>() / total;
        let stop = (square - self.square).abs() < 1e-10;
        self.square = square;
        stop
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Linear between order statistics, as NumPy's default.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    let position = (values.len() - 1) as f64 * q;
    let (_, &mut low, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    if above.is_empty() { low } else { low + (high - low) * position.fract() }
}

/// Fits lines to `points`; with `temperature`, one for each point, all nine numbers in turn.
pub(super) fn fit<R: Rule>(points: &[[f64; 3]], temperature: &[f64], max_rounds: usize, rule: &mut R) -> Lines {
    let mut lines = Lines { offset: [0.0; 3], gain: [1.0; 3], slope: [0.0; 3], error: f64::INFINITY, rounds: 0 };
    let mut best = lines;
    let mut current = points.to_vec();
    let mut errors: Vec<f64> = current.iter().map(|p| (norm(p) - 1.0).abs()).collect();
    let mut weights = vec![1.0; points.len()];
    for round in 1..=max_rounds {
        rule.weigh(&errors, &mut weights);
        let joint = if R::BEST && !temperature.is_empty() { newton(&current, temperature, &weights) } else { None };
        for k in 0..3 {
            let [a, b, c] = joint.map_or_else(|| line(&current, temperature, &weights, k), |lines| lines[k]);
            lines.offset[k] = a + lines.offset[k] * b;
            lines.gain[k] *= b;
            lines.slope[k] = c + lines.slope[k] * b;
        }
        for (i, (current, point)) in current.iter_mut().zip(points).enumerate() {
            let t = temperature.get(i).copied().unwrap_or(0.0);
            for k in 0..3 {
                current[k] = lines.offset[k] + lines.gain[k] * point[k] + lines.slope[k] * t;
            }
        }
        for (error, point) in errors.iter_mut().zip(&current) {
            *error = (norm(point) - 1.0).abs();
        }
        lines.error = mean(&errors);
        let stop = rule.stop(&errors, &weights, best.error);
        if lines.error < best.error || !R::BEST {
            best = lines;
        }
        best.rounds = round;
        if stop {
            break;
        }
    }
    best
}

/// Weighted least squares of the nearest points on the sphere on `1, current, temperature` for one axis.
fn line(current: &[[f64; 3]], temperature: &[f64], weights: &[f64], k: usize) -> [f64; 3] {
    let (mut w1, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut wt, mut wtt, mut wtx, mut wty) = (0.0, 0.0, 0.0, 0.0);
    for (i, (point, &w)) in current.iter().zip(weights).enumerate() {
        let x = point[k];
        let y = x / norm(point);
        w1 += w;
        wx += w * x;
        wy += w * y;
        wxx += w * x * x;
        wxy += w * x * y;
        if let Some(&t) = temperature.get(i) {
            wt += w * t;
            wtt += w * t * t;
            wtx += w * t * x;
            wty += w * t * y;
        }
    }
    let (mx, my, mt) = (wx / w1, wy / w1, wt / w1);
    let (sxx, sxy) = (wxx - wx * mx, wxy - wx * my);
    let (stt, stx, sty) = (wtt - wt * mt, wtx - wt * mx, wty - wt * my);
    // A temperature that does not vary, or only as the axis does, says nothing of its own.
    let determinant = sxx * stt - stx * stx;
    let (b, c) = if determinant > 1e-12 * sxx * stt {
        ((sxy * stt - sty * stx) / determinant, (sty * sxx - sxy * stx) / determinant)
    } else if sxx > 0.0 {
        (sxy / sxx, 0.0)
    } else {
        (1.0, 0.0)
    };
    [my - b * mx - c * mt, b, c]
}

/// One Gauss-Newton step of `sum w (|v| - 1)^2` in all nine numbers: lines `[a, b, c]` of the three axes. None where the
/// points do not determine it.
fn newton(current: &[[f64; 3]], temperature: &[f64], weights: &[f64]) -> Option<[[f64; 3]; 3]> {
    let mut normal = [[0.0; 10]; 9];
    for ((v, &t), &w) in current.iter().zip(temperature).zip(weights).filter(|(_, w)| **w > 0.0) {
        let length = norm(v);
        let mut row = [0.0; 10];
        for k in 0..3 {
            let along = v[k] / length;
            [row[3 * k], row[3 * k + 1], row[3 * k + 2]] = [along, along * v[k], along * t];
        }
        row[9] = 1.0 - length;
        for (i, equation) in normal.iter_mut().enumerate() {
            for (sum, value) in equation.iter_mut().zip(row) {
                *sum += w * row[i] * value;
            }
        }
    }
    let step = solve(normal)?;
    Some(std::array::from_fn(|k| [step[3 * k], 1.0 + step[3 * k + 1], step[3 * k + 2]]))
}

/// Solves nine symmetric equations, their right sides in the last column; None where one depends on the others.
fn solve(mut m: [[f64; 10]; 9]) -> Option<[f64; 9]> {
    let diagonal: [f64; 9] = std::array::from_fn(|i| m[i][i]);
    for i in 0..9 {
        // Without exchange of rows: the matrix is positive definite, or there is no answer.
        if m[i][i] <= 1e-10 * diagonal[i] || diagonal[i] <= 0.0 {
            return None;
        }
        let pivot = m[i];
        for row in &mut m[i + 1..] {
            let factor = row[i] / pivot[i];
            for (value, pivot) in row.iter_mut().zip(pivot).skip(i) {
                *value -= factor * pivot;
            }
        }
    }
    let mut x = [0.0; 9];
    for i in (0..9).rev() {
        let known: f64 = (i + 1..9).map(|j| m[i][j] * x[j]).sum();
        x[i] = (m[i][9] - known) / m[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points near the sphere, their temperatures and weights, none of which depends on another.
    fn cloud() -> (Vec<[f64; 3]>, Vec<f64>, Vec<f64>) {
        let wave = |i: usize, speed: f64| (i as f64 * speed).sin();
        let points = (0..60).map(|i| [1.1 * wave(i, 0.9) + 0.05, 0.9 * wave(i, 1.7), wave(i, 2.3) - 0.02]).collect();
        (points, (0..60).map(|i| 3.0 * wave(i, 0.41)).collect(), (0..60).map(|i| 1.5 + wave(i, 3.1)).collect())
    }

    #[test]
    fn a_line_leaves_errors_that_have_no_share_of_its_terms() {
        let (points, temperature, weights) = cloud();
        for warm in [&temperature[..], &[]] {
            for k in 0..3 {
                let [a, b, c] = line(&points, warm, &weights, k);
                let mut shares = [0.0; 3];
                for (i, (point, w)) in points.iter().zip(&weights).enumerate() {
                    let t = warm.get(i).copied().unwrap_or(0.0);
                    let error = point[k] / norm(point) - (a + b * point[k] + c * t);
                    [1.0, point[k], t].iter().zip(&mut shares).for_each(|(term, share)| *share += w * error * term);
                }
                assert!(shares.iter().all(|share| share.abs() < 1e-10), "axis {k}: {shares:?}");
                assert_eq!(c != 0.0, !warm.is_empty());
            }
        }
        let flat: Vec<[f64; 3]> = points.iter().map(|&[_, y, z]| [0.0, y, z]).collect();
        assert_eq!(line(&flat, &[], &weights, 0), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_step_of_newton_leaves_errors_that_have_no_share_of_its_terms() {
        let (points, temperature, weights) = cloud();
        let lines = newton(&points, &temperature, &weights).unwrap();
        let mut shares = [[0.0; 3]; 3];
        for ((v, t), w) in points.iter().zip(&temperature).zip(&weights) {
            let terms: [[f64; 3]; 3] = std::array::from_fn(|k| [1.0, v[k], *t].map(|term| term * v[k] / norm(v)));
            let step: f64 = (0..3)
                .map(|k| lines[k][0] * terms[k][0] + (lines[k][1] - 1.0) * terms[k][1] + lines[k][2] * terms[k][2])
                .sum();
            let error = 1.0 - norm(v) - step;
            shares
                .iter_mut()
                .flatten()
                .zip(terms.iter().flatten())
                .for_each(|(share, term)| *share += w * error * term);
        }
        assert!(shares.iter().flatten().all(|share| share.abs() < 1e-9), "{shares:?}");
    }

    #[test]
    fn a_norm_is_the_length_of_a_vector_and_an_error_its_distance_from_1() {
        assert_eq!((norm(&[2.0, 3.0, 6.0]), norm(&[-6.0, 2.0, -3.0])), (7.0, 7.0));
        assert_eq!(mean_error(&[[0.0, 0.0, 1.5], [0.25, 0.0, 0.0]]), 0.625);
    }

    #[test]
    fn the_quantile_is_numpys() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0, 4.0], 0.5), 2.5);
        assert_eq!(quantile(&mut [5.0], 0.995), 5.0);
        assert!((quantile(&mut (0..=100).map(f64::from).collect::<Vec<_>>(), 0.995) - 99.5).abs() < 1e-12);
    }

    #[test]
    fn dependent_equations_have_no_solution() {
        let mut m = [[0.0; 10]; 9];
        for (i, row) in m.iter_mut().enumerate() {
            row[i] = 2.0;
            row[9] = i as f64;
        }
        assert_eq!(solve(m).unwrap()[4], 2.0);
        m[3][3] = 0.0;
        assert!(solve(m).is_none());
    }
}
