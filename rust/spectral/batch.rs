//! A batch of windows that lies in memory with any strides, so that overlapping windows are views of one recording.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use crate::error::{Error, Result};

/// Windows [n, channels, time] of scalars, borrowed.
#[derive(Clone, Copy)]
pub struct Windows<'a, T> {
    start: *const T,
    shape: [usize; 3],
    strides: [isize; 3],
    life: PhantomData<&'a T>,
}
// SAFETY: a shared borrow of plain scalars.
unsafe impl<T: Sync> Send for Windows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Windows<'_, T> {}

impl<'a, T: Copy> Windows<'a, T> {
    /// Windows of a contiguous slice.
    ///
    /// # Errors
    /// [`Error::Shape`] where `data` do not fill `shape`.
    pub fn contiguous(data: &'a [T], shape: [usize; 3]) -> Result<Self> {
        let [n, channels, time] = shape;
        let window = channels.checked_mul(time);
        let Some(window) = window.filter(|size| size.checked_mul(n) == Some(data.len())) else {
            return Err(Error::shape("x", format!("{shape:?}"), format!("{} scalars", data.len())));
        };
        Ok(Self { start: data.as_ptr(), shape, strides: [window as isize, time as isize, 1], life: PhantomData })
    }

    /// # Safety
    /// Every index within `shape` lies, at these strides in elements from `start`, in memory that stays readable for `'a`.
    pub unsafe fn from_raw(start: *const T, shape: [usize; 3], strides: [isize; 3]) -> Self {
        Self { start, shape, strides, life: PhantomData }
    }

    /// Windows, channels and samples.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The samples of one channel as they lie, where they lie side by side.
    pub fn slice(&self, window: usize, channel: usize) -> Option<&'a [T]> {
        (self.strides[2] == 1 || self.shape[2] <= 1).then(|| {
            // SAFETY: promised by `from_raw`, checked by `contiguous`.
            unsafe { std::slice::from_raw_parts(self.at(window, channel), self.shape[2]) }
        })
    }

    /// Hands each sample of one channel to `put`.
    #[inline(always)]
    pub fn for_each(&self, window: usize, channel: usize, mut put: impl FnMut(usize, T)) {
        match self.slice(window, channel) {
            Some(slice) => slice.iter().enumerate().for_each(|(i, &v)| put(i, v)),
            None => {
                let start = self.at(window, channel);
                // SAFETY: promised by `from_raw`.
                (0..self.shape[2]).for_each(|i| put(i, unsafe { *start.offset(self.strides[2] * i as isize) }));
            }
        }
    }

    fn at(&self, window: usize, channel: usize) -> *const T {
        assert!(window < self.shape[0] && channel < self.shape[1], "window or channel out of range");
        // SAFETY: promised by `from_raw`, checked by `contiguous`.
        unsafe { self.start.offset(self.strides[0] * window as isize + self.strides[1] * channel as isize) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_reach_overlapping_and_interleaved_windows() {
        let data: Vec<i32> = (0..24).collect();
        // 3 windows of 4 samples every 2, two channels interleaved.
        // SAFETY: the last index is 2 * 4 + 1 + 3 * 2 = 15 < 24.
        let windows = unsafe { Windows::from_raw(data.as_ptr(), [3, 2, 4], [4, 1, 2]) };
        let mut got = Vec::new();
        windows.for_each(2, 1, |_, v| got.push(v));
        assert_eq!(got, [9, 11, 13, 15]);
        assert_eq!(windows.slice(0, 0), None);
        assert!(Windows::contiguous(&data[..0], [1 << 32, 1 << 32, 4]).is_err());
        assert_eq!(Windows::contiguous(&data, [2, 3, 4]).unwrap().slice(1, 2), Some(&data[20..24]));
    }
}
