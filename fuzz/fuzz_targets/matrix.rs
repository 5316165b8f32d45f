//! Matrix: 512 bytes of remarks, then packets.
#![no_main]

use imuspec_fuzz::{Input, sums};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).mark(512, b"MDTC").sums(sums::matrix).read());
