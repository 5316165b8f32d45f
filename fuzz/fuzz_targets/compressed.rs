//! Any of them in gzip.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| imuspec_fuzz::read_to_the_end(data, &[(0, b"\x1f\x8b\x08")]));
