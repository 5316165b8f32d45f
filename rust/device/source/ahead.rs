//! Decompression on a thread of its own: the bytes that come next are made while those before them are decoded.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::threads;

/// Bytes that come out before a thread is worth its start.
const FIRST: u64 = 1 << 20;
/// Bytes of a piece, and pieces that wait.
const PIECE: usize = 1 << 17;
const PIECES: usize = 4;

/// A decompressor that runs ahead where more than one thread may be used; the bytes and errors are its own, in its order.
pub(super) enum Ahead {
    /// On the caller's thread, with the bytes that have come out.
    Here(Box<dyn Read + Send>, u64),
    /// On its own.
    There(Running),
    /// Behind the end, or an error.
    Ended,
}

pub(super) struct Running {
    /// `None` once dropped: the thread then ends.
    pieces: Option<Receiver<std::io::Result<Vec<u8>>>>,
    piece: Vec<u8>,
    taken: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ahead {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self::Here(reader, 0)
    }

    /// Moves the decompressor to a thread; back to this one where there is none to be had.
    fn start(reader: Box<dyn Read + Send>) -> Self {
        let (send, pieces) = sync_channel(PIECES);
        let (give, take) = sync_channel::<Box<dyn Read + Send>>(1);
        let stop = Arc::new(AtomicBool::new(false));
        let work = move || {
            let Ok(mut reader) = take.recv() else { return };
            loop {
                let mut piece = vec![0; PIECE];
                let read = reader.read(&mut piece).map(|n| {
                    piece.truncate(n);
                    piece
                });
                let ended = read.as_ref().map_or_else(|e| e.kind() != std::io::ErrorKind::Interrupted, Vec::is_empty);
                if send.send(read).is_err() || ended {
                    return;
                }
            }
        };
        let Ok(thread) = threads::ahead(stop.clone(), work) else { return Self::Here(reader, 0) };
        match give.send(reader) {
            Ok(()) => {
                Self::There(Running { pieces: Some(pieces), piece: Vec::new(), taken: 0, stop, thread: Some(thread) })
            }
            Err(back) => Self::Here(back.0, 0),
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if matches!(self, Self::Here(_, out) if *out >= FIRST)
            && threads::count() > 1
            && let Self::Here(reader, _) = std::mem::replace(self, Self::Ended)
        {
            *self = Self::start(reader);
        }
        match self {
            Self::Here(reader, out) => {
                let n = reader.read(buffer)?;
                *out += n as u64;
                Ok(n)
            }
            Self::There(running) => {
                let outcome = running.read(buffer);
                let ended = outcome.as_ref().map_or_else(|e| e.kind() != std::io::ErrorKind::Interrupted, |n| *n == 0);
                if ended && !buffer.is_empty() {
                    *self = Self::Ended;
                }
                outcome
            }
            Self::Ended => Ok(0),
        }
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.taken == self.piece.len() && !buffer.is_empty() {
            // a thread that ended without a last piece panicked
            let next = self.pieces.as_ref().and_then(|pieces| pieces.recv().ok());
            self.piece = next.ok_or_else(|| std::io::Error::other("the decompressor panicked"))??;
            self.taken = 0;
        }
        let rest = self.piece.get(self.taken..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.taken += n;
        Ok(n)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// Bytes that count up, and what comes behind them.
    struct Counting(usize, Option<std::io::ErrorKind>);

    impl Read for Counting {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return self.1.map_or(Ok(0), |kind| Err(kind.into()));
            }
            let n = self.0.min(buffer.len()).min(70_001);
            buffer.iter_mut().take(n).enumerate().for_each(|(i, byte)| *byte = ((self.0 - i) % 251) as u8);
            self.0 -= n;
            Ok(n)
        }
    }

    fn all(end: Option<std::io::ErrorKind>) -> (Vec<u8>, std::io::Result<usize>, bool) {
        let mut ahead = Ahead::new(Box::new(Counting(5 << 20, end)));
        let (mut out, mut buffer) = (Vec::new(), vec![0; 50_000]);
        let mut moved = false;
        loop {
            let read = ahead.read(&mut buffer);
            moved |= matches!(ahead, Ahead::There(_));
            match read {
                Ok(n) if n > 0 => out.extend_from_slice(&buffer[..n]),
                end => return (out, end, moved),
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hours under Miri")]
    fn bytes_and_errors_of_the_thread_are_those_of_the_decompressor() {
        let expected: Vec<u8> = (1..=5 << 20).rev().map(|left: usize| (left % 251) as u8).collect();
        let (out, end, moved) = all(None);
        assert_eq!(moved, threads::count() > 1);
        assert!(out == expected && end.unwrap() == 0);
        let (out, end, _) = all(Some(std::io::ErrorKind::UnexpectedEof));
        assert!(out == expected && end.unwrap_err().kind() == std::io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_recording_that_is_left_in_the_middle_ends_its_thread() {
        let mut ahead = Ahead::start(Box::new(Counting(usize::MAX, None)));
        assert_eq!(ahead.read(&mut [0; 7]).unwrap(), 7);
        drop(ahead); // waits for ever if the thread goes on
    }
}
