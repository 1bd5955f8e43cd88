//! See `sumgate_fuzz::first_asked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::first_asked(bytes));
