//! See `sumgate_fuzz::module`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::module(bytes));
