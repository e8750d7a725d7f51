//! Hostname, Kubernetes version and keys in the TPM.

use super::{Diagnostic, LintId, Subject};
use crate::config::VersionContract;
use crate::config::validate::view::View;

pub(super) fn check(subject: Subject<'_>, found: &mut Vec<Diagnostic>) {
    found.extend(hostname(subject));
    found.extend(kubernetes_version(subject));
    for path in tpm_keys(subject) {
        found.extend(tpm(subject, &path));
    }
}

fn hostname(subject: Subject<'_>) -> Option<Diagnostic> {
    let (_, document) = subject.documents("HostnameConfig").next()?;
    let legacy = subject.v1alpha1("machine.network.hostname").text();
    let (name, auto) = (document.get("hostname").text(), document.get("auto").text());
    let (message, fix) = if !legacy.is_empty() {
        (
            format!(
                "the hostname is also set to \"{legacy}\" in machine.network.hostname, and nodes refuse both"
            ),
            format!(
                "remove machine.network.hostname and use hostname: {legacy} with auto: \"off\""
            ),
        )
    } else if !name.is_empty() && !auto.is_empty() && auto != "off" {
        (
            format!("the hostname is both \"{name}\" and generated (auto: {auto})"),
            "set auto: \"off\", or remove hostname".to_owned(),
        )
    } else if subject
        .v1alpha1("machine.features.stableHostname")
        .is_true()
    {
        (
            "machine.features.stableHostname also generates a hostname, and nodes refuse both"
                .to_owned(),
            "remove machine.features.stableHostname".to_owned(),
        )
    } else {
        return None;
    };
    Some(Diagnostic::lint(
        LintId::HostnameTwice,
        "HostnameConfig",
        message,
        fix,
    ))
}

fn kubernetes_version(subject: Subject<'_>) -> Option<Diagnostic> {
    let version = subject.config.kubernetes_version()?;
    let talos = &subject.context.version;
    let error = talos.check_kubernetes(version).err()?;
    Some(Diagnostic::lint(
        LintId::KubernetesVersion,
        "machine.kubelet.image",
        error.message().to_owned(),
        format!(
            "use {}, the default of this release, or another version it runs",
            talos.default_components().kubernetes
        ),
    ))
}

/// The places of all disk keys that are sealed in a TPM.
fn tpm_keys(subject: Subject<'_>) -> Vec<String> {
    const VOLUMES: [&str; 4] = [
        "VolumeConfig",
        "UserVolumeConfig",
        "RawVolumeConfig",
        "SwapVolumeConfig",
    ];
    let mut places = Vec::new();
    for partition in ["state", "ephemeral"] {
        let path = format!("machine.systemDiskEncryption.{partition}");
        places.extend(sealed(subject.v1alpha1(&path), &path));
    }
    for kind in VOLUMES {
        for (name, document) in subject.documents(kind) {
            let path = format!("{kind} {name}: encryption");
            places.extend(sealed(document.get("encryption"), &path));
        }
    }
    places
}

fn sealed(encryption: View<'_>, path: &str) -> Vec<String> {
    let keys = encryption.get("keys").items().enumerate();
    keys.filter(|(_, key)| key.get("tpm").is_set())
        .map(|(index, _)| format!("{path}.keys[{index}].tpm"))
        .collect()
}

fn tpm(subject: Subject<'_>, path: &str) -> Option<Diagnostic> {
    if subject.context.tpm == Some(false) {
        return Some(Diagnostic::lint(
            LintId::TpmMissing,
            path,
            "the machine has no TPM, so the disk cannot be encrypted and the node does not start"
                .to_owned(),
            "give the machine a TPM 2.0, or use a nodeID, static or KMS key".to_owned(),
        ));
    }
    (subject.context.secure_boot == Some(false)).then(|| {
        let note = if subject.context.version.contract() >= VersionContract::V1_12 {
            "; options.pcrs chooses what the key is bound to"
        } else {
            ""
        };
        Diagnostic::lint(
            LintId::TpmWithoutSecureBoot,
            path,
            "the key is bound to the secure boot state, which is off: anything that boots can unseal it, and turning \
             secure boot on later locks the disk"
                .to_owned(),
            format!("boot a secure boot image and enroll its keys before installing{note}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::LintContext;
    use crate::config::{LintId, MachineConfig, TalosVersion};

    const INSTALL: &str = "machine: {install: {disk: /dev/sda}}\n";

    fn context() -> LintContext {
        LintContext::new(&TalosVersion::parse("v1.13.9").unwrap())
    }

    fn lint(text: &str, context: &LintContext) -> Vec<(LintId, String)> {
        let config = MachineConfig::parse(text).unwrap();
        let found = config.lint(context);
        found
            .iter()
            .filter_map(|lint| Some((lint.id?, lint.path.clone())))
            .collect()
    }

    #[test]
    fn a_hostname_in_two_places_is_noticed() {
        let twice = "machine: {install: {disk: /dev/sda}, network: {hostname: a}}\n---\n\
                     apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
        let both = format!(
            "{INSTALL}---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\nhostname: a\n"
        );
        let once = format!(
            "{INSTALL}---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: 'off'\nhostname: a\n"
        );

        let found = vec![(LintId::HostnameTwice, "HostnameConfig".to_owned())];
        assert_eq!(lint(twice, &context()), found);
        assert_eq!(lint(&both, &context()), found);
        assert_eq!(lint(&once, &context()), []);
    }

    #[test]
    fn a_kubernetes_version_the_release_does_not_run_is_noticed() {
        let text = "machine: {install: {disk: /dev/sda}, kubelet: {image: 'ghcr.io/siderolabs/kubelet:v1.20.0'}}\n";

        let found = lint(text, &context());

        assert_eq!(found[0].0, LintId::KubernetesVersion);
    }

    #[test]
    fn keys_in_a_tpm_need_one_and_secure_boot() {
        let text = "machine:\n  install: {disk: /dev/sda}\n  systemDiskEncryption:\n    state: {provider: luks2, keys: [{slot: 0, \
             nodeID: {}}]}\n    ephemeral: {provider: luks2, keys: [{slot: 0, tpm: {}}]}\n---\napiVersion: \
             v1alpha1\nkind: UserVolumeConfig\nname: data\nencryption: {provider: luks2, keys: [{slot: 0, static: \
             {}}, {slot: 1, tpm: {}}]}\n";
        let places = [
            "machine.systemDiskEncryption.ephemeral.keys[0].tpm",
            "UserVolumeConfig data: encryption.keys[1].tpm",
        ];
        let at = |id| places.map(|place| (id, place.to_owned()));

        assert_eq!(lint(text, &context()), []);
        assert_eq!(lint(text, &context().tpm().secure_boot()), []);
        assert_eq!(lint(text, &context().without_tpm()), at(LintId::TpmMissing));
        assert_eq!(
            lint(text, &context().tpm().without_secure_boot()),
            at(LintId::TpmWithoutSecureBoot)
        );
    }
}
