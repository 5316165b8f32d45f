//! Signals in lanes: a tile holds sample t of many signals in row t.
//!
//! A kernel that has one signal in each lane reads rows of a tile of [`Rows`].
#![allow(unsafe_code)]

use super::lanes::rows::Rows;
use super::lanes::{Cpu, Lanes, Real};
use crate::arrays::Signals;
#[cfg(target_arch = "x86_64")]
use crate::cpu::Path;

/// Asks for the first samples of signal `i`, up to 64 cache lines, to be read soon.
#[inline(always)]
pub(super) fn fetch<T: Real>(signals: &Signals<T>, i: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in signals.get(i).chunks(64 / size_of::<T>()).take(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64; a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (signals, i);
}

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
#[cfg(target_arch = "x86_64")]
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

#[cfg(test)]
mod tests {
    use super::super::lanes::{Kernel, dispatch};
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
