//! Matrix: 512 bytes of remarks, then packets.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| imuspec_fuzz::read_to_the_end(data, &[(512, b"MDTC")]));
