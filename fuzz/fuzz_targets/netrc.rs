//! See `sumgate_fuzz::netrc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::netrc(bytes));
