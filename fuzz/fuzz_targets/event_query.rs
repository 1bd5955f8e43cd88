//! See `sumgate_fuzz::event_query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::event_query(bytes));
