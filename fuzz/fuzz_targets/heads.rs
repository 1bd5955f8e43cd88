//! See `sumgate_fuzz::heads`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::heads(bytes));
