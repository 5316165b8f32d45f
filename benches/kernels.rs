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

criterion_group!(kernels, filters, calibration);
criterion_main!(kernels);
