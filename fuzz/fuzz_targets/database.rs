//! See `sumgate_fuzz::database`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::database(bytes));
