#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = isolane::diff::entry::witness(bytes);
});
