//! See `sumgate_fuzz::gomod`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::gomod(bytes));
