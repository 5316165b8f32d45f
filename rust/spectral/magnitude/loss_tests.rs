use super::super::features::{Moment, definition};
use super::*;

fn signal(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|t| (seed + 0.37 * t as f64).sin() + 0.4 * (seed * 7.0 + 1.9 * t as f64).cos() + 0.2 * seed).collect()
}

/// The signal with 0.1 times numbers from -0.5 to 0.5, the same ones every time.
fn noisy(signal: Vec<f64>) -> Vec<f64> {
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
    });
    signal.iter().zip(noise).map(|(v, n)| v + 0.1 * n).collect()
}

fn run<T: Real>(
    prediction: &[T],
    target: &[T],
    time: usize,
    (resolutions, weights): (&[Resolution], Weights),
    path: Path,
) -> (Vec<T>, Vec<T>) {
    let n = target.len() / time;
    let (mut terms, mut gradient) = (vec![T::default(); n * N_TERMS], vec![T::default(); n * time]);
    let (p, t) = (Signals::contiguous(prediction, time).unwrap(), Signals::contiguous(target, time).unwrap());
    let out = LossOut { terms: &mut terms, gradient: Some(&mut gradient) };
    loss(&p, &t, resolutions, weights, out, path).unwrap();
    (terms, gradient)
}

fn plain_terms(prediction: &[f64], target: &[f64], resolutions: &[Resolution], unbiased: bool) -> [f64; 3] {
    let spread = if unbiased { Moment::UnbiasedVariance } else { Moment::Variance };
    let squared = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64;
    let total = |moment| -> f64 {
        resolutions.iter().map(|r| squared(&definition(prediction, r, moment), &definition(target, r, moment))).sum()
    };
    [total(Moment::Mean), total(spread), squared(prediction, target)]
}

fn resolution(nfft: usize) -> Resolution {
    Resolution { nfft, hop: nfft / 2, floor: 0.1, cap: false }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn terms_and_gradient_are_those_of_the_definition_on_every_path() {
    let time = 75;
    let (prediction, target) = (signal(time * 3, 0.3), signal(time * 3, 1.1));
    let weights = Weights { lmm: Some(1.0), lmv: Some(0.3), unbiased: true, mse: Some(0.5) };
    let odd = Resolution { nfft: 21, hop: 8, floor: 0.05, cap: false };
    for resolutions in [vec![resolution(16)], vec![resolution(32), resolution(64)], vec![odd]] {
        for path in Path::available() {
            let (terms, gradient) = run(&prediction, &target, time, (&resolutions, weights), path);
            for row in 0..3 {
                let (p, t) = (&prediction[row * time..][..time], &target[row * time..][..time]);
                let want = plain_terms(p, t, &resolutions, true);
                (0..3).for_each(|i| assert!((terms[row * 3 + i] - want[i]).abs() < 1e-10, "{path:?} {i}"));
                let total = |p: &[f64]| {
                    let [lmm, lmv, mse] = plain_terms(p, t, &resolutions, true);
                    lmm + 0.3 * lmv + 0.5 * mse
                };
                for at in [0, 1, 17, 40, time - 1] {
                    let step = |h: f64| {
                        let mut moved = p.to_vec();
                        moved[at] += h;
                        total(&moved)
                    };
                    let slope = (step(1e-6) - step(-1e-6)) / 2e-6;
                    let got = gradient[row * time + at];
                    assert!(
                        (got - slope).abs() < 1e-6 * (1.0 + slope.abs()),
                        "{path:?} row {row} at {at}: {got} {slope}"
                    );
                }
            }
        }
    }
}

#[test]
fn float32_agrees_with_float64() {
    let time = 300;
    // Two tones alone leave magnitudes down to 7e-6, whose direction, and so the gradient, float32 does not carry in any
    // form of the loss; what a sensor adds lifts them.
    let (prediction, target) = (noisy(signal(time * 18, 0.3)), signal(time * 18, 1.1));
    let narrow = |x: &[f64]| x.iter().map(|&v| v as f32).collect::<Vec<_>>();
    let weights = Weights { lmm: Some(1.0), lmv: Some(0.1), mse: Some(1.0), unbiased: false };
    let resolutions = [16, 32, 64, 128].map(resolution);
    let (terms, gradient) = run(&prediction, &target, time, (&resolutions, weights), Path::best());
    for path in Path::available() {
        let (t32, g32) = run(&narrow(&prediction), &narrow(&target), time, (&resolutions, weights), path);
        let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        t32.iter()
            .zip(&terms)
            .for_each(|(a, b)| assert!((f64::from(*a) - b).abs() < 1e-4 * b.abs().max(0.1), "{a} {b}"));
        g32.iter().zip(&gradient).for_each(|(a, b)| assert!((f64::from(*a) - b).abs() < 1e-4 * largest, "{a} {b}"));
    }
}

#[test]
fn silence_has_no_gradient_even_without_a_floor_above_it() {
    let (zeros, target) = (vec![0.0f64; 300], signal(300, 1.0));
    for cap in [false, true] {
        let resolutions = [Resolution { cap, ..resolution(32) }];
        let weights = Weights { lmm: Some(1.0), lmv: Some(1.0), ..Weights::default() };
        let (terms, gradient) = run(&zeros, &target, 300, (&resolutions, weights), Path::best());
        assert!(gradient.iter().all(|&g| g == 0.0), "cap {cap}");
        assert_eq!(terms[0].is_finite(), !cap);
    }
}

#[test]
fn a_weight_of_zero_reports_its_term_and_leaves_the_gradient_alone() {
    let (prediction, target) = (signal(300, 0.3), signal(300, 1.1));
    let resolutions = [resolution(32)];
    let one = Weights { lmm: Some(1.0), ..Weights::default() };
    let all = Weights { lmm: Some(1.0), lmv: Some(0.0), mse: Some(0.0), unbiased: false };
    let (terms, gradient) = run(&prediction, &target, 300, (&resolutions, all), Path::best());
    let (alone, same) = run(&prediction, &target, 300, (&resolutions, one), Path::best());
    assert!(gradient == same && terms[0] == alone[0] && terms[1] > 0.0 && terms[2] > 0.0);
    assert_eq!(alone[1..], [0.0, 0.0]);
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let x = signal(600, 0.1);
    let (two, one) = (Signals::contiguous(&x, 300).unwrap(), Signals::contiguous(&x, 600).unwrap());
    let mut terms = [0.0; 6];
    let out = LossOut { terms: &mut terms, gradient: None };
    let outcome = loss(&two, &one, &[resolution(32)], Weights::default(), out, Path::Plain);
    assert!(outcome.unwrap_err().to_string().starts_with("prediction: expected 1 signals of 600"));
    let out = LossOut { terms: &mut terms[..3], gradient: None };
    assert!(loss(&two, &two, &[resolution(32)], Weights::default(), out, Path::Plain).is_err());
}
