//! NHANES: a tar of hours.
#![no_main]

use imuspec_fuzz::{Input, sums};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).sums(sums::tar).read());
