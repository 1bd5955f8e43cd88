//! See `sumgate_fuzz::evidence`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::evidence(bytes));
