//! Numbers that stand for "no value": -9999 and the like, and values that no sensor measures.
//!
//! A value beyond [`FARTHEST`] is no acceleration. A number that programs write for a missing value (all nines, the ends of an integer)
//! is none if it is far beyond what the file measures, or if all three axes have it in the same row. How large the numbers of
//! a file are is told by the norm of its first rows, so that a file whose unit is wrong keeps its values.

/// No accelerometer that people wear measures more, g.
const FARTHEST: f32 = 500.0;
/// A code beyond this counts as missing even if one axis alone has it, g.
const FAR: f32 = 64.0;
/// The same, as multiples of the file's norm.
const TIMES_FARTHEST: f32 = 100.0;
const TIMES_FAR: f32 = 8.0;
/// The least code that all three axes may have.
const LEAST_NINES: f32 = 999.0;
/// What programs write for a missing value, apart from the sign.
const NINES: [f32; 12] =
    [99.0, 99.9, 99.99, 999.0, 999.9, 999.99, 9999.0, 9999.9, 9999.99, 99_999.0, 999_999.0, 9_999_999.0];
const ENDS: [f32; 5] = [32_767.0, 32_768.0, 65_535.0, 2_147_483_648.0, 4_294_967_296.0];

/// Bounds in the file's unit.
#[derive(Debug, Clone, Copy)]
pub struct Sentinels {
    farthest: f32,
    far: f32,
}

impl Default for Sentinels {
    fn default() -> Self {
        Self::of(0.0, 1.0)
    }
}

impl Sentinels {
    /// For a file whose numbers have this norm, in its unit, which is `scale` g.
    pub fn of(norm: f32, scale: f32) -> Self {
        Self { farthest: (FARTHEST / scale).max(TIMES_FARTHEST * norm), far: (FAR / scale).max(TIMES_FAR * norm) }
    }

    /// The values of a row that are missing.
    #[inline]
    pub fn find(&self, xyz: [f32; 3]) -> [bool; 3] {
        let [x, y, z] = xyz.map(f32::abs);
        if x.max(y).max(z) <= self.far && (x != y || y != z || x < LEAST_NINES) {
            return [false; 3];
        }
        self.find_among(xyz)
    }

    // out of line: few rows of any file are looked at
    #[cold]
    fn find_among(&self, xyz: [f32; 3]) -> [bool; 3] {
        let [x, y, z] = xyz;
        let is_code = |v: f32| NINES.contains(&v) || (v > self.far && ENDS.contains(&v));
        if x == y && y == z && x.abs() >= LEAST_NINES && is_code(x.abs()) {
            return [true; 3];
        }
        xyz.map(|v| v.abs() > self.farthest || (v.abs() > self.far && is_code(v.abs())))
    }

    /// Takes such values out of rows in memory, or only counts them. Returns the rows, from the first one counted.
    pub fn clear(&self, xyz: &mut [Vec<f32>; 3], only_count: bool) -> Vec<usize> {
        // nearly all rows of nearly all files are below both bounds: the loop that says so is one of vectors
        let bound = self.far.min(LEAST_NINES);
        if !xyz.iter().any(|axis| axis.iter().fold(false, |any, v| any | (v.abs() >= bound))) {
            return Vec::new();
        }
        let [x, y, z] = xyz;
        let mut rows = Vec::new();
        for (row, ((x, y), z)) in x.iter_mut().zip(y).zip(z).enumerate() {
            let missing = self.find([*x, *y, *z]);
            if missing == [false; 3] {
                continue;
            }
            rows.push(row);
            for (value, absent) in [x, y, z].into_iter().zip(missing) {
                if absent && !only_count {
                    *value = f32::NAN;
                }
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_what_no_sensor_measures_are_none() {
        let ms2 = Sentinels::of(9.81, 1.0 / 9.81);
        assert_eq!(ms2.find([-9999.0, 0.0, 9.8]), [true, false, false]);
        assert_eq!(ms2.find([1.0, -999.9, 9.8]), [false, true, false]);
        assert_eq!(ms2.find([1.0, 32_767.0, 9.8]), [false, true, false]);
        assert_eq!(ms2.find([1.0, 1e30, 9.8]), [false, true, false]);
        let mg = Sentinels::of(1000.0, 1e-3);
        assert_eq!(mg.find([-9999.0, -9999.0, -9999.0]), [true; 3]);
        assert_eq!(Sentinels::of(1.0, 1.0).find([99.0, 0.0, 1.0]), [true, false, false]);
    }

    #[test]
    fn what_a_sensor_may_measure_stays() {
        for (norm, scale, row) in [
            (1.0, 1.0, [16.0, -16.0, 16.0]),
            (1.0, 1.0, [9.0, 9.0, 9.0]),
            (1000.0, 1e-3, [-9999.0, 20.0, 999.0]),
            (1000.0, 1e-3, [15_999.0, 15_999.0, 15_999.0]),
            (9.81, 1.0 / 9.81, [99.0, 0.0, 99.9]),
            // counts under another unit, and thousandths that are called g
            (343.0, 1.0, [999.0, 1023.0, 0.0]),
            (1000.0, 1.0, [1600.0, 0.0, 999.0]),
            (16_384.0, 1.0 / 16_384.0, [32_767.0, 32_767.0, -32_768.0]),
        ] {
            assert_eq!(Sentinels::of(norm, scale).find(row), [false; 3], "{row:?}");
        }
        assert_eq!(Sentinels::default().find([f32::NAN; 3]), [false; 3]);
    }
}
