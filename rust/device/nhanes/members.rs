//! The members that are still to come, of a folder, a zip or a tar.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::device::source::{Archive, Member};
use crate::device::tar::{Entry, Tar};

/// Members still to come.
pub(super) enum Members {
    Files(Vec<(i64, PathBuf)>),
    Zip(Archive, Vec<(i64, Member)>),
    Tar(Box<Held>),
}

/// A tar, and its members that wait for their turn.
pub(super) struct Held {
    pub tar: Tar,
    /// A member that was found before.
    pub first: Option<Entry>,
    /// By time and place in the archive.
    pub waiting: BTreeMap<(i64, u64), Vec<u8>>,
    pub bytes: usize,
    pub seen: u64,
    pub ended: bool,
}
