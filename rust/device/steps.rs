//! Steps of the loops over a file's bytes, blocks and rows, counted in tests alone: time is linear in what is read, and Ctrl-C
//! is asked for every few of them.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
    /// Steps since the last question, which question that was, and the most steps without one.
    static UNASKED: Cell<(u64, u64, u64)> = const { Cell::new((0, 0, 0)) };
}

/// Counts `n` steps: bytes, blocks or rows that a loop looks at or moves.
#[inline(always)]
pub(super) fn count(n: usize) {
    #[cfg(test)]
    {
        STEPS.set(STEPS.get() + n as u64);
        let (since, question, most) = UNASKED.get();
        let asked = crate::threads::asked();
        let since = n as u64 + if asked == question { since } else { 0 };
        UNASKED.set((since, asked, most.max(since)));
    }
    #[cfg(not(test))]
    let _ = n;
}

/// Steps since the last call.
#[cfg(test)]
pub(super) fn taken() -> u64 {
    STEPS.replace(0)
}

/// The most steps without a question for Ctrl-C since the last call.
#[cfg(test)]
pub(super) fn unasked() -> u64 {
    UNASKED.replace((0, crate::threads::asked(), 0)).2
}
