//! Containers that Talos runs by itself (v1.14).

use super::super::findings::Findings;
use super::super::view::View;
use super::image::{ImageReference, parse_image};
use crate::config::VersionContract;
use crate::config::schema::parse_disk_size;
use crate::go::text::quoted;

const NAME_LIMIT: usize = 63;
const MOUNT_OPTIONS: [&str; 8] = [
    "ro", "rw", "noexec", "nosuid", "nodev", "noatime", "rbind", "rshared",
];
const NETWORK_CONDITIONS: [&str; 4] = ["addresses", "connectivity", "hostname", "etcfiles"];
const ALL_CAPABILITIES: &str = "ALL";

pub(super) fn check(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let name = document.get("name").text();
    check_name(name, findings);
    check_image(name, document.get("image").text(), findings);
    for (index, variable) in document.get("environment").texts().enumerate() {
        findings.error_if(
            !variable.contains('='),
            format!(
                "environment[{index}]: {} must be in KEY=value form",
                quoted(variable)
            ),
        );
    }
    check_mounts(document.get("mounts"), findings);
    check_security(document.get("security"), findings);
    let mode = document.at("network.mode").text();
    findings.error_if(
        !matches!(mode, "" | "none" | "host"),
        format!(
            "unsupported network mode {}, expected none or host",
            quoted(mode)
        ),
    );
    check_limits(document.at("resources.limits"), findings);
    check_dependencies(name, document.get("dependsOn"), findings);
    for field in ["uid", "gid"] {
        let id = document.get("runAs").get(field).int();
        findings.error_if(
            id < 0,
            format!("runAs.{field} must be non-negative, got {id}"),
        );
    }
}

fn check_name(name: &str, findings: &mut Findings) {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() {
        findings.error("name is required");
    } else if name.len() > NAME_LIMIT {
        findings.error(format!(
            "name {} must be {NAME_LIMIT} characters or fewer",
            quoted(name)
        ));
    } else {
        findings.error_if(
            !name.chars().all(is_plain),
            format!(
                "name {}: name can only contain lowercase ASCII letters, digits and hyphens",
                quoted(name)
            ),
        );
    }
}

fn check_image(name: &str, image: &str, findings: &mut Findings) {
    if image.is_empty() {
        findings.error("image is required");
        return;
    }
    match parse_image(image) {
        None => findings.error(format!(
            "invalid image reference {}: could not parse reference: {image}",
            quoted(image)
        )),
        Some(ImageReference::Tag) => findings.warning(format!(
            "container {}: image {} is not digest-pinned, the running image may change on restart",
            quoted(name),
            quoted(image)
        )),
        Some(ImageReference::Digest) => {}
    }
}

fn check_mounts(mounts: View<'_>, findings: &mut Findings) {
    let mut destinations = Vec::new();
    for (index, mount) in mounts.items().enumerate() {
        let kinds: Vec<&str> = ["userVolume", "tmpfs", "hostPath"]
            .into_iter()
            .filter(|kind| mount.get(kind).is_set())
            .collect();
        let [kind] = kinds.as_slice() else {
            findings.error(format!(
                "mounts[{index}]: exactly one of userVolume, tmpfs or hostPath must be set"
            ));
            continue;
        };
        let spec = mount.get(kind);
        let mut found = Findings::default();
        if *kind == "userVolume" {
            found.error_if(!spec.get("name").has_text(), "userVolume.name is required");
        }
        if *kind == "hostPath" {
            check_path("hostPath.source", spec.get("source").text(), &mut found);
        }
        let destination = spec.get("destination").text();
        check_path(&format!("{kind}.destination"), destination, &mut found);
        check_options(spec.get("options"), &mut found);
        if !found.errors.is_empty() {
            findings.error(format!("mounts[{index}]: {}", found.errors.join("\n")));
            continue;
        }
        findings.error_if(
            destinations.contains(&destination),
            format!(
                "mounts[{index}]: duplicate destination {}",
                quoted(destination)
            ),
        );
        destinations.push(destination);
    }
}

fn check_path(what: &str, path: &str, findings: &mut Findings) {
    if path.is_empty() {
        findings.error(format!("{what} is required"));
    } else {
        findings.error_if(
            !path.starts_with('/'),
            format!("{what} {} must be an absolute path", quoted(path)),
        );
    }
}

fn check_options(options: View<'_>, findings: &mut Findings) {
    for option in options.texts() {
        findings.error_if(
            !MOUNT_OPTIONS.contains(&option),
            format!("unsupported mount option {}", quoted(option)),
        );
    }
    let has = |wanted: &str| options.texts().any(|option| option == wanted);
    findings.error_if(
        has("ro") && has("rw"),
        "mount options ro and rw are mutually exclusive",
    );
}

fn check_security(security: View<'_>, findings: &mut Findings) {
    let profile = security.get("profile").text();
    findings.error_if(
        !matches!(profile, "" | "restricted" | "privileged"),
        format!(
            "unsupported security profile {}, expected restricted or privileged",
            quoted(profile)
        ),
    );
    let added: Vec<&str> = security.at("capabilities.add").texts().collect();
    let dropped: Vec<&str> = security.at("capabilities.drop").texts().collect();
    for capability in &added {
        if *capability == ALL_CAPABILITIES {
            findings.error("capabilities.add does not accept ALL, use profile: privileged instead");
        } else {
            check_capability("capabilities.add", capability, findings);
        }
    }
    for capability in dropped.iter().filter(|it| **it != ALL_CAPABILITIES) {
        check_capability("capabilities.drop", capability, findings);
    }
    for capability in added.iter().filter(|it| dropped.contains(it)) {
        findings.error(format!(
            "capability {} appears in both add and drop",
            quoted(capability)
        ));
    }
}

fn check_capability(list: &str, capability: &str, findings: &mut Findings) {
    let name = quoted(capability);
    if capability.is_empty() {
        findings.error(format!("{list}: capability name must not be empty"));
    } else if capability.starts_with("CAP_") {
        findings.error(format!(
            "{list}: capability {name} must be given without the CAP_ prefix"
        ));
    } else if capability.to_uppercase() != capability {
        findings.error(format!("{list}: capability {name} must be upper case"));
    } else {
        findings.error_if(
            !capability
                .chars()
                .all(|c| c.is_ascii_uppercase() || c == '_'),
            format!(
                "{list}: capability {name} may only contain upper case letters and underscores"
            ),
        );
    }
}

fn check_limits(limits: View<'_>, findings: &mut Findings) {
    let memory = limits.get("memory").text();
    if !memory.is_empty()
        && let Err(error) = parse_disk_size(memory)
    {
        findings.error(format!(
            "limits.memory {} is not a valid size: {error}",
            quoted(memory)
        ));
    }
    let cpu = limits.get("cpu").text();
    if !cpu.is_empty()
        && let Err(error) = check_millicores(cpu)
    {
        findings.error(format!("limits.cpu {} {error}", quoted(cpu)));
    }
}

fn check_millicores(text: &str) -> Result<(), String> {
    let Some(number) = text.strip_suffix('m') else {
        return Err("must be expressed in millicores, e.g. 1500m".to_owned());
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse::<u64>() {
        Ok(0) if is_number => Err("must be greater than zero".to_owned()),
        Ok(_) if is_number => Ok(()),
        _ => {
            let reason = if is_number {
                "value out of range"
            } else {
                "invalid syntax"
            };
            Err(format!(
                "is not a valid millicore quantity: strconv.ParseUint: parsing {}: {reason}",
                quoted(number)
            ))
        }
    }
}

fn check_dependencies(name: &str, depends_on: View<'_>, findings: &mut Findings) {
    for path in depends_on.get("paths").texts() {
        check_path("dependsOn.paths entry", path, findings);
    }
    for condition in depends_on.get("networks").texts() {
        findings.error_if(
            !NETWORK_CONDITIONS.contains(&condition),
            format!(
                "unsupported dependsOn.networks condition {}",
                quoted(condition)
            ),
        );
    }
    for other in depends_on.get("containers").texts() {
        if other.is_empty() {
            findings.error("dependsOn.containers entry must not be empty");
        } else {
            findings.error_if(
                other == name,
                format!("container {} cannot depend on itself", quoted(name)),
            );
        }
    }
}
