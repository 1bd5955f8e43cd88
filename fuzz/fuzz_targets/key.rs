//! See `sumgate_fuzz::key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::key(bytes));
