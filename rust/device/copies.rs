//! Blocks, records and pages that were written before: a file behind itself, or a part of it once more.

/// Searches among all earlier blocks that one file may cost.
const MAX_SEARCHES: u32 = 4096;

/// What tells each block of a file from all others, in their order.
#[derive(Debug, Default)]
pub(super) struct Copies {
    sums: Vec<u64>,
    /// The block that the next one should repeat, inside of a copy.
    next: Option<usize>,
    searches: u32,
}

impl Copies {
    /// Whether a block repeats an earlier one; remembers it where it does not. It is searched for where it goes `back` behind
    /// the blocks before it, and follows the one that was found before.
    pub(super) fn repeats(&mut self, sum: u64, back: bool) -> bool {
        let follows = self.next.is_some_and(|position| self.sums.get(position) == Some(&sum));
        let position = match self.next {
            Some(position) if follows => Some(position),
            _ if back && self.searches < MAX_SEARCHES => {
                self.searches += 1;
                self.sums.iter().rposition(|other| *other == sum)
            }
            _ => None,
        };
        self.next = position.map(|position| position + 1);
        if position.is_none() {
            self.sums.push(sum);
        }
        position.is_some()
    }
}

/// A sum over the parts that tell a block.
pub(super) fn sum_of(parts: impl IntoIterator<Item = u64>) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    parts.into_iter().fold(K, |sum, part| (sum ^ part).wrapping_mul(K).rotate_left(29))
}

/// The same over the first and last bytes of a block's samples.
pub(super) fn sum_of_ends(bytes: &[u8]) -> u64 {
    let end = bytes.len().saturating_sub(64);
    let parts = bytes.get(..64).unwrap_or(bytes).chunks(8).chain(bytes.get(end..).unwrap_or_default().chunks(8));
    let word = |part: &[u8]| part.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    sum_of(parts.map(word).chain([bytes.len() as u64]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_come_again_are_known_wherever_they_stood() {
        let mut copies = Copies::default();
        assert!((0..100u64).all(|i| !copies.repeats(sum_of([i]), false)));
        assert!((30..40u64).all(|i| copies.repeats(sum_of([i]), true)));
        assert!((0..100u64).all(|i| copies.repeats(sum_of([i]), true)));
        assert!(!copies.repeats(sum_of([100]), false));
        // what merely looks like an earlier block, and stands where it belongs, is one of its own
        assert!(!copies.repeats(sum_of([5]), false));
    }

    #[test]
    fn searches_are_bounded() {
        let mut copies = Copies::default();
        for i in 0..2 * u64::from(MAX_SEARCHES) {
            assert!(!copies.repeats(sum_of([i]), true));
        }
        assert!(!copies.repeats(sum_of([1]), true));
    }
}
