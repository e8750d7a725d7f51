//! Any expression as the selector of every document that has one, checked and evaluated against a disk.

#![no_main]

use libfuzzer_sys::fuzz_target;
use talos_client::config::{LintContext, LintDisk, MachineConfig, Mode, ValidationOptions};
use talos_client_fuzz::{input, quoted};

/// One document for each environment; `EXPRESSION` is replaced.
const DOCUMENTS: [&str; 4] = [
    "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning: {diskSelector: {match: EXPRESSION}, maxSize: 5GiB}\n",
    "apiVersion: v1alpha1\nkind: ExistingVolumeConfig\nname: data\ndiscovery: {volumeSelector: {match: EXPRESSION}}\n",
    "apiVersion: v1alpha1\nkind: LinkAliasConfig\nname: net0\nselector: {match: EXPRESSION}\n",
    "apiVersion: v1alpha1\nkind: OOMConfig\ntriggerExpression: EXPRESSION\ncgroupRankingExpression: EXPRESSION\n",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((version, expression)) = input(bytes) else {
        return;
    };
    let expression = quoted(expression);
    for document in DOCUMENTS {
        let text = document.replace("EXPRESSION", &expression);
        let Ok(config) = MachineConfig::parse(&text) else {
            continue;
        };
        let options = ValidationOptions::new(Mode::Metal, &version);
        let _ = format!("{:?}", config.validate(&options));
        let disk = LintDisk::new("/dev/sda", 64 << 30)
            .transport("virtio")
            .model("x");
        let _ = config.lint(&LintContext::new(&version).disks([disk]));
    }
});
