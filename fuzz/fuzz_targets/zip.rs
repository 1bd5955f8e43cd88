//! See `sumgate_fuzz::zip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::zip(bytes));
