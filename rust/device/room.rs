//! Room for what a file holds, without an abort where the machine has none.

use crate::error::{Error, Result};

/// The refusal where there is no room for `n` values of T.
pub(super) fn no_room<T>(n: usize) -> Error {
    Error::Limit { name: "bytes of memory for one recording", max: (n as u64).saturating_mul(size_of::<T>() as u64) }
}

/// Makes room for `more` values behind those that are there.
///
/// # Errors
/// [`Error::Limit`] where the machine has no room for them.
pub(super) fn make_room<T>(all: &mut Vec<T>, more: usize) -> Result<()> {
    all.try_reserve(more).map_err(|_| no_room::<T>(all.len().saturating_add(more)))
}

/// Appends a copy of `part`.
///
/// # Errors
/// [`Error::Limit`] where the machine has no room for it.
pub(super) fn join<T: Copy>(all: &mut Vec<T>, part: &[T]) -> Result<()> {
    make_room(all, part.len())?;
    all.extend_from_slice(part);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_no_machine_has_is_a_limit_and_not_an_abort() {
        let mut all = vec![1u64];
        let refused = make_room(&mut all, usize::MAX / 16);
        assert!(matches!(refused, Err(Error::Limit { max, .. }) if max > usize::MAX as u64 / 4), "{refused:?}");
        assert!(join(&mut all, &[2, 3]).is_ok());
        assert_eq!(all, [1, 2, 3]);
    }
}
