use super::*;
use crate::spectral::lanes::{Cpu, Kernel, Path, dispatch};

struct Run<'a, T: Real> {
    plan: &'a Plan<T>,
    source: &'a [T],
    lanes: usize,
    complex: bool,
}
impl<T: Real> Kernel<T> for Run<'_, T> {
    type Output = Vec<T>;
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) -> Vec<T> {
        let Scratch { mut arena, mut out } = self.plan.scratch();
        if self.complex {
            self.plan.complex(cpu, self.source, self.lanes, &mut arena, &mut out);
        } else {
            self.plan.power(cpu, self.source, self.lanes, &mut arena, &mut out);
        }
        out.to_vec()
    }
}

/// Uniform in -1..1, from a multiplicative congruential generator.
fn noise(n: usize) -> Vec<f64> {
    let mut state = 88_172_645_463_325_252_u64;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// The definition.
fn dft(x: &[f64], nfft: usize) -> Vec<[f64; 2]> {
    let bin = |b: usize| {
        x.iter().enumerate().fold([0.0; 2], |[re, im], (k, v)| {
            let angle = 2.0 * std::f64::consts::PI * ((b * k) % nfft) as f64 / nfft as f64;
            [re + v * angle.cos(), im - v * angle.sin()]
        })
    };
    (0..=nfft / 2).map(bin).collect()
}

fn agrees_with_definition<T: Real>(tolerance: f64) {
    for (length, nfft) in [
        (8, 8),
        (9, 9),
        (16, 16),
        (32, 32),
        (31, 31),
        (64, 64),
        (100, 100),
        (128, 128),
        (20, 32),
        (256, 256),
        (512, 512),
    ] {
        let window: Vec<f64> = noise(length).iter().map(|v| v + 2.0).collect();
        let source: Vec<T> = noise(length + 15).iter().map(|&v| T::narrow(v)).collect();
        let plan = Plan::<T>::new(&window, nfft, |k| k, Scale { power: 0.5, double: true }).unwrap();
        let lanes = T::LANES - 1;
        for path in Path::available() {
            let run = |complex| dispatch(path, Run { plan: &plan, source: &source, lanes, complex });
            let (power, complex) = (run(false), run(true));
            for lane in 0..lanes {
                let frame: Vec<f64> = window.iter().zip(&source[lane..]).map(|(w, v)| w * v.widen()).collect();
                let truth = dft(&frame, nfft);
                let peak = truth.iter().fold(0.0_f64, |m, [re, im]| m.max(re.hypot(*im)));
                for (bin, [re, im]) in truth.iter().enumerate() {
                    let at = |part: usize| complex[(2 * bin + part) * T::LANES + lane].widen();
                    assert!((at(0) - re).abs() <= tolerance * peak, "{path:?} nfft {nfft} bin {bin} real");
                    assert!((at(1) - im).abs() <= tolerance * peak, "{path:?} nfft {nfft} bin {bin} imaginary");
                    let edge = if bin == 0 || 2 * bin == nfft { 0.5 } else { 1.0 };
                    let error = power[bin * T::LANES + lane].widen() - edge * (re * re + im * im);
                    assert!(error.abs() <= 2.0 * tolerance * peak * peak, "{path:?} nfft {nfft} bin {bin} power");
                }
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn float64_agrees_with_the_definition_on_every_path() {
    agrees_with_definition::<f64>(4e-15);
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn float32_agrees_with_the_definition_on_every_path() {
    agrees_with_definition::<f32>(4e-7);
}

#[test]
fn offsets_choose_where_a_frame_reads() {
    let source: Vec<f32> = (0..64 * 16).map(|i| ((i / 16) % 5) as f32 * (1.0 + (i % 16) as f32)).collect();
    let plan = Plan::<f32>::new(&[1.0; 64], 64, |k| 16 * k, Scale { power: 1.0, double: false }).unwrap();
    let power = dispatch(Path::best(), Run { plan: &plan, source: &source, lanes: 16, complex: false });
    for bin in power.chunks(16).take(plan.bins()) {
        for (lane, p) in bin.iter().enumerate() {
            let gain = (1.0 + lane as f32).powi(2);
            assert!((p - bin[0] * gain).abs() <= 1e-5 * gain * power[0], "{lane}");
        }
    }
}

#[test]
fn a_window_longer_than_the_transform_is_refused() {
    let error = Plan::<f32>::new(&[1.0; 9], 8, |k| k, Scale { power: 1.0, double: false }).err().unwrap();
    assert_eq!(error.to_string(), "window: expected 1 to nfft = 8 samples, got 9");
}
