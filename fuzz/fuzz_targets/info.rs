//! See `sumgate_fuzz::info`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::info(bytes));
