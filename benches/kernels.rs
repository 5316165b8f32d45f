//! Time of the native signal kernels, without Python.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use imuspec::arrays::Signals;
use imuspec::signal::butterworth::Butterworth;
use imuspec::signal::calibrate::{Options, calibrate};
use imuspec::signal::filter::lowpass;
use imuspec::signal::grid::{Grid, Method};
use imuspec::signal::resample::Resampler;
use imuspec::signal::windows::Window;
use imuspec::spectral::frames::Frames;
use imuspec::spectral::image::definition::{Norm, Precision, Recipe};
use imuspec::spectral::image::levels::Tone;
use imuspec::spectral::image::painter::Painter;
use imuspec::spectral::image::resize::Resize;
use imuspec::spectral::lanes::Path;
use imuspec::spectral::lanes::fft::Scale;
use imuspec::spectral::magnitude::features::{Moment, Resolution, log_magnitudes};
use imuspec::spectral::magnitude::loss::{LossOut, loss};
use imuspec::spectral::magnitude::steps::Weights;
use imuspec::spectral::stft::{Mode, Spectrogram};
use imuspec::spectral::window;

/// Numbers that look like acceleration, the same ones every time.
fn noise(n: usize) -> Vec<f32> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    std::iter::repeat_with(next).take(n).collect()
}

fn filters(c: &mut Criterion) {
    const N: usize = 1_000_000;
    let (axis, filter) = (noise(N), Butterworth::lowpass(8, 15.0, 100.0).unwrap());
    let axes = Signals::new(&axis, 0, &[3, N], &[0, 1]).unwrap();
    let mut out = vec![0.0; 3 * N];
    let mut group = c.benchmark_group("signal");
    group.throughput(Throughput::Elements(3 * N as u64)).sample_size(20);
    group.bench_function("lowpass", |b| b.iter(|| lowpass(&axes, black_box(&mut out), &filter)));
    let time: Vec<i64> = (0..N as i64).map(|i| i * 10_101_010).collect();
    let resampler = Resampler::new(Grid::new(0, 30.0).unwrap(), Method::Linear, 1.0, 100.0).unwrap();
    let mut points: [Vec<f32>; 3] = Default::default();
    group.bench_function("resample", |b| {
        b.iter(|| {
            points.iter_mut().for_each(Vec::clear);
            resampler.clone().push(&time, [&axis, &axis, &axis], black_box(&mut points)).unwrap()
        });
    });
}

fn calibration(c: &mut Criterion) {
    let numbers = noise(3 * 30_000);
    let windows: Vec<Window> = (0i64..)
        .zip(numbers.as_chunks::<3>().0)
        .map(|(i, v)| {
            let v = v.map(f64::from);
            let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            let mean = std::array::from_fn(|k| v[k] / length * [1.02, 0.97, 1.01][k] + [0.03, -0.02, 0.01][k]);
            Window { start: i * 10_000_000_000, n: 300, mean, sd: [0.005; 3], temperature: 25.0 }
        })
        .collect();
    c.bench_function("calibrate 30,000 windows", |b| b.iter(|| calibrate(black_box(&windows), &Options::default())));
}

/// Batches of 256 windows of three axes of 500 samples; `IMUSPEC_CPU` and `IMUSPEC_THREADS` count.
fn spectrograms(c: &mut Criterion) {
    let x = noise(256 * 3 * 500);
    let windows = Signals::contiguous(&x, 500).unwrap();
    let mut group = c.benchmark_group("spectral");
    group.sample_size(20);
    for (nfft, noverlap) in [(32, 16), (64, 60), (128, 120), (256, 252), (256, 254)] {
        let scale = Scale { power: 0.01, double: true };
        let hann = window::by_name("hann", nfft).unwrap();
        let frames = Frames::<f32>::new(&hann, nfft, nfft - noverlap, None, scale).unwrap();
        let spectrogram = Spectrogram::new(frames, Mode::Decibel, false);
        let mut out = vec![0.0; windows.count() * spectrogram.size(500)];
        group.bench_function(format!("spectrogram {nfft}/{noverlap}"), |b| {
            b.iter(|| spectrogram.run(&windows, black_box(&mut out)).unwrap());
        });
    }
    for (nfft, noverlap) in [(64, 60), (128, 116), (256, 254)] {
        let recipe = Recipe {
            nfft,
            noverlap,
            tone: Tone::Greys,
            norm: Norm::AxisWindow,
            resize: Resize::Canvas,
            size: Some([96, 128]),
            floor_db: None,
            precision: Precision::Auto,
            one_sided: true,
            sunk: false,
            mask: false,
        };
        let painter = Painter::new(recipe, 500).unwrap();
        let mut bytes = vec![0u8; 256 * 3 * 96 * 128];
        group.bench_function(format!("pictures uint8 {nfft}/{noverlap}"), |b| {
            b.iter(|| painter.draw(&windows, 3, black_box(&mut bytes)).unwrap());
        });
        let mut floats = vec![0f32; bytes.len()];
        group.bench_function(format!("pictures float32 {nfft}/{noverlap}"), |b| {
            b.iter(|| painter.draw(&windows, 3, black_box(&mut floats)).unwrap());
        });
    }
    group.finish();
}

/// Patches of 300 samples: 7,200 of prediction and target for the loss, 14,400 for the features.
fn magnitudes(c: &mut Criterion) {
    const N: usize = 7200;
    let x = noise(2 * N * 300);
    let (prediction, target) = x.split_at(N * 300);
    let resolutions = [Resolution { nfft: 32, hop: 16, floor: 0.1, cap: false }];
    let all = Signals::contiguous(&x, 300).unwrap();
    let [prediction, target] = [prediction, target].map(|x| Signals::contiguous(x, 300).unwrap());
    let mut group = c.benchmark_group("magnitude");
    group.sample_size(20);
    let mut features = vec![0.0; 2 * N * resolutions[0].bins()];
    group.bench_function("LMM of 274 k frames", |b| {
        b.iter(|| {
            let out = vec![black_box(&mut features[..])];
            log_magnitudes(&all, &resolutions, Moment::Mean, out, Path::best()).unwrap();
        });
    });
    let (mut terms, mut gradient) = (vec![0.0; 3 * N], vec![0.0; 300 * N]);
    let weights = Weights { lmm: Some(1.0), lmv: None, unbiased: false, mse: None };
    group.bench_function("LMM loss and gradient of 137 k frames", |b| {
        b.iter(|| {
            let out = LossOut { terms: &mut terms, gradient: Some(black_box(&mut gradient)) };
            loss(&prediction, &target, &resolutions, weights, out, Path::best()).unwrap();
        });
    });
    group.finish();
}

criterion_group!(kernels, filters, calibration, spectrograms, magnitudes);
criterion_main!(kernels);
