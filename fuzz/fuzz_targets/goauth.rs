//! See `sumgate_fuzz::goauth`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::goauth(bytes));
