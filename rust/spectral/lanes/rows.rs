//! Memory of whole, aligned rows of lanes.
#![allow(unsafe_code)]

use super::lanes::{ROW_BYTES, Real};

/// Memory of whole, aligned rows of lanes.
#[derive(Clone, Debug, Default)]
pub struct Rows<T> {
    lines: Vec<Line>,
    scalar: std::marker::PhantomData<T>,
}
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [u8; ROW_BYTES]);

impl<T: Real> Rows<T> {
    /// `n` rows of zeros.
    pub fn new(n: usize) -> Self {
        Self { lines: vec![Line([0; ROW_BYTES]); n], scalar: std::marker::PhantomData }
    }
}
impl<T: Real> std::ops::Deref for Rows<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: Line is plain bytes, larger in alignment than T; any bits are a float.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * T::LANES) }
    }
}
impl<T: Real> std::ops::DerefMut for Rows<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * T::LANES) }
    }
}
