//! Any text as `secrets.yaml`, and as the configuration of a control plane that secrets are taken from.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret as _;
use talos_client::config::MachineConfig;
use talos_client::secrets::SecretsBundle;

fuzz_target!(|text: &str| {
    if let Ok(bundle) = SecretsBundle::parse(text) {
        let printed = bundle.to_yaml();
        let read = SecretsBundle::parse(printed.expose_secret());
        assert!(read.is_ok_and(|read| read.to_yaml().expose_secret() == printed.expose_secret()));
    }
    if let Ok(config) = MachineConfig::parse(text) {
        let _ = SecretsBundle::from_controlplane_config(&config);
    }
});
