//! Signals in lanes: a tile holds sample t of many signals in row t.
//!
//! A kernel that has one signal in each lane reads rows of a tile of [`Rows`].
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
use super::lanes::neon::turn_four;
use super::lanes::rows::Rows;
use super::lanes::{Cpu, Kernel, Lanes, Real};
use crate::arrays::Signals;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::cpu::Path;

/// Writes samples `from`.. of signals `first`..`first + n` (n <= LANES) into the rows of `tile`, one signal a lane.
/// Rows before sample 0 and after the last are zero, and so are lanes from `n` on.
#[inline(always)]
pub(super) fn transpose<V: Lanes>(
    _: Cpu<V>,
    signals: &Signals<V::T>,
    (first, n): (usize, usize),
    from: isize,
    tile: &mut Rows<V::T>,
) {
    let width = V::T::LANES;
    let (n_rows, time) = (tile.len() / width, signals.time() as isize);
    let start = from.clamp(0, time) as usize;
    let end = (from + n_rows as isize).clamp(start as isize, time) as usize;
    let offset = (start as isize - from).clamp(0, n_rows as isize) as usize;
    let (head, body) = tile.split_at_mut(offset * width);
    let (body, tail) = body.split_at_mut((end - start) * width);
    head.fill(V::T::default());
    tail.fill(V::T::default());
    if start == end {
        return;
    }
    if n < width {
        body.fill(V::T::default());
    }
    let mut lane = 0;
    while lane < n {
        #[cfg(target_arch = "x86_64")]
        if V::PATH >= Path::Avx2 && size_of::<V::T>() == 4 && n - lane >= 8 {
            let sources: [&[V::T]; 8] = std::array::from_fn(|i| &signals.get(first + lane + i)[start..end]);
            // SAFETY: the sealed `Real` of four bytes is f32; the proof of a path from AVX2 on is one of AVX.
            unsafe {
                transpose_eight(std::mem::transmute_copy(&sources), as_f32(&mut body[lane..]), width);
            }
            lane += 8;
            continue;
        }
        #[cfg(target_arch = "aarch64")]
        if V::PATH == Path::Neon && size_of::<V::T>() == 4 && n - lane >= 4 {
            let sources: [&[V::T]; 4] = std::array::from_fn(|i| &signals.get(first + lane + i)[start..end]);
            // SAFETY: the sealed `Real` of four bytes is f32.
            unsafe { transpose_four(std::mem::transmute_copy(&sources), as_f32(&mut body[lane..]), width) };
            lane += 4;
            continue;
        }
        scatter(&signals.get(first + lane)[start..end], &mut body[lane..], width);
        lane += 1;
    }
}

/// Writes `values` to every `width`-th place of `to`.
fn scatter<T: Real>(values: &[T], to: &mut [T], width: usize) {
    for (item, &value) in to.iter_mut().step_by(width).zip(values) {
        *item = value;
    }
}

/// # Safety
/// T is f32.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
unsafe fn as_f32<T: Real>(rows: &mut [T]) -> &mut [f32] {
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(rows.as_mut_ptr().cast(), rows.len()) }
}

/// Eight signals of one length into eight lanes of rows of `width` scalars, four samples at a time: signals i and i + 4
/// share a vector from the load on, so that two rounds of shuffles do.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn transpose_eight(from: [&[f32]; 8], to: &mut [f32], width: usize) {
    use std::arch::x86_64::*;
    let time = from[0].len();
    assert!(from.iter().all(|s| s.len() == time) && (time == 0 || to.len() >= (time - 1) * width + 8));
    let mut t = 0;
    while t + 4 <= time {
        // SAFETY: `t + 4 <= time` samples of each signal, and the rows `t..t + 4`, are in bounds by the assertion.
        unsafe {
            let load = |i: usize| {
                let low = _mm256_castps128_ps256(_mm_loadu_ps(from[i].as_ptr().add(t)));
                _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from[i + 4].as_ptr().add(t)))
            };
            let (a, b, c, d) = (load(0), load(1), load(2), load(3));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let row = to.as_mut_ptr().add(t * width);
            _mm256_storeu_ps(row, _mm256_shuffle_ps::<0x44>(ab, cd));
            _mm256_storeu_ps(row.add(width), _mm256_shuffle_ps::<0xee>(ab, cd));
            _mm256_storeu_ps(row.add(2 * width), _mm256_shuffle_ps::<0x44>(ab_high, cd_high));
            _mm256_storeu_ps(row.add(3 * width), _mm256_shuffle_ps::<0xee>(ab_high, cd_high));
        }
        t += 4;
    }
    for (lane, signal) in from.iter().enumerate() {
        let rest = (t * width + lane).min(to.len());
        scatter(&signal[t..], &mut to[rest..], width);
    }
}

/// Four signals of one length into four lanes of rows of `width` scalars.
#[cfg(target_arch = "aarch64")]
fn transpose_four(from: [&[f32]; 4], to: &mut [f32], width: usize) {
    let time = from[0].len();
    assert!(from.iter().all(|s| s.len() == time) && (time == 0 || to.len() >= (time - 1) * width + 4));
    let whole = time - time % 4;
    for t in (0..whole).step_by(4) {
        // SAFETY: four samples of each signal from t on, and the rows `t..t + 4`, are in bounds by the assertion.
        unsafe {
            let row = to.as_mut_ptr().add(t * width);
            turn_four(from.map(|signal| signal.as_ptr().add(t)), std::array::from_fn(|i| row.add(i * width)));
        }
    }
    for (lane, signal) in from.iter().enumerate() {
        let rest = (whole * width + lane).min(to.len());
        scatter(&signal[whole..], &mut to[rest..], width);
    }
}

/// Rows of lanes back to one signal after the other.
pub(super) struct Gather<'a, T> {
    /// [time, LANES]
    pub rows: &'a [T],
    /// Up to LANES signals of `time` samples.
    pub signals: &'a mut [T],
    /// Samples of a signal.
    pub time: usize,
}

impl<T: Real> Kernel<T> for Gather<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<T = T>>(self, _: Cpu<V>) {
        let Self { rows, signals, time } = self;
        assert!(signals.len() <= T::LANES * time && rows.len() >= T::LANES * time, "rows of every signal");
        let lanes = signals.len() / time;
        let mut lane = 0;
        while lane < lanes {
            #[cfg(target_arch = "x86_64")]
            if V::PATH >= Path::Avx2 && size_of::<T>() == 4 && lanes - lane >= 8 {
                // SAFETY: the sealed `Real` of four bytes is f32; the proof of a path from AVX2 on is one of AVX.
                unsafe {
                    let rows = std::slice::from_raw_parts(rows[lane..].as_ptr().cast(), rows.len() - lane);
                    gather_eight(rows, T::LANES, as_f32(&mut signals[lane * time..(lane + 8) * time]), time);
                }
                lane += 8;
                continue;
            }
            #[cfg(target_arch = "aarch64")]
            if V::PATH == Path::Neon && size_of::<T>() == 4 && lanes - lane >= 4 {
                // SAFETY: the sealed `Real` of four bytes is f32.
                unsafe {
                    let rows = std::slice::from_raw_parts(rows[lane..].as_ptr().cast(), rows.len() - lane);
                    gather_four(rows, T::LANES, as_f32(&mut signals[lane * time..(lane + 4) * time]), time);
                }
                lane += 4;
                continue;
            }
            for (t, value) in signals[lane * time..(lane + 1) * time].iter_mut().enumerate() {
                *value = rows[t * T::LANES + lane];
            }
            lane += 1;
        }
    }
}

/// Eight lanes of rows of `width` scalars into eight signals, four samples at a time, as [`transpose_eight`] the other way.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn gather_eight(rows: &[f32], width: usize, signals: &mut [f32], time: usize) {
    use std::arch::x86_64::*;
    assert!(signals.len() == 8 * time && (time == 0 || rows.len() >= (time - 1) * width + 8));
    let mut t = 0;
    while t + 4 <= time {
        // SAFETY: the rows `t..t + 4`, and as many samples of each signal, are in bounds by the assertion.
        unsafe {
            let row = |i: usize| _mm256_loadu_ps(rows.as_ptr().add((t + i) * width));
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            let mut put = |lane: usize, two: __m256| {
                let to = signals.as_mut_ptr().add(lane * time + t);
                _mm_storeu_ps(to, _mm256_castps256_ps128(two));
                _mm_storeu_ps(to.add(4 * time), _mm256_extractf128_ps::<1>(two));
            };
            put(0, _mm256_shuffle_ps::<0x44>(ab, cd));
            put(1, _mm256_shuffle_ps::<0xee>(ab, cd));
            put(2, _mm256_shuffle_ps::<0x44>(ab_high, cd_high));
            put(3, _mm256_shuffle_ps::<0xee>(ab_high, cd_high));
        }
        t += 4;
    }
    for (lane, signal) in signals.chunks_exact_mut(time.max(1)).enumerate() {
        for (t, value) in signal.iter_mut().enumerate().skip(t) {
            *value = rows[t * width + lane];
        }
    }
}

/// Four lanes of rows of `width` scalars into four signals.
#[cfg(target_arch = "aarch64")]
fn gather_four(rows: &[f32], width: usize, signals: &mut [f32], time: usize) {
    assert!(signals.len() == 4 * time && (time == 0 || rows.len() >= (time - 1) * width + 4));
    let whole = time - time % 4;
    for t in (0..whole).step_by(4) {
        // SAFETY: the rows `t..t + 4`, and as many samples of each signal, are in bounds by the assertion.
        unsafe {
            let (row, signal) = (rows.as_ptr().add(t * width), signals.as_mut_ptr().add(t));
            turn_four(std::array::from_fn(|i| row.add(i * width)), std::array::from_fn(|i| signal.add(i * time)));
        }
    }
    for (lane, signal) in signals.chunks_exact_mut(time.max(1)).enumerate() {
        for (t, value) in signal.iter_mut().enumerate().skip(whole) {
            *value = rows[t * width + lane];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::dispatch;
    use super::*;
    use crate::cpu::Path;

    struct Transpose<'a, 'b, T>(&'a Signals<'b, T>, (usize, usize, isize), &'a mut Rows<T>);
    impl<T: Real> Kernel<T> for Transpose<'_, '_, T> {
        type Output = ();
        #[inline(always)]
        fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
            let (first, n, from) = self.1;
            transpose(cpu, self.0, (first, n), from, self.2);
        }
    }

    fn check<T: Real>(count: usize, time: usize, case: (usize, usize, isize), n_rows: usize) {
        let data: Vec<T> = (1..=count * time).map(|v| T::narrow(v as f64)).collect();
        let signals = Signals::contiguous(&data, time).unwrap();
        let (first, n, from) = case;
        for path in Path::available() {
            let mut tile = Rows::<T>::new(n_rows);
            tile.fill(T::narrow(-7.0));
            dispatch(path, Transpose(&signals, case, &mut tile));
            for (t, row) in tile.chunks_exact(T::LANES).enumerate() {
                for (lane, &got) in row.iter().enumerate() {
                    let sample = usize::try_from(t as isize + from).ok().filter(|&s| s < time && lane < n);
                    let want = sample.map_or(T::default(), |s| signals.get(first + lane)[s]);
                    assert!(got == want, "{path:?} {count} x {time} {case:?}: row {t} lane {lane}");
                }
            }
        }
    }

    #[test]
    fn signals_that_went_into_lanes_come_back() {
        for (count, time) in [(1, 5), (7, 4), (8, 3), (9, 21), (15, 24), (16, 30)] {
            let data: Vec<f32> = (1..=count * time).map(|v| v as f32).collect();
            let signals = Signals::contiguous(&data, time).unwrap();
            for path in Path::available() {
                let mut tile = Rows::<f32>::new(time);
                dispatch(path, Transpose(&signals, (0, count, 0), &mut tile));
                let mut back = vec![0.0; data.len()];
                dispatch(path, Gather { rows: &tile, signals: &mut back, time });
                assert!(back == data, "{path:?} {count} x {time}");
            }
        }
    }

    #[test]
    fn a_tile_has_zeros_around_the_signals_and_in_the_lanes_that_are_left() {
        for case in [(0, 16, -2), (1, 13, -3), (3, 8, 0), (2, 1, 4), (0, 16, 30), (0, 16, -50)] {
            for time in [1, 3, 4, 21, 24] {
                check::<f32>(17, time, case, 30);
                let (first, n, from) = case;
                check::<f64>(17, time, (first, n.min(8), from), 30);
            }
        }
    }
}
