//! Any of them in gzip, bzip2 or zip.
#![no_main]

use imuspec_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Input::new(data).read());
