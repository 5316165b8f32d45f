//! The one thread pool.
//!
//! A batch is split into more items than threads; the caller takes items as its helpers do and, when none are left, closes
//! the job. It then waits only for helpers that are in the middle of an item, never for one that the scheduler has not yet
//! let run: on a busy machine the work costs what it costs on one thread, not a scheduler's time slice more.
//!
//! `IMUSPEC_THREADS` sets the size (default: the cores this process may use). A forked child has no helper threads, so
//! [`after_fork`] makes it single-threaded from then on. Whatever another thread held at the fork stays locked in the child, so
//! no lock that outlives a call is ever waited for there: the pool's is not touched, and [`Spares`] only tries.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

type Work = dyn Fn() + Sync;

/// A borrowed job whose lifetime the caller of [`broadcast`] guarantees by waiting.
#[derive(Clone, Copy)]
struct Job(*const Work);
#[allow(unsafe_code)]
// SAFETY: the pointee is Sync, and `broadcast` does not return before every helper has left it.
unsafe impl Send for Job {}

struct State {
    job: Option<Job>,
    invited: usize,
    active: usize,
    started: usize,
    panicked: bool,
}

struct Pool {
    state: Mutex<State>,
    arrived: Condvar,
    left: Condvar,
}

static POOL: Pool = Pool {
    state: Mutex::new(State { job: None, invited: 0, active: 0, started: 0, panicked: false }),
    arrived: Condvar::new(),
    left: Condvar::new(),
};
static FORKED: AtomicBool = AtomicBool::new(false);
/// 0: not set, take the environment's.
static SET: AtomicUsize = AtomicUsize::new(0);
/// 0: not read yet. No lock: whoever reads the environment at the same time reads the same.
static FROM_ENVIRONMENT: AtomicUsize = AtomicUsize::new(0);
static INTERRUPTED: OnceLock<fn() -> bool> = OnceLock::new();

fn lock() -> MutexGuard<'static, State> {
    POOL.state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Threads that a batch may use, the caller's included.
pub fn count() -> usize {
    if FORKED.load(Ordering::Relaxed) {
        return 1;
    }
    match SET.load(Ordering::Relaxed) {
        0 => match FROM_ENVIRONMENT.load(Ordering::Relaxed) {
            0 => {
                let n = std::env::var("IMUSPEC_THREADS")
                    .ok()
                    .and_then(|v| v.trim().parse::<usize>().ok())
                    .filter(|&n| n > 0)
                    .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
                FROM_ENVIRONMENT.store(n, Ordering::Relaxed);
                n
            }
            n => n,
        },
        n => n,
    }
}

/// Sets the number of threads for batches that start from now on; 0 returns to the environment's.
pub fn set_count(n: usize) {
    SET.store(n, Ordering::Relaxed);
}

/// Called in a forked child: its pool has no helpers, so every batch runs on the caller's thread.
pub fn after_fork() {
    FORKED.store(true, Ordering::Relaxed);
}

#[cfg(test)]
thread_local! {
    static ASKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How often this thread has asked for Ctrl-C.
#[cfg(test)]
pub(crate) fn asked() -> u64 {
    ASKED.get()
}

thread_local! {
    /// Set on a thread that works ahead of another, which asks for Ctrl-C in its place and tells it to stop.
    static TOLD: std::cell::RefCell<Option<Arc<AtomicBool>>> = const { std::cell::RefCell::new(None) };
}

/// Starts a thread that works ahead of its caller. Its questions for Ctrl-C become the question whether `stop` was set: the
/// interpreter answers its first thread alone, and may end before this one.
///
/// # Errors
/// The system's, where there are no more threads to be had.
pub fn ahead(
    stop: Arc<AtomicBool>,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("imuspec".into()).spawn(move || {
        TOLD.set(Some(stop));
        work();
    })
}

/// Installs the question "did the user press Ctrl-C?", which long loops ask through [`check_interrupt`].
pub fn set_interrupt_hook(hook: fn() -> bool) {
    let _ = INTERRUPTED.set(hook);
}

/// [`Error::Interrupted`] once the user has pressed Ctrl-C. Costs a call into the interpreter: ask a few times a second.
pub fn check_interrupt() -> Result<()> {
    #[cfg(test)]
    ASKED.set(ASKED.get() + 1);
    if let Some(stopped) = TOLD.with_borrow(|stop| stop.as_ref().map(|stop| stop.load(Ordering::Relaxed))) {
        return if stopped { Err(Error::Interrupted) } else { Ok(()) };
    }
    match INTERRUPTED.get() {
        Some(hook) if hook() => Err(Error::Interrupted),
        _ => Ok(()),
    }
}

/// Unwinds with [`Interrupted`] if the user has pressed Ctrl-C: for items that take longer than a moment. On a thread other
/// than Python's first it does nothing.
pub fn ask() {
    if check_interrupt().is_err() {
        resume_unwind(Box::new(Interrupted));
    }
}

/// Threads worth waking for `nanoseconds` of single-threaded work: one below 200 us.
pub fn worth(nanoseconds: f64) -> usize {
    if nanoseconds < 200e3 { 1 } else { count() }
}

/// What unwinds a batch that the user interrupts; the boundary turns it into [`Error::Interrupted`].
#[derive(Debug)]
pub struct Interrupted;

/// How often a batch asks for Ctrl-C.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The time of the last question, for the thread that called the batch.
struct Asking(Instant);

impl Asking {
    /// Unwinds with [`Interrupted`] if the user has pressed Ctrl-C since the last question.
    fn ask(&mut self, stop: &AtomicBool) {
        if self.0.elapsed() < ASK_EVERY {
            return;
        }
        self.0 = Instant::now();
        if check_interrupt().is_err() {
            stop.store(true, Ordering::Relaxed);
            resume_unwind(Box::new(Interrupted));
        }
    }
}

/// Runs `work(scratch, item)` for every item, on at most `threads` threads; each thread makes its scratch once with `init`.
///
/// Which thread takes which item is not fixed, so `work` must depend on its item alone. Between items the caller's thread
/// asks for Ctrl-C; the batch then ends by unwinding with [`Interrupted`], its output unfinished.
pub fn for_each<I, S>(threads: usize, items: I, init: impl Fn() -> S + Sync, work: impl Fn(&mut S, I::Item) + Sync)
where
    I: Iterator + Send,
{
    if threads <= 1 || FORKED.load(Ordering::Relaxed) {
        let (mut scratch, mut asking, stop) = (init(), Asking(Instant::now()), AtomicBool::new(false));
        items.for_each(|item| {
            asking.ask(&stop);
            work(&mut scratch, item);
        });
        return;
    }
    let (items, stop, caller) = (Mutex::new(items), AtomicBool::new(false), std::thread::current().id());
    let next = || {
        let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.load(Ordering::Relaxed) { None } else { items.next() }
    };
    broadcast(threads - 1, &|| {
        if let Some(first) = next() {
            let mut scratch = init();
            let mut item = Some(first);
            let mut asking = (std::thread::current().id() == caller).then(|| Asking(Instant::now()));
            while let Some(i) = item {
                if let Some(asking) = &mut asking {
                    asking.ask(&stop);
                }
                work(&mut scratch, i);
                item = next();
            }
        }
    });
}

/// Working memory between calls: each thread borrows a piece and gives it back.
///
/// Nobody waits for the list: while another thread has it, and for ever in a child that was forked just then, a piece is made
/// again or dropped instead.
#[derive(Debug)]
pub struct Spares<S>(Mutex<Vec<S>>);

impl<S> Default for Spares<S> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<S> Spares<S> {
    /// A piece that was given back, else a new one from `make`; it returns when it is dropped.
    pub fn lend(&self, make: impl FnOnce() -> S) -> Lent<'_, S> {
        let spare = self.0.try_lock().ok().and_then(|mut list| list.pop());
        Lent { spares: self, piece: ManuallyDrop::new(spare.unwrap_or_else(make)) }
    }
}

/// A borrowed piece of [`Spares`].
#[derive(Debug)]
pub struct Lent<'a, S> {
    spares: &'a Spares<S>,
    piece: ManuallyDrop<S>,
}

impl<S> std::ops::Deref for Lent<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.piece
    }
}

impl<S> std::ops::DerefMut for Lent<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.piece
    }
}

impl<S> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        #[allow(unsafe_code)]
        // SAFETY: the piece is taken here alone, and `self` is not used again.
        let piece = unsafe { ManuallyDrop::take(&mut self.piece) };
        if let Ok(mut list) = self.spares.0.try_lock() {
            list.push(piece);
        }
    }
}

/// Runs `work` on the caller's thread and on up to `helpers` others that arrive before the caller has finished.
fn broadcast(helpers: usize, work: &(dyn Fn() + Sync)) {
    {
        let mut state = lock();
        if state.job.is_some() || state.active > 0 {
            drop(state); // another Python thread uses the pool: do not wait for it
            return work();
        }
        #[allow(unsafe_code)]
        // SAFETY: only the lifetime is erased; this function clears the job and waits for `active == 0` before it returns.
        let erased = unsafe { std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const Work>(work) };
        state.job = Some(Job(erased));
        state.invited = helpers;
        state.panicked = false;
        while state.started < helpers {
            let spawned = std::thread::Builder::new().name("imuspec".into()).spawn(helper);
            if spawned.is_err() {
                break; // no more threads to be had: the caller does the rest
            }
            state.started += 1;
        }
    }
    POOL.arrived.notify_all();
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let mut state = lock();
    state.job = None;
    while state.active > 0 {
        state = POOL.left.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    let panicked = state.panicked;
    drop(state);
    if let Err(payload) = outcome {
        resume_unwind(payload);
    }
    assert!(!panicked, "a helper thread panicked");
}

fn helper() {
    let mut state = lock();
    loop {
        if let (Some(job), true) = (state.job, state.invited > 0) {
            state.invited -= 1;
            state.active += 1;
            drop(state);
            #[allow(unsafe_code)]
            // SAFETY: `active` was raised under the lock while the job was set, so its owner waits for us.
            let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (*job.0)() }));
            state = lock();
            state.active -= 1;
            state.panicked |= outcome.is_err();
            if state.active == 0 {
                POOL.left.notify_all();
            }
        } else {
            state = POOL.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_whatever_the_threads() {
        for threads in [1, 2, 3, 8] {
            let mut out = vec![0u32; if cfg!(miri) { 307 } else { 10_007 }];
            for _ in 0..20 {
                for_each(threads, out.chunks_mut(97), || (), |_, chunk| chunk.iter_mut().for_each(|v| *v += 1));
            }
            assert!(out.iter().all(|&v| v == 20));
        }
    }

    #[test]
    fn a_nested_batch_runs_on_its_caller() {
        let mut out = vec![0u32; 64];
        for_each(
            2,
            out.chunks_mut(8),
            || (),
            |_, chunk| {
                for_each(2, chunk.iter_mut(), || (), |_, v| *v = 7);
            },
        );
        assert!(out.iter().all(|&v| v == 7));
    }

    #[test]
    fn a_piece_that_was_lent_is_lent_again() {
        let spares = Spares::default();
        spares.lend(|| vec![1]).push(2);
        assert_eq!(*spares.lend(Vec::new), [1, 2]);
    }

    #[test]
    fn nobody_waits_for_spares_whose_lock_was_never_given_back() {
        // What a child sees that was forked while a thread of its parent was in the list.
        let spares = Spares::default();
        let held = spares.0.lock().unwrap();
        assert_eq!(*spares.lend(|| 7), 7);
        drop(held);
        assert_eq!(*spares.lend(|| 8), 8);
    }

    #[test]
    fn a_panic_in_an_item_reaches_the_caller_and_the_pool_lives_on() {
        let outcome = catch_unwind(|| {
            for_each(2, 0..100, || (), |_, i| assert!(i != 50, "item 50"));
        });
        assert!(outcome.is_err());
        let mut out = [0u8; 100];
        for_each(2, out.iter_mut(), || (), |_, v| *v = 1);
        assert!(out.iter().all(|&v| v == 1));
    }
}
