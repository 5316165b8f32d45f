//! Axivity: a header block, then blocks of 512 bytes.
#![no_main]

use imuspec_fuzz::{Input, sums};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).mark(0, b"MD").mark(1024, b"AX").sums(sums::cwa).read());
