#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| linkspan_core::fuzzing::retry_advice(data));
