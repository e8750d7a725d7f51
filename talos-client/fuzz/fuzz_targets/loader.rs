//! Any text: each release reads or refuses it, and what was read is printed and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use talos_client::config::MachineConfig;
use talos_client::yaml::{Node, documents_equal, parse_documents};
use talos_client_fuzz::{BASE, input, patch};

fuzz_target!(|bytes: &[u8]| {
    let Some((version, text)) = input(bytes) else {
        return;
    };
    if let Ok(documents) = parse_documents(text) {
        let printed: Vec<String> = documents.iter().map(Node::to_yaml).collect();
        let printed = printed.join("---\n");
        let read = parse_documents(&printed);
        assert!(
            read.is_ok_and(|read| documents_equal(&documents, &read)),
            "{text:?}\n{printed}"
        );
    }
    let _ = MachineConfig::parse(text);
    patch(text, &[], &version);
    patch(BASE, &[text], &version);
});
