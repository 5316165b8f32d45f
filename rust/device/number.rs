//! Numbers of text files: the usual forms fast, all others by the standard library.

const F32_POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
const F64_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Digits of `text` as one integer, and how many stand behind the point. `None` for anything but sign, digits and one point
/// or comma, and for more than 19 digits.
#[inline]
fn decimal(text: &[u8]) -> Option<(bool, u64, usize)> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.len() > 20 {
        return None;
    }
    let mut value = 0u64;
    let mut point = None;
    for (i, b) in digits.iter().enumerate() {
        let digit = b.wrapping_sub(b'0');
        if digit < 10 {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if matches!(b, b'.' | b',') && point.is_none() {
            point = Some(i);
        } else {
            return None;
        }
    }
    let count = digits.len() - usize::from(point.is_some());
    let decimals = point.map_or(0, |p| digits.len() - 1 - p);
    (1..=19).contains(&count).then_some((negative, value, decimals))
}

/// The nearest f32 of a decimal number, with a point or a comma; exactly what [`str::parse`] gives. Not finite: `None`.
///
/// # Source
/// Clinger, "How to read floating point numbers accurately" (1990): an integer below 2^24 (2^53) over a power of ten that
/// is itself exact is rounded once.
#[inline]
pub fn float(text: &[u8]) -> Option<f32> {
    if let Some((negative, value, decimals)) = decimal(text) {
        if let Some(power) = F32_POWERS.get(decimals).filter(|_| value < 1 << 24) {
            let v = value as f32 / power;
            return Some(if negative { -v } else { v });
        }
        if let Some(power) = F64_POWERS.get(decimals).filter(|_| value < 1 << 53) {
            let v = value as f64 / power;
            // rounded twice: wrong only where the first landed on the middle of two f32
            if v.to_bits() & 0x1fff_ffff != 0x1000_0000 && v > 1e-30 {
                return Some(if negative { -v } else { v } as f32);
            }
        }
    }
    slow(text)
}

#[cold]
fn slow(text: &[u8]) -> Option<f32> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let v: f32 = if text.contains(',') { text.replace(',', ".").parse() } else { text.parse() }.ok()?;
    v.is_finite().then_some(v)
}

/// A count of units of 10^-`exponent` s, with decimals, as ns: digits beyond a ns are cut.
///
/// `exponent` 9 is seconds, 6 ms, 3 us, 0 ns.
#[inline]
pub fn nanoseconds(text: &[u8], exponent: u32) -> Option<i64> {
    if let Some((negative, value, decimals)) = decimal(text) {
        let decimals = decimals as u32;
        let ns = if decimals <= exponent {
            i64::try_from(value).ok()?.checked_mul(10i64.checked_pow(exponent - decimals)?)?
        } else {
            i64::try_from(value / 10u64.checked_pow(decimals - exponent)?).ok()?
        };
        return Some(if negative { -ns } else { ns });
    }
    let text = std::str::from_utf8(text).ok()?;
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let v = text.parse::<f64>().ok()? * 10f64.powi(exponent as i32);
    (v.abs() < 9e18).then_some(v as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn a_float_is_what_the_standard_library_says() {
        let fixed = [
            "0",
            "-0",
            "1",
            "-1",
            "+1.5",
            "0.328125",
            "-0.38611975",
            ".5",
            "5.",
            "123456789",
            "16777216",
            "16777217",
            "0.1",
            "0.2",
            "0.30000001192092896",
            "1e-3",
            "-2.5E+2",
            "9.80665",
            "3.4028235e38",
            "1e-40",
            "0.000000000001",
            "16777217.0",
            "33554435",
            "0.00000005960464477539063",
            "00000000000000000001.5",
            "8.589973e9",
        ];
        for text in fixed {
            assert_eq!(float(text.as_bytes()).map(f32::to_bits), text.parse::<f32>().ok().map(f32::to_bits), "{text}");
        }
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (state >> 20) as i64 % 10i64.pow(1 + (state >> 8) as u32 % 12);
            let text = format!("{}.{:0w$}", value / 1000, value.abs() % 100_000, w = 1 + (state >> 4) as usize % 9);
            assert_eq!(float(text.as_bytes()), text.parse::<f32>().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_finite_number_is_none() {
        for text in ["", "-", ".", "nan", "inf", "-inf", "1e99", "0x10", "1.2.3", "1 2", "x", "--1", "1-", ","] {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        assert_eq!(float(b"0,25"), Some(0.25));
        assert_eq!(float(b"1,5e1"), Some(15.0));
    }

    #[test]
    fn times_keep_every_nanosecond() {
        assert_eq!(nanoseconds(b"1551178506.0100", 9), Some(1_551_178_506_010_000_000));
        assert_eq!(nanoseconds(b"1551178506.123456789", 9), Some(1_551_178_506_123_456_789));
        assert_eq!(nanoseconds(b"1551178506010.5", 6), Some(1_551_178_506_010_500_000));
        assert_eq!(nanoseconds(b"1551178506010000000", 0), Some(1_551_178_506_010_000_000));
        assert_eq!(nanoseconds(b"-0.5", 9), Some(-500_000_000));
        assert_eq!(nanoseconds(b"0.12345678912", 9), Some(123_456_789));
        assert_eq!(nanoseconds(b"1.5e9", 9), Some(1_500_000_000_000_000_000));
        for invalid in ["", "-", "x", "99999999999999999", "1e400", "nan"] {
            assert_eq!(nanoseconds(invalid.as_bytes(), 9), None, "{invalid}");
        }
    }
}
