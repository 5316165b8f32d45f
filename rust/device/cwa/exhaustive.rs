//! Packed samples and times against their plain definition: a sample of the 2^32 words, and with `make exhaustive` all.

use super::block::{seconds, unpack_on};
use crate::cpu::Path;

const WORDS: u64 = 1 << 32;
/// Words that are unpacked together, as many as a block has.
const TOGETHER: usize = 120;
/// Words from one that an ordinary run looks at to the next: a prime, so that all bits change.
const STEP: usize = 65_521;

/// The definition: three signed values of 10 bits, shifted left by the two bits on top.
fn plain(word: u32) -> [f32; 3] {
    [0, 10, 20].map(|shift| {
        let value = i64::from(word >> shift & 1023);
        let signed = if value >= 512 { value - 1024 } else { value };
        (signed * (1 << (word >> 30))) as f32
    })
}

fn check_words(words: impl Iterator<Item = u64>) {
    let mut words = words.map(|word| word as u32).peekable();
    let (paths, mut data, mut xyz) = (Path::available(), Vec::new(), [[0f32; TOGETHER]; 3]);
    while words.peek().is_some() {
        let part: Vec<u32> = words.by_ref().take(TOGETHER).collect();
        data.clear();
        part.iter().for_each(|word| data.extend_from_slice(&word.to_le_bytes()));
        for &path in &paths {
            unpack_on(path, &data, 1.0, xyz.each_mut().map(|axis| axis.as_mut_slice()));
            for (i, word) in part.iter().enumerate() {
                let unpacked = xyz.each_ref().map(|axis| axis.get(i).copied().unwrap_or(f32::NAN));
                assert_eq!(unpacked, plain(*word), "{path:?} {word:#010x}");
            }
        }
    }
}

/// Days before each month of 64 years from 2000 on, counted one after the other; the 28 to 31 days of each.
fn months() -> Vec<(i64, u32)> {
    let mut before = 10_957; // days from 1970 to 2000
    let mut months = Vec::new();
    for year in 2000..2064u32 {
        let february = if year.is_multiple_of(4) { 29 } else { 28 };
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            months.push((before, days));
            before += i64::from(days);
        }
    }
    months
}

fn check_times(words: impl Iterator<Item = u64>) {
    let months = months();
    for word in words.map(|word| word as u32) {
        let field = |shift: u32, bits: u32| word >> shift & ((1 << bits) - 1);
        let [year, month, day] = [field(26, 6), field(22, 4), field(17, 5)];
        let [hour, minute, second] = [field(12, 5), field(6, 6), field(0, 6)];
        let of_month = month.checked_sub(1).filter(|m| *m < 12).and_then(|m| months.get((12 * year + m) as usize));
        let expected = of_month
            .filter(|(_, days)| (1..=*days).contains(&day) && hour < 24 && minute < 60 && second < 60)
            .map(|(before, _)| (before + i64::from(day) - 1) * 86_400 + i64::from(3600 * hour + 60 * minute + second));
        assert_eq!(seconds(word), expected, "{word:#010x}");
    }
}

#[test]
fn packed_samples_and_times_are_their_plain_definition() {
    check_words((0..WORDS).step_by(STEP));
    check_times((0..WORDS).step_by(STEP));
}

#[test]
#[ignore = "minutes: make exhaustive"]
fn every_packed_sample_is_its_plain_definition() {
    check_words(0..WORDS);
}

#[test]
#[ignore = "minutes: make exhaustive"]
fn every_packed_time_is_its_plain_definition() {
    check_times(0..WORDS);
}
