//! Tiles of bytes, and products of 16-bit lanes.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Side of the squares of bytes that are transposed at once.
pub const TILE: usize = 16;

/// Turns a tile, whose rows lie `from_pitch` apart, into one whose rows lie `to_pitch` apart.
///
/// # Safety
/// All rows of both may be read and written for [`TILE`] bytes.
#[inline(always)]
#[allow(clippy::needless_range_loop, unused_unsafe)] // plain loops are what the compiler inlines and unrolls
pub unsafe fn transpose(from: *const u8, from_pitch: usize, to: *mut u8, to_pitch: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64; rows are the caller's promise.
    unsafe {
        // Four rounds of interleaving row i with row i + 8 bring byte (i, j) to (j, i).
        let mut rows = [_mm_setzero_si128(); TILE];
        for i in 0..TILE {
            rows[i] = _mm_loadu_si128(from.add(i * from_pitch).cast());
        }
        for _ in 0..4 {
            let before = rows;
            for i in 0..8 {
                rows[2 * i] = _mm_unpacklo_epi8(before[i], before[i + 8]);
                rows[2 * i + 1] = _mm_unpackhi_epi8(before[i], before[i + 8]);
            }
        }
        for i in 0..TILE {
            _mm_storeu_si128(to.add(i * to_pitch).cast(), rows[i]);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..TILE {
        for j in 0..TILE {
            // SAFETY: the caller's promise.
            unsafe { *to.add(j * to_pitch + i) = *from.add(i * from_pitch + j) };
        }
    }
}

/// [`transpose`] by the instructions of NEON.
///
/// # Safety
/// As [`transpose`].
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
#[inline]
#[allow(clippy::needless_range_loop)] // as in `transpose`
pub unsafe fn transpose_neon(from: *const u8, from_pitch: usize, to: *mut u8, to_pitch: usize) {
    // SAFETY: rows are the caller's promise.
    let mut rows = std::array::from_fn::<_, TILE, _>(|i| unsafe { vld1q_u8(from.add(i * from_pitch)) });
    // As on x86-64.
    for _ in 0..4 {
        let before = rows;
        for i in 0..8 {
            rows[2 * i] = vzip1q_u8(before[i], before[i + 8]);
            rows[2 * i + 1] = vzip2q_u8(before[i], before[i + 8]);
        }
    }
    for i in 0..TILE {
        // SAFETY: rows are the caller's promise.
        unsafe { vst1q_u8(to.add(i * to_pitch), rows[i]) };
    }
}

/// Turns two tiles, in the halves of the vectors, into rows of both that lie `pitch` apart.
///
/// # Safety
/// The CPU has AVX2; all rows of `to` may be written for two tiles' bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(clippy::needless_range_loop)] // as in `transpose`
pub(super) unsafe fn turn_pair(mut rows: [__m256i; TILE], to: *mut u8, pitch: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        // As in `transpose`.
        for _ in 0..4 {
            let before = rows;
            for i in 0..8 {
                rows[2 * i] = _mm256_unpacklo_epi8(before[i], before[i + 8]);
                rows[2 * i + 1] = _mm256_unpackhi_epi8(before[i], before[i + 8]);
            }
        }
        for i in 0..TILE {
            _mm256_storeu_si256(to.add(i * pitch).cast(), rows[i]);
        }
    }
}

/// The high halves of the products of 16-bit lanes.
///
/// By name: of the intrinsic the compiler makes a widening product, hoists half of the widening out of the loop, and no longer
/// sees that one instruction does it all. That took a third of a picture's time.
///
/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(super) unsafe fn high_product_avx2(a: __m256i, b: __m256i) -> __m256i {
    let product;
    // SAFETY: an instruction of AVX2 on registers.
    unsafe {
        std::arch::asm!("vpmulhuw {}, {}, {}", lateout(ymm_reg) product, in(ymm_reg) a, in(ymm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    product
}

/// As [`high_product_avx2`], of AVX-512.
///
/// # Safety
/// The CPU has AVX-512BW.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) unsafe fn high_product_avx512(a: __m512i, b: __m512i) -> __m512i {
    let product;
    // SAFETY: an instruction of AVX-512BW on registers.
    unsafe {
        std::arch::asm!("vpmulhuw {}, {}, {}", lateout(zmm_reg) product, in(zmm_reg) a, in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags));
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_transposed() {
        let tile: [[u8; TILE]; TILE] = std::array::from_fn(|i| std::array::from_fn(|j| (16 * i + j) as u8));
        let mut turned = [[0u8; TILE]; TILE];
        // SAFETY: two whole tiles.
        unsafe { transpose(tile.as_ptr().cast(), TILE, turned.as_mut_ptr().cast(), TILE) };
        assert!((0..256).all(|k| turned[k % 16][k / 16] == k as u8));
        #[cfg(target_arch = "aarch64")]
        {
            let mut turned = [[0u8; TILE]; TILE];
            // SAFETY: as above.
            unsafe { transpose_neon(tile.as_ptr().cast(), TILE, turned.as_mut_ptr().cast(), TILE) };
            assert!((0..256).all(|k| turned[k % 16][k / 16] == k as u8));
        }
    }
}
