//! Samples that are in memory already, as a [`Reader`]: what Parquet and NPZ files hold, or any array.

use super::{Batch, Block, Event, Header, Quality, Reader, Stamp};
use crate::error::{Error, Result};

/// Rows handed out in one call.
const BATCH: usize = 16_384;

/// Columns of a recording. Those that it does not have stay empty; the others are as long as `time`.
#[derive(Debug, Clone, Default)]
pub struct Arrays {
    /// ns since 1970, local device clock.
    pub time: Vec<i64>,
    /// Acceleration, g.
    pub xyz: [Vec<f32>; 3],
    /// Angular rate, degrees a second.
    pub gyro: [Vec<f32>; 3],
    /// Lux.
    pub light: Vec<f32>,
    /// Degrees Celsius.
    pub temperature: Vec<f32>,
    /// Index into [`Header::labels`], -1 where there is none.
    pub annotation: Vec<i32>,
}

/// A reader over [`Arrays`].
pub struct ArrayReader {
    header: Header,
    arrays: Arrays,
    rate: f64,
    at: usize,
}

impl ArrayReader {
    /// Takes columns and what is known of them. Without a nominal rate the median step of the times gives one.
    ///
    /// # Errors
    /// [`Error::Shape`] where columns differ in length; [`Error::Malformed`] without a sample.
    pub fn new(mut header: Header, arrays: Arrays) -> Result<Self> {
        let n = arrays.time.len();
        let full = arrays.xyz.iter().map(Vec::len);
        let others = arrays.gyro.iter().map(Vec::len).chain([
            arrays.light.len(),
            arrays.temperature.len(),
            arrays.annotation.len(),
        ]);
        if let Some(got) = full.chain(others.filter(|len| *len > 0)).find(|len| *len != n) {
            return Err(Error::shape("columns", format!("{n} values, as many as times"), got));
        }
        if n == 0 {
            return Err(Error::malformed("arrays", 0, "expected at least one sample, got none"));
        }
        if header.format.is_empty() {
            header.format = "arrays";
        }
        let rate = if header.nominal_rate > 0.0 { header.nominal_rate } else { rate_of(&arrays.time) };
        Ok(Self { header, arrays, rate, at: 0 })
    }
}

/// One over the median of the first 10,000 positive steps; 1 without any.
fn rate_of(time: &[i64]) -> f64 {
    let mut steps: Vec<i64> = time
        .windows(2)
        .take(10_000)
        .filter_map(|w| w.last()?.checked_sub(*w.first()?))
        .filter(|step| *step > 0)
        .collect();
    let middle = steps.len() / 2;
    if steps.is_empty() { 1.0 } else { 1e9 / *steps.select_nth_unstable(middle).1 as f64 }
}

impl Reader for ArrayReader {
    fn header(&self) -> &Header {
        &self.header
    }

    fn size_hint(&self) -> Option<u64> {
        Some(self.arrays.time.len() as u64)
    }

    fn read(&mut self, batch: &mut Batch, quality: &mut Quality) -> Result<bool> {
        fn extend<T: Copy>(to: &mut Vec<T>, from: &[T], part: std::ops::Range<usize>) {
            to.extend_from_slice(from.get(part).unwrap_or_default());
        }
        let part = self.at..(self.at + BATCH).min(self.arrays.time.len());
        let planar = batch.xyz.iter_mut().chain(&mut batch.gyro);
        for (to, from) in planar.zip(self.arrays.xyz.iter().chain(&self.arrays.gyro)) {
            extend(to, from, part.clone());
        }
        extend(&mut batch.time, &self.arrays.time, part.clone());
        extend(&mut batch.light, &self.arrays.light, part.clone());
        extend(&mut batch.temperature, &self.arrays.temperature, part.clone());
        extend(&mut batch.annotation, &self.arrays.annotation, part.clone());
        let [x, y, z] = &self.arrays.xyz;
        let finite = |i: usize| [x, y, z].iter().all(|c| c.get(i).is_some_and(|v| v.is_finite()));
        let missing = part.clone().filter(|i| !finite(*i)).count() as u64;
        if missing > 0 {
            let time = self.arrays.time.get(part.start).copied();
            quality.note(Event { time, count: missing, ..Event::at("missing_values", 0, part.start as u64) });
        }
        if !part.is_empty() {
            batch.blocks.push(Block {
                n: part.len() as u32,
                offset: 0,
                index: part.start as u64,
                rate: self.rate,
                stamp: Stamp::Each,
                new_run: false,
                temperature: f32::NAN,
                light: f32::NAN,
                battery: f32::NAN,
            });
        }
        self.at = part.end;
        Ok(self.at < self.arrays.time.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::super::columns::collect;
    use super::super::{Stream, Timestamps};
    use super::*;

    fn arrays(time: Vec<i64>) -> Arrays {
        let n = time.len();
        Arrays { time, xyz: [0.0, 0.5, 1.0].map(|v| vec![v; n]), ..Arrays::default() }
    }

    #[test]
    fn arrays_come_out_as_they_went_in_and_a_hole_ends_the_run() {
        let mut time: Vec<i64> = (0..40_000).map(|i| i * 10_000_000).collect();
        time.iter_mut().skip(30_000).for_each(|t| *t += 5_000_000_000);
        let reader = ArrayReader::new(Header::default(), arrays(time.clone())).unwrap();
        let all = collect(Stream::new(Box::new(reader), Timestamps::Device)).unwrap();
        assert_eq!(all.len, 40_000);
        assert_eq!(&all.time[..40_000], &time[..]);
        assert_eq!(all.run_starts, vec![0, 30_000]);
        assert_eq!(all.summary.quality.count("gap"), 1);
        assert!((all.summary.sample_rate - 100.0).abs() < 1e-9, "{}", all.summary.sample_rate);
        assert_eq!(all.xyz.values[all.xyz.capacity], 0.5);
    }

    #[test]
    fn columns_of_different_lengths_and_no_samples_are_refused() {
        let mut wrong = arrays(vec![0, 10]);
        wrong.light = vec![1.0];
        assert!(matches!(ArrayReader::new(Header::default(), wrong), Err(Error::Shape(_))));
        assert!(matches!(ArrayReader::new(Header::default(), arrays(Vec::new())), Err(Error::Malformed { .. })));
    }
}
