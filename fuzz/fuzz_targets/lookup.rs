//! See `sumgate_fuzz::lookup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::lookup(bytes));
