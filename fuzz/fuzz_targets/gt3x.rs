//! ActiGraph: `info.txt`, a zero byte, and the bytes of samples, in a zip archive.
#![no_main]

use imuspec_fuzz::{Input, sums};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).sums(sums::log).zipped().read());
