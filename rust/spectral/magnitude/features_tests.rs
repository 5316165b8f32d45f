use super::*;

fn noise(n: usize) -> Vec<f64> {
    let mut state = 7u64;
    (0..n)
        .map(|t| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / 1e7 - 0.8 + (0.3 * t as f64).sin()
        })
        .collect()
}

fn features<T: Real>(x: &[T], time: usize, resolutions: &[Resolution], moment: Moment, path: Path) -> Vec<Vec<T>> {
    let signals = Signals::contiguous(x, time).unwrap();
    let mut out: Vec<_> = resolutions.iter().map(|r| vec![T::default(); signals.count() * r.bins()]).collect();
    log_magnitudes(&signals, resolutions, moment, out.iter_mut().map(Vec::as_mut_slice).collect(), path).unwrap();
    out
}

fn resolution(nfft: usize) -> Resolution {
    Resolution { nfft, hop: nfft / 2, floor: 0.1, cap: false }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn every_path_length_and_moment_agrees_with_the_definition() {
    for (time, count) in [(300, 19), (1, 3), (31, 5), (1300, 2)] {
        let x = noise(time * count);
        let narrow: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        let mut resolutions: Vec<_> = [16, 32, 64, 128, 20].map(resolution).into();
        resolutions.push(Resolution { nfft: 32, hop: 5, floor: 2.0, cap: true });
        for moment in [Moment::Mean, Moment::Variance] {
            for path in Path::available() {
                let got = features(&x, time, &resolutions, moment, path);
                let got_narrow = features(&narrow, time, &resolutions, moment, path);
                for (r, (got, got_narrow)) in resolutions.iter().zip(got.iter().zip(&got_narrow)) {
                    let want: Vec<f64> = x.chunks(time).flat_map(|x| definition(x, r, moment)).collect();
                    for ((&w, &g), &n) in want.iter().zip(got).zip(got_narrow) {
                        if w < -60.0 {
                            continue; // one frame: its variance is rounding noise, which the cap lets through
                        }
                        assert!((w - g).abs() < 1e-11, "{path:?} {moment:?} {r:?} time {time}: {w} {g}");
                        assert!((w - f64::from(n)).abs() < 3e-5, "{path:?} {moment:?} {r:?} time {time}: {w} {n}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_unbiased_variance_divides_by_one_less() {
    let x = noise(300);
    for path in Path::available() {
        let got = features(&x, 300, &[resolution(64)], Moment::UnbiasedVariance, path);
        let want = definition(&x, &resolution(64), Moment::UnbiasedVariance);
        assert!(got[0].iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-11));
    }
    let signals = Signals::contiguous(&x[..8], 8).unwrap();
    let mut out = vec![0.0; 33];
    let outcome = log_magnitudes(&signals, &[resolution(64)], Moment::UnbiasedVariance, vec![&mut out], Path::Plain);
    assert!(outcome.unwrap_err().to_string().starts_with("x: expected 2 or more frames"));
}

#[test]
fn a_missing_sample_makes_its_signal_missing_and_no_other() {
    let mut x: Vec<f32> = noise(600).iter().map(|&v| v as f32).collect();
    let clean = features(&x, 300, &[resolution(32)], Moment::Mean, Path::best());
    x[350] = f32::NAN;
    let got = features(&x, 300, &[resolution(32)], Moment::Mean, Path::best());
    assert_eq!(got[0][..17], clean[0][..17]);
    assert!(got[0][17..].iter().all(|v| v.is_nan()));
}

#[test]
fn bad_resolutions_are_refused_by_name() {
    let signals = Signals::contiguous(&[1.0f32; 300], 300).unwrap();
    let mut out = vec![0.0; 17];
    for (r, message) in [
        (Resolution { nfft: 1, ..resolution(32) }, "nfft"),
        (Resolution { hop: 0, ..resolution(32) }, "hop"),
        (Resolution { floor: 0.0, ..resolution(32) }, "floor"),
        (Resolution { floor: f64::NAN, ..resolution(32) }, "floor"),
        (resolution(64), "out"),
    ] {
        let outcome = log_magnitudes(&signals, &[r], Moment::Mean, vec![&mut out], Path::Plain);
        assert!(outcome.unwrap_err().to_string().starts_with(message));
    }
}
