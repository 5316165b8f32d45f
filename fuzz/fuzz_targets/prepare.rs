//! Any of them from bytes to calibrated wear.
#![no_main]

use imuspec_fuzz::{Input, sums};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).sums(sums::any).prepare());
