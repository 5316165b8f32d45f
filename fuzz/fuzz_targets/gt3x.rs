//! ActiGraph: a zip archive of records.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| imuspec_fuzz::read_to_the_end(data, &[(0, b"PK\x03\x04")]));
