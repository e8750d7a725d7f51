//! A base and patches, separated by NUL; an input without NUL is patches for a complete configuration.

#![no_main]

use libfuzzer_sys::fuzz_target;
use talos_client_fuzz::{BASE, SEPARATOR, input, patch};

fuzz_target!(|bytes: &[u8]| {
    let Some((version, text)) = input(bytes) else {
        return;
    };
    let mut parts = text.split(SEPARATOR);
    let base = parts.next().unwrap_or_default();
    let patches: Vec<&str> = parts.take(4).collect();
    if patches.is_empty() {
        patch(BASE, &[base], &version);
    } else {
        patch(base, &patches, &version);
    }
});
