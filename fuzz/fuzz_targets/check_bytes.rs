//! Whatever bytes come as a question of Envoy's, nothing breaks, and none is allowed that has no key.
#![no_main]

mod envoy;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    let Some(answer) = envoy::ask(message) else { return };
    let key = envoy::good_key().as_bytes();
    let has_key = message.windows(key.len()).any(|window| window == key);
    assert!(!envoy::is_allowance(&answer) || has_key, "allowed without a key");
});
