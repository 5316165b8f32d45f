use super::*;

/// A reproducible signal: three tones, steps, and noise of a linear congruence.
fn signal(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..n)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let t = i as f32;
            let noise = (state >> 8) as f32 / 16_777_216.0 - 0.5;
            (t * 0.031).sin() + 0.3 * (t * 0.9).cos() + noise + ((i / 5000) % 3) as f32
        })
        .collect()
}

/// The definition: sections one after another, transposed direct form II, over the whole padded run.
fn definition(x: &[f32], filter: &Butterworth) -> Vec<f64> {
    let n = x.len();
    let pad = filter.padding().min(n - 1);
    let value = |i: usize| f64::from(if x[i].is_nan() { 0.0 } else { x[i] });
    let mut y: Vec<f64> = (1..=pad).rev().map(|i| 2.0 * value(0) - value(i)).collect();
    y.extend((0..n).map(value));
    y.extend((1..=pad).map(|i| 2.0 * value(n - 1) - value(n - 1 - i)));
    for _ in 0..2 {
        for [b0, b1, b2, _, a1, a2] in filter.sos() {
            let dc = (b0 + b1 + b2) / (1.0 + a1 + a2);
            let mut z2 = (b2 - a2 * dc) * y[0];
            let mut z1 = (b1 - a1 * dc) * y[0] + z2;
            for v in &mut y {
                let out = b0 * *v + z1;
                z1 = b1 * *v - a1 * out + z2;
                z2 = b2 * *v - a2 * out;
                *v = out;
            }
        }
        y.reverse();
    }
    y[pad..pad + n].to_vec()
}

fn farthest(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn the_fast_path_equals_the_definition_for_every_length_and_order() {
    for order in [1, 2, 3, 4, 5, 8, 11] {
        let filter = Butterworth::lowpass(order, 15.0, 100.0).unwrap();
        for n in [1, 2, 5, 27, 28, 300, 4095, 4097, 20_000] {
            let x = signal(n, 7);
            let mut out = vec![0.0; n];
            lowpass(&Signals::contiguous(&x, n).unwrap(), &mut out, &filter).unwrap();
            let off = farthest(&out, &definition(&x, &filter));
            assert!(off < 5e-7, "order {order}, {n} samples: {off}");
        }
    }
}

fn filter_all(path: Path, filter: &Butterworth, planar: &mut [f32]) {
    let samples = &mut vec![Row::ZERO; planar.len() / LANES];
    filter_on(path, filter, Batch { planar, samples, used: LANES, keep: 0 });
}

#[test]
fn some_series_from_some_sample_on_are_those_of_all() {
    for order in [1, 2, 5, 6, 8, 11] {
        let filter = Butterworth::lowpass(order, 15.0, 100.0).unwrap();
        for n in [1, 2, 3, 8, 61, 64] {
            let planar = signal(LANES * n, 5);
            for path in Path::available() {
                let mut all = planar.clone();
                filter_all(path, &filter, &mut all);
                for (used, keep) in [(1, 0), (3, n / 2), (4, n - 1), (5, n / 3), (8, n - 1)] {
                    let (mut some, samples) = (planar.clone(), &mut vec![Row::ZERO; n]);
                    filter_on(path, &filter, Batch { planar: &mut some, samples, used, keep });
                    for lane in 0..used {
                        let span = lane * n + keep..(lane + 1) * n;
                        assert_eq!(some[span.clone()], all[span], "{path:?}, order {order}, {n} from {keep}, {lane}");
                    }
                }
            }
        }
    }
}

#[test]
fn plain_and_vector_code_agree() {
    let filter = Butterworth::lowpass(8, 10.0, 50.0).unwrap();
    let n = 700;
    let planar = signal(LANES * n, 3);
    let mut plain = planar.clone();
    let [first, vectors @ ..] = &Path::available()[..] else { unreachable!("the plain path is always there") };
    filter_all(*first, &filter, &mut plain);
    let mut fused: Option<Vec<f32>> = None;
    for &path in vectors {
        let mut got = planar.clone();
        filter_all(path, &filter, &mut got);
        let off = plain.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-6, "{path:?}: {off}");
        assert!(*fused.get_or_insert_with(|| got.clone()) == got, "four lanes and eight give the same bits");
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_batch_is_its_series_one_by_one_on_any_number_of_threads() {
    let filter = Butterworth::lowpass(8, 15.0, 100.0).unwrap();
    for n in [500, 20_000] {
        let rows: Vec<f32> = (0..7).flat_map(|seed| signal(n, seed)).collect();
        let mut alone = vec![0.0; 7 * n];
        for (row, out) in rows.chunks(n).zip(alone.chunks_mut(n)) {
            lowpass(&Signals::contiguous(row, n).unwrap(), out, &filter).unwrap();
        }
        for threads in [1, 2, 5] {
            threads::set_count(threads);
            let mut out = vec![0.0; 7 * n];
            lowpass(&Signals::contiguous(&rows, n).unwrap(), &mut out, &filter).unwrap();
            assert_eq!(out, alone);
        }
        threads::set_count(0);
    }
}

fn stream(x: &[Vec<f32>; 3], filter: &Butterworth, sizes: &[usize]) -> [Vec<f32>; 3] {
    let mut stream = ZeroPhase::new(filter.clone()).unwrap();
    let mut out: [Vec<f32>; 3] = Default::default();
    // Something else came before: the state of an ended run must not reach into the next.
    stream.push([&[9.0; 100]; 3], &mut out);
    stream.finish(&mut out);
    out.iter_mut().for_each(Vec::clear);
    let (mut at, mut sizes) = (0, sizes.iter().cycle());
    while at < x[0].len() {
        let end = (at + sizes.next().unwrap()).min(x[0].len());
        let before = out[0].len();
        let n = stream.push([&x[0][at..end], &x[1][at..end], &x[2][at..end]], &mut out);
        assert_eq!(before + n, out[0].len());
        at = end;
        let delay = LANES * stream.plan.stretch + stream.memory;
        assert!(at - out[0].len() <= delay);
        let most = delay + stream.memory.max(stream.plan.filter.padding() + 1);
        assert!(stream.held[0].len() <= most, "{} samples held", stream.held[0].len());
    }
    let before = out[0].len();
    assert_eq!(before + stream.finish(&mut out), x[0].len());
    out
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn a_stream_equals_the_whole_run_however_its_chunks_fall() {
    for (order, cutoff) in [(8, 15.0), (3, 2.0), (4, 49.0)] {
        let filter = Butterworth::lowpass(order, cutoff, 100.0).unwrap();
        for n in [1, 20, 300, 8192, 8500, 30_001] {
            let mut x: [Vec<f32>; 3] = std::array::from_fn(|axis| signal(n, axis as u32));
            if n > 25_000 {
                x[1][20_000..20_010].fill(f32::NAN);
            }
            let first = stream(&x, &filter, &[n]);
            for sizes in [&[120][..], &[1, 9000, 7], &[10_000]] {
                let out = stream(&x, &filter, sizes);
                for (a, b) in out.iter().zip(&first) {
                    assert!(a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()), "{n} samples by {sizes:?}");
                }
            }
            for (out, x) in first.iter().zip(&x) {
                let whole = definition(x, &filter);
                for ((out, x), whole) in out.iter().zip(x).zip(&whole) {
                    assert_eq!(out.is_nan(), x.is_nan());
                    assert!(x.is_nan() || (f64::from(*out) - whole).abs() < 5e-7, "{n}: {out} {whole}");
                }
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "hours under Miri")]
fn shapes_that_do_not_fit_are_refused() {
    let filter = Butterworth::lowpass(8, 15.0, 100.0).unwrap();
    let (three, spaced) = (Signals::contiguous(&[0.0; 3], 3).unwrap(), Signals::new(&[0.0; 6], 0, &[3], &[2]).unwrap());
    assert!(lowpass(&three, &mut [0.0; 4], &filter).is_err());
    assert!(lowpass(&spaced, &mut [0.0; 3], &filter).is_err());
    assert!(lowpass(&Signals::contiguous(&[], 3).unwrap(), &mut [], &filter).is_ok());
    assert!(ZeroPhase::new(Butterworth::lowpass(8, 1e-4, 100.0).unwrap()).is_err());
}

/// `cargo test --release -- --ignored --nocapture timing_of_the_filter`
#[test]
#[ignore = "a measurement"]
fn timing_of_the_filter() {
    let n = 60_000_000usize;
    let filter = Butterworth::lowpass(8, 15.0, 100.0).unwrap();
    let x: [Vec<f32>; 3] = std::array::from_fn(|axis| signal(12_000, axis as u32));
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let mut out: [Vec<f32>; 3] = Default::default();
        let mut stream = ZeroPhase::new(filter.clone()).unwrap();
        let start = std::time::Instant::now();
        for _ in 0..n / 12_000 {
            stream.push([&x[0], &x[1], &x[2]], &mut out);
            out.iter_mut().for_each(Vec::clear);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("low-pass of 60 M x 3: {best:.3} s, {:.2} ns a sample of three axes", best / n as f64 * 1e9);
}
