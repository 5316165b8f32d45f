//! GENEActiv: pages of text.
#![no_main]

use imuspec_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).mark(0, b"Device Identity").read());
