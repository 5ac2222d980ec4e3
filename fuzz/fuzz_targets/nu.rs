#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| moxc_fuzz::nu(data));
