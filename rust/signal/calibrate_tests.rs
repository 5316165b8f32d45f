use super::*;

/// Windows of a device with these errors, its postures spread evenly over the sphere (Fibonacci's lattice).
fn windows(n: usize, gain: [f64; 3], offset: [f64; 3], slope: [f64; 3]) -> Vec<Window> {
    (0..n)
        .map(|i| {
            let z = 1.0 - 2.0 * (i as f64 + 0.5) / n as f64;
            let (r, phi) = ((1.0 - z * z).sqrt(), i as f64 * 2.399_963);
            let v = [r * phi.cos(), r * phi.sin(), z];
            let temperature = 27.0 + 6.0 * (i as f64 * 0.37).sin();
            let mean = std::array::from_fn(|k| offset[k] + gain[k] * v[k] + slope[k] * (temperature - 27.0));
            Window { start: i as i64 * 10_000_000_000, n: 1000, mean, sd: [0.001; 3], temperature }
        })
        .collect()
}

#[test]
fn known_errors_are_undone_by_every_method() {
    for method in [Method::Actipy, Method::VanHees] {
        for temperature in [false, true] {
            let slope = if temperature { [0.002, -0.001, 0.0] } else { [0.0; 3] };
            let mut table = windows(500, [1.03, 0.98, 1.01], [0.02, -0.04, 0.03], slope);
            let options = Options { method, temperature, ..Options::default() };
            let calibration = calibrate(&table, &options).unwrap();
            assert!(calibration.ok, "{method:?}: {}", calibration.reason);
            let mean = table.iter().map(|w| w.temperature).sum::<f64>() / 500.0;
            assert_eq!(calibration.reference_temperature.is_nan(), !temperature);
            // GGIR's rule leaves the first window out.
            assert!(!temperature || (calibration.reference_temperature - mean).abs() < 0.02);
            calibration.apply_to_windows(&mut table);
            let error = table.iter().map(|w| (norm(&w.mean) - 1.0).abs()).fold(0.0, f64::max);
            assert!(error < 1e-3, "{method:?} {temperature}: {error} in {} rounds", calibration.n_iterations);
            assert!((table[0].sd[0] - 0.001 * calibration.gain[0]).abs() < 1e-12);
        }
    }
}

#[test]
fn applying_to_samples_is_the_formula_and_keeps_missing_ones() {
    let calibration = Calibration {
        offset: [0.1, 0.0, 0.0],
        gain: [2.0, 1.0, 1.0],
        temperature_slope: [0.01, 0.0, 0.0],
        reference_temperature: 20.0,
        ..Calibration::identity()
    };
    let mut x = [1.0, f32::NAN, -0.3];
    calibration.apply_in_place(0, &mut x, &[30.0, 30.0, 17.0]);
    let warmed = |v: f64, t: f64| (0.1 + 2.0 * v) as f32 + (0.01 * (t - 20.0)) as f32;
    assert!(x[0] == warmed(1.0, 30.0) && x[1].is_nan() && x[2] == warmed(f64::from(-0.3f32), 17.0), "{x:?}");
    assert!((x[0] - 2.2).abs() < 1e-6);
    let mut x = [1.0, 2.0];
    calibration.apply_in_place::<f32>(1, &mut x, &[]);
    assert_eq!(x, [1.0, 2.0]);
    let samples = [1.0, -0.3, 0.5, 0.25, 0.1, 0.2];
    let (x, warmth) = (Signals::contiguous(&samples, 2).unwrap(), Signals::contiguous(&[30.0, 17.0], 2).unwrap());
    let mut out = [0.0; 6];
    calibration.apply(&x, Some(&warmth), &mut out).unwrap();
    assert_eq!(out, [warmed(1.0, 30.0), warmed(f64::from(-0.3f32), 17.0), 0.5, 0.25, 0.1, 0.2]);
    assert!(
        calibration.apply(&x, None, &mut out).is_err() && calibration.apply(&x, Some(&warmth), &mut out[..3]).is_err()
    );
    let three = Signals::contiguous(&[30.0, 17.0, 3.0], 3).unwrap();
    assert!(calibration.apply(&x, Some(&three), &mut out).is_err());
}

#[test]
fn ggirs_rule_drops_the_first_window_repeats_and_means_beyond_2_g() {
    let mut table = windows(100, [1.02; 3], [0.01; 3], [0.0; 3]);
    let count =
        |table: &[Window], method| calibrate(table, &Options { method, ..Options::default() }).unwrap().n_windows;
    assert_eq!((count(&table, Method::Actipy), count(&table, Method::VanHees)), (100, 99));
    table[50] = Window { start: table[50].start, ..table[49] };
    table[70].mean = [2.0, 0.0, 0.0];
    assert_eq!((count(&table, Method::Actipy), count(&table, Method::VanHees)), (100, 97));
    // The same mean with another deviation is another window.
    table[50].sd = [0.002; 3];
    assert_eq!(count(&table, Method::VanHees), 98);
}
