//! Axivity: a header block, then blocks of 512 bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| imuspec_fuzz::read_to_the_end(data, &[(0, b"MD"), (1024, b"AX")]));
