//! See `sumgate_fuzz::tile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::tile(bytes));
