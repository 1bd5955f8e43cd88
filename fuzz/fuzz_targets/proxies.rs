//! See `sumgate_fuzz::proxies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::proxies(bytes));
