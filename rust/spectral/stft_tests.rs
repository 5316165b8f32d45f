use super::*;
use crate::spectral::frames::Detrend;
use crate::spectral::lanes::fft::Scale;
use crate::spectral::window;

/// The definition: frames of `x`, less their mean if asked, windowed, transformed one by one in float64.
fn definition(x: &[f64], w: &[f64], nfft: usize, hop: usize, detrend: bool) -> Vec<Vec<f64>> {
    let frame = |start: usize| {
        let part = &x[start..start + w.len()];
        let mean = if detrend { part.iter().sum::<f64>() / w.len() as f64 } else { 0.0 };
        let bin = |b: usize| {
            let [re, im] = part.iter().zip(w).enumerate().fold([0.0; 2], |[re, im], (k, (v, w))| {
                let angle = 2.0 * std::f64::consts::PI * ((b * k) % nfft) as f64 / nfft as f64;
                let v = (v - mean) * w;
                [re + v * angle.cos(), im - v * angle.sin()]
            });
            re * re + im * im
        };
        (0..=nfft / 2).map(bin).collect()
    };
    (0..=x.len() - w.len()).step_by(hop).map(frame).collect()
}

fn signal(n: usize) -> Vec<f64> {
    (0..n).map(|i| 1.0 + 0.3 * (i as f64 * 0.37).sin() + 0.1 * ((i * i) as f64 * 0.01).cos()).collect()
}

fn check<T: Real>(n: usize, (length, nfft, hop): (usize, usize, usize), detrend: Option<Detrend>, tolerance: f64) {
    let x = signal(n);
    let w = window::by_name("hann", length).unwrap();
    let narrow: Vec<T> = x.iter().map(|&v| T::narrow(v)).collect();
    let exact: Vec<f64> = narrow.iter().map(|v| v.widen()).collect();
    let frames = Frames::<T>::new(&w, nfft, hop, detrend, Scale { power: 1.0, double: false }).unwrap();
    let spectrogram = Spectrogram::new(frames, Mode::Power, false);
    let mut out = vec![T::narrow(-1.0); spectrogram.size(n)];
    spectrogram.run(&Signals::contiguous(&narrow, n).unwrap(), &mut out).unwrap();
    let truth = definition(&exact, &w, nfft, hop, detrend.is_some());
    assert_eq!(out.len(), truth.len() * (nfft / 2 + 1));
    for (t, frame) in truth.iter().enumerate() {
        let peak = frame.iter().copied().fold(0.0, f64::max);
        for (b, want) in frame.iter().enumerate() {
            let got = out[b * truth.len() + t].widen();
            assert!((got - want).abs() <= tolerance * peak, "{length}/{nfft}/{hop} bin {b} frame {t}: {got} {want}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn frames_of_every_overlap_agree_with_the_definition() {
    for shape in
        [(32, 32, 16), (64, 64, 4), (128, 128, 12), (16, 32, 1), (8, 8, 11), (33, 33, 2), (64, 64, 64), (16, 16, 8)]
    {
        for n in [shape.0, shape.0 + 1, 300] {
            check::<f64>(n, shape, None, 1e-14);
            check::<f32>(n, shape, None, 1e-6);
        }
        check::<f64>(200, shape, Some(Detrend::Constant), 1e-13);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_signal_longer_than_a_chunk_agrees_with_the_definition() {
    check::<f32>(3000, (32, 32, 2), None, 1e-6);
    check::<f32>(20_000, (64, 64, 48), None, 1e-6);
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_batch_too_large_for_the_cache_equals_its_signals_alone() {
    let (n, w) = (500, window::by_name("hann", 256).unwrap());
    let frames = Frames::<f32>::new(&w, 256, 1, None, Scale { power: 1.0, double: true }).unwrap();
    let spectrogram = Spectrogram::new(frames, Mode::Decibel, false);
    let size = spectrogram.size(n);
    let count = LARGE.div_ceil(size_of::<f32>() * size);
    let x: Vec<f32> = signal(count * n).iter().map(|&v| v as f32).collect();
    for start in [0, 1] {
        // Of both starts one at least is no multiple of a cache line, nor are most signals' ends.
        let mut out = vec![0.0; start + count * size];
        spectrogram.run(&Signals::contiguous(&x, n).unwrap(), &mut out[start..]).unwrap();
        for (x, out) in x.chunks(n).zip(out[start..].chunks(size)) {
            let mut alone = vec![0.0; size];
            spectrogram.run(&Signals::contiguous(x, n).unwrap(), &mut alone).unwrap();
            assert!(alone == out);
        }
    }
}

#[test]
fn a_signal_shorter_than_a_frame_has_no_frames() {
    let frames = Frames::<f32>::new(&[1.0; 32], 32, 4, None, Scale { power: 1.0, double: true }).unwrap();
    assert_eq!((frames.count(31), frames.count(32), frames.count(36)), (0, 1, 2));
    let spectrogram = Spectrogram::new(frames, Mode::Power, false);
    spectrogram.run(&Signals::contiguous(&[0.0; 62], 31).unwrap(), &mut []).unwrap();
    let error = spectrogram.run(&Signals::contiguous(&[0.0; 64], 32).unwrap(), &mut [0.0; 3]).unwrap_err();
    assert_eq!(error.to_string(), "out: expected [2, 17] items, got 3");
}

#[test]
fn decibels_are_the_logarithm_of_the_power_also_where_it_vanishes() {
    let w = window::by_name("hann", 32).unwrap();
    let scale = Scale { power: 1.0, double: true };
    let mut x: Vec<f32> = signal(333).iter().map(|&v| v as f32).collect();
    x[100..200].fill(0.0);
    let run = |mode| {
        let spectrogram = Spectrogram::new(Frames::<f32>::new(&w, 32, 3, None, scale).unwrap(), mode, false);
        let mut out = vec![0.0; spectrogram.size(x.len())];
        spectrogram.run(&Signals::contiguous(&x, x.len()).unwrap(), &mut out).unwrap();
        out
    };
    let (power, decibel, magnitude) = (run(Mode::Power), run(Mode::Decibel), run(Mode::Magnitude));
    assert!(power.contains(&0.0));
    for ((p, d), m) in power.iter().zip(&decibel).zip(&magnitude) {
        let want = 10.0 * f64::from(*p).log10();
        assert!(f64::from(*d) == want || (f64::from(*d) - want).abs() < 4e-5, "{p} {d} {want}");
        assert_eq!(*m, p.sqrt());
    }
}
