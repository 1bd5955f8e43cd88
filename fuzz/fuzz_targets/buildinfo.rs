//! See `sumgate_fuzz::buildinfo`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::buildinfo(bytes));
