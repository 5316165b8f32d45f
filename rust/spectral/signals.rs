//! Many signals of one length in memory of any layout, and their transposition into lanes.
//!
//! A kernel that wants one signal per lane reads row t of a [`Tile`] as sample t of all of them. Windows that overlap are
//! signals that share memory: nothing is copied before the transposition.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use super::lanes::fft::Rows;
use super::lanes::{Cpu, Lanes, Real};
#[cfg(target_arch = "x86_64")]
use crate::cpu::Path;
use crate::error::{Error, Result};

/// The signals of an array [..., time] whose last axis is contiguous; the leading axes have any strides.
#[derive(Clone, Debug)]
pub struct Signals<'a, T> {
    /// The first sample of the first signal.
    first: *const T,
    life: PhantomData<&'a [T]>,
    /// Leading axes as (length, stride in scalars), outermost first; neighbours that one stride serves are one axis.
    axes: Vec<(usize, isize)>,
    time: usize,
}

// SAFETY: a shared borrow of plain scalars.
unsafe impl<T: Sync> Send for Signals<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Signals<'_, T> {}

impl<'a, T: Real> Signals<'a, T> {
    /// The signals of an array of `shape` [..., time] whose first scalar is `data[origin]`; `strides` in scalars.
    ///
    /// # Errors
    /// [`Error::Shape`] for an array without axes or samples, a strided time axis or one that leaves `data`.
    pub fn new(data: &'a [T], origin: usize, shape: &[usize], strides: &[isize]) -> Result<Self> {
        let mut reach = Some((origin as isize, origin as isize));
        if !shape.contains(&0) {
            for (&length, &stride) in shape.iter().zip(strides) {
                reach = reach.and_then(|(first, last)| {
                    let way = isize::try_from(length - 1).ok()?.checked_mul(stride)?;
                    Some((first.checked_add(way.min(0))?, last.checked_add(way.max(0))?))
                });
            }
            if !reach.is_some_and(|(first, last)| first >= 0 && last < data.len() as isize) {
                return Err(Error::shape("x", format!("an array within {} scalars", data.len()), format!("{shape:?}")));
            }
        }
        // SAFETY: every index lies within `data`, as has just been checked; a slice is aligned.
        unsafe { Self::from_raw(data.as_ptr().wrapping_add(origin), shape, strides) }
    }

    /// The signals of an array of `shape` [..., time] whose first scalar is at `first`; `strides` in scalars.
    ///
    /// # Errors
    /// [`Error::Shape`] for an array without axes or samples, with more signals than can be counted, or a strided time axis.
    ///
    /// # Safety
    /// Every index within `shape` lies, at these strides from `first`, in aligned memory of one allocation that stays
    /// readable and unchanged for `'a`.
    pub unsafe fn from_raw(first: *const T, shape: &[usize], strides: &[isize]) -> Result<Self> {
        let (Some((&time, leading)), Some((&step, steps))) = (shape.split_last(), strides.split_last()) else {
            return Err(Error::shape("x", "an array [..., time]", "no axes"));
        };
        let empty = leading.contains(&0); // of whatever strides
        if time == 0 || (step != 1 && time > 1 && !empty) || leading.len() != steps.len() {
            return Err(Error::shape("x", "at least one sample, contiguous in time", format!("{time}, stride {step}")));
        }
        if leading.iter().try_fold(1usize, |count, &length| count.checked_mul(length)).is_none() && !empty {
            return Err(Error::shape("x", "fewer signals than memory has bytes", format!("{leading:?}")));
        }
        let mut axes: Vec<(usize, isize)> = Vec::new();
        if empty {
            axes.push((0, 0));
        } else {
            for (&length, &stride) in leading.iter().zip(steps) {
                match axes.last_mut() {
                    _ if length == 1 => {}
                    Some(outer) if stride.checked_mul(length as isize) == Some(outer.1) => {
                        *outer = (outer.0 * length, stride);
                    }
                    _ => axes.push((length, stride)),
                }
            }
        }
        Ok(Self { first, life: PhantomData, axes, time })
    }

    /// Signals that lie one after the other.
    ///
    /// # Errors
    /// [`Error::Shape`] where `data` is not a whole number of signals.
    pub fn contiguous(data: &'a [T], time: usize) -> Result<Self> {
        let n = data.len().checked_div(time).unwrap_or(0);
        if n.checked_mul(time) != Some(data.len()) {
            return Err(Error::shape("x", format!("a multiple of {time} samples"), data.len()));
        }
        Self::new(data, 0, &[n, time], &[time as isize, 1])
    }

    /// How many signals.
    pub fn count(&self) -> usize {
        self.axes.iter().map(|a| a.0).product()
    }

    /// Samples of each.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Signal `i`, in the order of the leading axes.
    #[inline(always)]
    pub fn get(&self, i: usize) -> &'a [T] {
        assert!(i < self.count(), "signal out of range");
        let (mut place, mut rest) = (0, i);
        for &(length, stride) in self.axes.iter().skip(1).rev() {
            place += (rest % length) as isize * stride;
            rest /= length;
        }
        if let Some(&(_, stride)) = self.axes.first() {
            place += rest as isize * stride;
        }
        // SAFETY: an index within the shape, whose samples `new` has checked and the caller of `from_raw` has promised.
        unsafe { std::slice::from_raw_parts(self.first.offset(place), self.time) }
    }

    /// Asks for the first samples of signal `i`, up to 64 cache lines, to be read soon.
    #[inline(always)]
    pub fn fetch(&self, i: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in self.get(i).chunks(64 / size_of::<T>()).take(64) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint, to memory that is there.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = i;
    }

    /// Writes samples `from`.. of signals `first`..`first + n` (n <= LANES) into the rows of `tile`, one signal a lane.
    /// Rows before sample 0 and after the last are zero, and so are lanes from `n` on.
    #[inline(always)]
    pub fn transpose<V: Lanes<T = T>>(&self, _: Cpu<V>, first: usize, n: usize, from: isize, tile: &mut Rows<T>) {
        let n_rows = tile.len() / T::LANES;
        let start = from.clamp(0, self.time as isize) as usize;
        let end = (from + n_rows as isize).clamp(start as isize, self.time as isize) as usize;
        let offset = (start as isize - from).clamp(0, n_rows as isize) as usize;
        let (head, body) = tile.split_at_mut(offset * T::LANES);
        let (body, tail) = body.split_at_mut((end - start) * T::LANES);
        clear(head);
        clear(tail);
        if start == end {
            return;
        }
        if n < T::LANES {
            clear(body);
        }
        let mut lane = 0;
        while lane < n {
            #[cfg(target_arch = "x86_64")]
            if V::PATH >= Path::Avx2 && size_of::<T>() == 4 && n - lane >= 8 {
                let sources: [&[T]; 8] = std::array::from_fn(|i| &self.get(first + lane + i)[start..end]);
                // SAFETY: the sealed `Real` of four bytes is f32; the proof of the path is one of AVX.
                unsafe {
                    transpose_eight(std::mem::transmute_copy(&sources), as_f32(&mut body[lane..]), T::LANES);
                }
                lane += 8;
                continue;
            }
            scatter(&self.get(first + lane)[start..end], &mut body[lane..], T::LANES);
            lane += 1;
        }
    }
}

fn clear<T: Real>(rows: &mut [T]) {
    rows.fill(T::default());
}

/// Writes `values` to every `width`-th place of `to`.
fn scatter<T: Real>(values: &[T], to: &mut [T], width: usize) {
    for (place, &value) in to.iter_mut().step_by(width).zip(values) {
        *place = value;
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

    #[test]
    fn signals_of_any_strides_are_those_of_the_copied_array() {
        let data: Vec<f32> = (0..60).map(|v| v as f32).collect();
        // [2, 3, 4] windows of length 4 that overlap by two, the middle axis backwards
        let signals = Signals::new(&data, 20, &[2, 3, 4], &[30, -10, 1]).unwrap();
        let starts: Vec<f32> = (0..6).map(|i| signals.get(i)[0]).collect();
        assert_eq!(starts, [20.0, 10.0, 0.0, 50.0, 40.0, 30.0]);
        let folded = Signals::new(&data, 0, &[5, 3, 4], &[12, 4, 1]).unwrap();
        assert_eq!((folded.axes.len(), folded.get(14)), (1, &data[56..60]));
    }

    #[test]
    fn an_array_that_leaves_its_memory_is_refused() {
        let data = [0.0f32; 10];
        assert!(Signals::new(&data, 0, &[3, 4], &[4, 1]).is_err());
        assert!(Signals::new(&data, 0, &[2, 4], &[-4, 1]).is_err());
        assert!(Signals::new(&data, 0, &[2, 4], &[4, 2]).is_err());
        assert!(Signals::new(&data, 0, &[2, 0], &[4, 1]).is_err());
        assert!(Signals::new(&data, 0, &[0, 4], &[4, 1]).is_ok_and(|s| s.count() == 0));
    }

    struct Transpose<'a, 'b, T>(&'a Signals<'b, T>, (usize, usize, isize), &'a mut Rows<T>);
    impl<T: Real> Kernel<T> for Transpose<'_, '_, T> {
        type Output = ();
        #[inline(always)]
        fn run<V: Lanes<T = T>>(self, cpu: Cpu<V>) {
            let (first, n, from) = self.1;
            self.0.transpose(cpu, first, n, from, self.2);
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
