//! Many signals of one length in memory of any layout: the one type in which kernels take arrays.
//!
//! Windows that overlap and axes that are interleaved are signals that share memory: nothing is copied.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::error::{Error, Result};

/// The signals of an array [..., time] of any strides, in the order of its leading axes.
#[derive(Clone, Debug)]
pub struct Signals<'a, T> {
    /// The first sample of the first signal; dangling where the array is empty.
    first: *const T,
    life: PhantomData<&'a [T]>,
    /// Leading axes as (length, stride in scalars), outermost first; neighbours that one stride serves are one axis. The
    /// outermost is apart, so that signals in rows need no memory.
    outer: (usize, isize),
    inner: Vec<(usize, isize)>,
    count: usize,
    time: usize,
    /// Scalars from one sample of a signal to the next.
    step: isize,
}

// SAFETY: `first` is used only as shared references to T for 'a, which may be sent where `T: Sync`.
unsafe impl<T: Sync> Send for Signals<'_, T> {}
// SAFETY: a shared reference to `Signals` gives shared references to T alone.
unsafe impl<T: Sync> Sync for Signals<'_, T> {}

impl<'a, T: Copy> Signals<'a, T> {
    /// The signals of an array of `shape` [..., time] whose first scalar is `data[origin]`; `strides` in scalars.
    ///
    /// # Errors
    /// [`Error::Shape`] for an array without axes, with more samples than can be counted, or that leaves `data`.
    pub fn new(data: &'a [T], origin: usize, shape: &[usize], strides: &[isize]) -> Result<Self> {
        if !shape.contains(&0) {
            let mut reach = isize::try_from(origin).ok().map(|start| (start, start));
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
        // SAFETY: every index lies within `data`, which is borrowed for 'a, as has just been checked.
        unsafe { Self::from_raw(data.as_ptr().wrapping_add(origin), shape, strides) }
    }

    /// The signals of an array of `shape` [..., time] whose first scalar is at `first`; `strides` in scalars.
    ///
    /// # Errors
    /// [`Error::Shape`] for an array without axes, or with more samples than can be counted.
    ///
    /// # Safety
    /// Every index within `shape` lies, at these strides from `first`, in aligned memory of one allocation that stays
    /// readable and unchanged for `'a`. Of an empty array nothing is asked.
    pub unsafe fn from_raw(first: *const T, shape: &[usize], strides: &[isize]) -> Result<Self> {
        let (Some((&time, leading)), Some((&step, steps))) = (shape.split_last(), strides.split_last()) else {
            return Err(Error::shape("x", "an array [..., time]", "no axes"));
        };
        if leading.len() != steps.len() {
            return Err(Error::shape("strides", format!("one for each of {} axes", shape.len()), strides.len()));
        }
        let life = PhantomData;
        let count = if leading.contains(&0) { Some(0) } else { product(leading) };
        let Some(count) = count.filter(|count| count.checked_mul(time).is_some_and(|n| n <= isize::MAX as usize))
        else {
            return Err(Error::shape("x", "fewer samples than memory has bytes", format!("{shape:?}")));
        };
        if count == 0 || time == 0 {
            let first = NonNull::dangling().as_ptr();
            return Ok(Self { first, life, outer: (count, 0), inner: Vec::new(), count, time, step: 1 });
        }
        let (mut outer, mut inner) = ((1, 0), Vec::new());
        for (&length, &stride) in leading.iter().zip(steps).filter(|&(&length, _)| length > 1) {
            let around = inner.last_mut().unwrap_or(&mut outer);
            if around.0 == 1 {
                *around = (length, stride);
            } else if stride.checked_mul(length as isize) == Some(around.1) {
                *around = (around.0 * length, stride);
            } else {
                inner.push((length, stride));
            }
        }
        Ok(Self { first, life, outer, inner, count, time, step: if time == 1 { 1 } else { step } })
    }

    /// Signals that lie one after the other.
    ///
    /// # Errors
    /// [`Error::Shape`] where `data` is not a whole number of signals.
    pub fn contiguous(data: &'a [T], time: usize) -> Result<Self> {
        let n = data.len().checked_div(time).unwrap_or(0);
        check_length("x", data.len(), &[n, time])?;
        Self::new(data, 0, &[n, time], &[time as isize, 1])
    }

    /// How many signals.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Samples of each.
    pub fn time(&self) -> usize {
        self.time
    }

    /// Refuses signals whose samples do not lie side by side, for kernels that use [`Signals::get`].
    ///
    /// # Errors
    /// [`Error::Shape`] for a strided time axis.
    pub fn check_dense(&self, name: &str) -> Result<()> {
        if self.step == 1 {
            return Ok(());
        }
        Err(Error::shape(name, "an array contiguous in time", format!("a stride of {} samples", self.step)))
    }

    /// Signal `i`.
    ///
    /// # Panics
    /// Where `i` is not below [`Signals::count`], or [`Signals::check_dense`] refuses the signals.
    #[inline(always)]
    pub fn get(&self, i: usize) -> &'a [T] {
        assert!(self.step == 1, "samples of a signal apart");
        // SAFETY: the samples of signal `i` lie side by side from its first on, readable for 'a.
        unsafe { std::slice::from_raw_parts(self.start(i), self.time) }
    }

    /// Signal `i` as it lies, where its samples lie side by side.
    ///
    /// # Panics
    /// Where `i` is not below [`Signals::count`].
    #[inline(always)]
    pub fn slice(&self, i: usize) -> Option<&'a [T]> {
        (self.step == 1).then(|| self.get(i))
    }

    /// Hands each sample of signal `i` to `put`, with its index.
    ///
    /// # Panics
    /// Where `i` is not below [`Signals::count`].
    #[inline(always)]
    pub fn for_each(&self, i: usize, mut put: impl FnMut(usize, T)) {
        match self.slice(i) {
            Some(slice) => slice.iter().enumerate().for_each(|(t, &v)| put(t, v)),
            None => {
                let start = self.start(i);
                // SAFETY: sample t of signal `i`, t below `time`, is readable for 'a.
                (0..self.time).for_each(|t| put(t, unsafe { *start.offset(self.step * t as isize) }));
            }
        }
    }

    /// The first sample of signal `i`.
    #[inline(always)]
    fn start(&self, i: usize) -> *const T {
        assert!(i < self.count, "signal out of range");
        let (mut offset, mut rest) = (0, i);
        for &(length, stride) in self.inner.iter().rev() {
            offset += (rest % length) as isize * stride;
            rest /= length;
        }
        offset += rest as isize * self.outer.1;
        // SAFETY: an index within the shape, which `new` has checked and the caller of `from_raw` has promised; of an empty
        // array the offset is 0, as its one stride is.
        unsafe { self.first.offset(offset) }
    }
}

/// The product of lengths, if it can be counted.
pub fn product(lengths: &[usize]) -> Option<usize> {
    lengths.iter().try_fold(1usize, |product, &length| product.checked_mul(length))
}

/// Refuses an array whose number of items is not the product of `shape`.
///
/// # Errors
/// [`Error::Shape`] naming the array; also where the product cannot be counted.
pub fn check_length(name: &str, length: usize, shape: &[usize]) -> Result<()> {
    if product(shape) == Some(length) {
        return Ok(());
    }
    Err(Error::shape(name, format!("{shape:?} items"), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_any_strides_are_those_of_the_copied_array() {
        let data: Vec<f32> = (0..60).map(|v| v as f32).collect();
        // [2, 3, 4] windows of length 4 that overlap by two, the middle axis backwards
        let signals = Signals::new(&data, 20, &[2, 3, 4], &[30, -10, 1]).unwrap();
        let starts: Vec<f32> = (0..6).map(|i| signals.get(i)[0]).collect();
        assert_eq!(starts, [20.0, 10.0, 0.0, 50.0, 40.0, 30.0]);
        let folded = Signals::new(&data, 0, &[5, 3, 4], &[12, 4, 1]).unwrap();
        assert_eq!((folded.inner.len(), folded.get(14)), (0, &data[56..60]));
    }

    #[test]
    fn interleaved_windows_are_read_sample_by_sample() {
        let data: Vec<i32> = (0..24).collect();
        // 3 windows of 4 samples every 2, two channels interleaved
        let windows = Signals::new(&data, 0, &[3, 2, 4], &[4, 1, 2]).unwrap();
        let mut samples = Vec::new();
        windows.for_each(5, |t, v| samples.push((t, v)));
        assert_eq!(samples, [(0, 9), (1, 11), (2, 13), (3, 15)]);
        assert_eq!(windows.slice(0), None);
        assert!(windows.check_dense("x").is_err());
        let backwards = Signals::new(&data, 23, &[1, 24], &[0, -1]).unwrap();
        backwards.for_each(0, |t, v| assert_eq!(v, 23 - t as i32));
        assert!(Signals::new(&data, 3, &[2, 1], &[4, 7]).unwrap().check_dense("x").is_ok());
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    #[should_panic(expected = "samples of a signal apart")]
    fn samples_that_lie_apart_are_no_slice() {
        let _ = Signals::new(&[0u8; 8], 0, &[2, 4], &[1, 2]).unwrap().get(0);
    }

    #[test]
    fn an_array_that_leaves_its_memory_is_refused() {
        let data = [0.0f32; 10];
        assert!(Signals::new(&data, 0, &[3, 4], &[4, 1]).is_err());
        assert!(Signals::new(&data, 0, &[2, 4], &[-4, 1]).is_err());
        assert!(Signals::new(&data, 1, &[2, 4], &[1, 3]).is_err());
        assert!(Signals::new(&data, 0, &[2, 4], &[1, 3]).is_err());
        assert!(Signals::new(&data, 0, &[2, 4], &[0, 3]).is_ok());
        assert!(Signals::new(&data, 11, &[1], &[1]).is_err());
        assert!(Signals::new(&data, usize::MAX, &[1], &[1]).is_err());
        assert!(Signals::new(&data, 0, &[], &[]).is_err());
        assert!(Signals::new(&data, 0, &[2, 4], &[1]).is_err());
    }

    #[test]
    fn an_array_of_more_samples_than_can_be_counted_is_refused() {
        assert!(Signals::new(&[0.0], 0, &[1 << 32, 1 << 32, 4], &[0, 0, 0]).is_err());
        assert!(Signals::new(&[0.0], 0, &[1 << 40, 1 << 40], &[0, 0]).is_err());
        assert!(Signals::new(&[0.0], 0, &[1 << 32, 1 << 32, 0], &[0, 0, 0]).is_err());
        assert!(check_length("out", 0, &[1 << 32, 1 << 32]).is_err());
        assert!(Signals::contiguous(&[0.0; 7], 2).is_err());
    }

    #[test]
    fn an_empty_array_has_no_signals_or_empty_ones() {
        let data = [0.0f32; 10];
        assert!(Signals::new(&data, 0, &[0, 4], &[4, 1]).is_ok_and(|s| s.count() == 0));
        assert!(Signals::new(&data, 0, &[0, usize::MAX, 4], &[0, 4, 1]).is_ok_and(|s| s.count() == 0));
        let empty = Signals::new(&data, 0, &[3, 0], &[1 << 40, 9]).unwrap();
        assert_eq!((empty.count(), empty.time(), empty.get(2)), (3, 0, &[][..]));
        empty.for_each(1, |_, _| panic!("no sample"));
    }
}
