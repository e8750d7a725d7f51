//! A configuration is validated for every mode, its findings are printed, and it is linted with a disk.

#![no_main]

use libfuzzer_sys::fuzz_target;
use talos_client::config::{LintContext, LintDisk, MachineConfig, Mode, ValidationOptions};
use talos_client_fuzz::input;

fuzz_target!(|bytes: &[u8]| {
    let Some((version, text)) = input(bytes) else {
        return;
    };
    let Ok(config) = MachineConfig::load(text, &version) else {
        return;
    };
    for mode in [Mode::Metal, Mode::Cloud, Mode::Container] {
        for options in [
            ValidationOptions::new(mode, &version),
            ValidationOptions::new(mode, &version).strict(),
        ] {
            let _ = format!("{:?}", config.validate(&options));
        }
    }
    let disk = LintDisk::new("/dev/sda", 64 << 30)
        .transport("virtio")
        .non_rotational();
    let _ = format!(
        "{:?}",
        config.lint(&LintContext::new(&version).disks([disk]))
    );
});
