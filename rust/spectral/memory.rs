//! What the memory is asked for ahead, and what is written past the cache.
#![allow(unsafe_code)]

use super::lanes::Real;
use crate::arrays::Signals;

/// Bytes of an output that no cache holds.
pub(super) const LARGE: usize = 1 << 24;

/// Asks for `memory` to be written soon.
#[inline(always)]
pub(super) fn fetch_to_write<T>(memory: &[T]) {
    for line in memory.chunks(64 / size_of::<T>()) {
        prefetch_to_write(line.as_ptr());
    }
}

/// Asks for the cache line at `address`, which need not exist, to be written soon.
#[inline(always)]
pub(super) fn prefetch_to_write<T>(address: *const T) {
    // SAFETY: a hint that never faults; processors without it take it for no operation.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address.addr(), options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Asks for the first samples of signal `i`, up to 64 cache lines, to be read soon.
#[inline(always)]
pub(super) fn fetch<T: Copy>(signals: &Signals<T>, i: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in signals.slice(i).unwrap_or_default().chunks(64 / size_of::<T>()).take(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64; a prefetch reads nothing that the program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (signals, i);
}

/// Memory that is needed soon.
#[derive(Clone, Copy)]
pub(super) enum Ahead<'a, T> {
    /// Signals from an index on, to be read.
    Read(&'a Signals<'a, T>, usize),
    /// Signals of a length, to be written.
    Write(&'a [T], usize),
}

impl<T: Real> Ahead<'_, T> {
    /// Asks for the signal `i`, if there is one; of those to be read for LANES at most.
    #[inline(always)]
    pub(super) fn fetch(&self, i: usize) {
        match *self {
            Self::Read(signals, first) if i < T::LANES && first + i < signals.count() => {
                fetch(signals, first + i);
            }
            Self::Write(memory, time) => fetch_to_write(memory.get(i * time..(i + 1) * time).unwrap_or_default()),
            Self::Read(..) => {}
        }
    }
}

/// Copies scalars to memory that no cache is to hold.
pub(super) fn copy_past_cache<T: Copy>(from: &[T], to: &mut [T]) {
    assert!(from.len() == to.len(), "as many scalars");
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::*;
        let head = to.as_ptr().align_offset(64).min(to.len());
        let per_line = 64 / size_of::<T>();
        to[..head].copy_from_slice(&from[..head]);
        let (from, to) = (&from[head..], &mut to[head..]);
        let whole = to.len() / per_line * per_line;
        // SAFETY: SSE2 is part of x86-64; the lines of 64 bytes are in bounds, those of `to` are aligned.
        unsafe {
            for line in (0..whole).step_by(per_line) {
                let (from, to): (*const __m128i, *mut __m128i) =
                    (from.as_ptr().add(line).cast(), to.as_mut_ptr().add(line).cast());
                for i in 0..4 {
                    _mm_stream_si128(to.add(i), _mm_loadu_si128(from.add(i)));
                }
            }
            _mm_sfence();
        }
        to[whole..].copy_from_slice(&from[whole..]);
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    to.copy_from_slice(from);
}

/// Writes sixteen values to memory that no cache is to hold, where `to` is aligned for that; [`finish`] must follow.
#[inline(always)]
pub(super) fn write_past_cache(values: &[f32; 16], to: &mut [f32; 16]) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if to.as_ptr().addr().is_multiple_of(16) {
        use std::arch::x86_64::*;
        for i in (0..16).step_by(4) {
            // SAFETY: SSE is part of x86-64; four of the values from i on, and an aligned place for them.
            unsafe { _mm_stream_ps(to.as_mut_ptr().add(i), _mm_loadu_ps(values.as_ptr().add(i))) };
        }
        return;
    }
    *to = *values;
}

/// Orders what was written past the cache before all that this thread writes next.
#[inline(always)]
pub(super) fn finish() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
