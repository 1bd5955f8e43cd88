//! See `sumgate_fuzz::gowork`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::gowork(bytes));
