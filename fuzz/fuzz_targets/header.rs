#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vsecure_fuzz::header(data));
