//! Text: comma-separated values of every known kind.
#![no_main]

use imuspec_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).read());
