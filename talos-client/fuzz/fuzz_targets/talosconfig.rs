//! Any text as talosconfig: what was read is printed, read again, merged and taken apart.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret as _;
use talos_client::talosconfig::Talosconfig;

fuzz_target!(|text: &str| {
    let Ok(mut config) = Talosconfig::parse(text) else {
        return;
    };
    let printed = config.to_yaml();
    let read = Talosconfig::parse(printed.expose_secret());
    let read = read.unwrap_or_else(|error| panic!("{error}: {text:?}"));
    assert_eq!(read.to_yaml().expose_secret(), printed.expose_secret());

    let _ = config.current_context();
    config.merge(&read);
    assert!(Talosconfig::parse(config.to_yaml().expose_secret()).is_ok());
    let names: Vec<String> = config.contexts().map(|(name, _)| name.to_owned()).collect();
    for name in names.iter().take(4) {
        let _ = config.use_context(name);
        let _ = config.remove(name);
    }
});
