//! The types of pixels: bytes, or float32 normalised as ImageNet's pictures are.

use crate::spectral::memory::write_past_cache;

/// Means and standard deviations of ImageNet, for float32 pictures.
pub const IMAGENET: [[f64; 2]; 3] = [[0.485, 0.229], [0.456, 0.224], [0.406, 0.225]];

/// What a picture is made of.
pub trait Pixel: Copy + Default + Send + Sync {
    /// The pixels of greys in channel `k`.
    fn put(greys: &[u8], k: usize, out: &mut [Self]);
    /// The same, of a row of a batch that no cache holds; [`finish`](crate::spectral::memory::finish) must follow.
    fn put_past_cache(greys: &[u8], k: usize, out: &mut [Self]) {
        Self::put(greys, k, out);
    }
    /// The pixels as bytes, where a grey is a pixel as it is.
    fn greys(out: &mut [Self]) -> Option<&mut [u8]> {
        let _ = out;
        None
    }
}
impl Pixel for u8 {
    #[inline(always)]
    fn put(greys: &[u8], _: usize, out: &mut [Self]) {
        out.copy_from_slice(greys);
    }
    #[inline(always)]
    fn greys(out: &mut [Self]) -> Option<&mut [u8]> {
        Some(out)
    }
}
impl Pixel for f32 {
    /// (grey / 255 - mean) / sd
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // a plain loop is compiled for the caller's path
    fn put(greys: &[u8], k: usize, out: &mut [Self]) {
        let [mean, sd] = IMAGENET[k];
        let (gain, offset) = ((1.0 / (255.0 * sd)) as f32, (-mean / sd) as f32);
        let greys = &greys[..out.len()];
        for i in 0..out.len() {
            out[i] = f32::from(greys[i]) * gain + offset;
        }
    }
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // as above
    fn put_past_cache(greys: &[u8], k: usize, out: &mut [Self]) {
        let (chunks, rest) = out.as_chunks_mut::<16>();
        let (whole, last) = greys.split_at(16 * chunks.len());
        for (to, greys) in chunks.iter_mut().zip(whole.as_chunks::<16>().0) {
            let mut values = [0.0; 16];
            Self::put(greys, k, &mut values);
            write_past_cache(&values, to);
        }
        Self::put(last, k, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectral::memory::finish;

    #[test]
    fn a_row_past_the_cache_has_the_same_pixels_wherever_it_starts() {
        let greys: Vec<u8> = (0..=255).collect();
        for (n, start) in [(0, 0), (15, 0), (16, 0), (128, 0), (128, 1), (250, 3), (255, 4)] {
            for k in 0..3 {
                let (mut usual, mut out) = (vec![0.0f32; n], vec![0.0f32; start + n]);
                f32::put(&greys[..n], k, &mut usual);
                f32::put_past_cache(&greys[..n], k, &mut out[start..]);
                finish();
                assert!(out[start..] == usual, "{n} from {start}, channel {k}");
            }
        }
    }
}
