//! CPU models and flags.

use super::{Checked, Release};

/// Flags that a VM may set; PVE 8 lists them in this order, PVE 9 in alphabetical order with one more.
const FLAGS: &[&str] = &[
    "pcid",
    "spec-ctrl",
    "ibpb",
    "ssbd",
    "virt-ssbd",
    "amd-ssbd",
    "amd-no-ssb",
    "pdpe1gb",
    "md-clear",
    "hv-tlbflush",
    "hv-evmcs",
    "aes",
];

/// Models of QEMU without their versions, and those of Proxmox VE.
const MODELS: &[&str] = &[
    "486",
    "pentium",
    "pentium2",
    "pentium3",
    "coreduo",
    "core2duo",
    "athlon",
    "phenom",
    "host",
    "max",
    "kvm32",
    "kvm64",
    "qemu32",
    "qemu64",
    "Conroe",
    "Penryn",
    "Nehalem",
    "Westmere",
    "SandyBridge",
    "IvyBridge",
    "Haswell",
    "Broadwell",
    "Skylake-Client",
    "Skylake-Server",
    "Cascadelake-Server",
    "Cooperlake",
    "KnightsMill",
    "Icelake-Client",
    "Icelake-Server",
    "SapphireRapids",
    "GraniteRapids",
    "SierraForest",
    "ClearwaterForest",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "EPYC",
    "EPYC-Rome",
    "EPYC-Milan",
    "EPYC-Genoa",
    "EPYC-Turin",
    "x86-64-v2",
    "x86-64-v2-AES",
    "x86-64-v3",
    "x86-64-v4",
];

/// Versions and variants that the lists of the real servers are known to have, with the first release that has them.
const LISTED: &[(&str, Release)] = &[
    ("Icelake-Server-v5", Release::Eight),
    ("Icelake-Server-v6", Release::Nine),
    ("Skylake-Server-noTSX-IBRS", Release::Eight),
];

/// The models that a node lists, with their vendors. A real node lists 80 (8.4.21) or 94 (9.2.11); these are the ones
/// that are known.
pub(in crate::mock) fn listed(
    release: Release,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let variants = LISTED
        .iter()
        .filter(move |(_, first)| *first == Release::Eight || release == Release::Nine)
        .map(|(name, _)| name);
    MODELS
        .iter()
        .chain(variants)
        .map(|name| (*name, vendor(name)))
}

fn vendor(model: &str) -> &'static str {
    let begins = |starts: &[&str]| starts.iter().any(|start| model.starts_with(start));
    if begins(&["athlon", "phenom", "Opteron", "EPYC"]) {
        "AuthenticAMD"
    } else if begins(&["host", "max", "kvm", "qemu", "x86-64"]) {
        "default"
    } else {
        "GenuineIntel"
    }
}

/// Endings of a model for its versions and for what it lacks.
const ENDINGS: &[&str] = &["-IBRS", "-noTSX", "-noTSX-IBRS", "-IBPB"];

/// Checks the model and the flags; the property string itself was checked before.
pub(super) fn check(release: Release, text: &str) -> Checked {
    let mut model = None;
    let mut flags = None;
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            None if !part.is_empty() => model = Some(part),
            Some(("cputype", value)) => model = Some(value),
            Some(("flags", value)) => flags = Some(value),
            _ => {}
        }
    }
    if let Some(model) = model {
        check_model(model)?;
    }
    match flags {
        Some(flags) => check_flags(release, flags),
        None => Ok(()),
    }
}

fn check_model(model: &str) -> Checked {
    if let Some(custom) = model.strip_prefix("custom-") {
        return Err(format!("Custom cputype '{custom}' not found\n"));
    }
    if MODELS.contains(&model) || is_variant(model) {
        return Ok(());
    }
    Err(format!(
        "Built-in cputype '{model}' is not defined (missing 'custom-' prefix?)\n"
    ))
}

fn is_variant(model: &str) -> bool {
    let versionless = match model.rsplit_once("-v") {
        Some((base, version)) if version.parse::<u8>().is_ok() => base,
        _ => model,
    };
    let base = ENDINGS
        .iter()
        .rev()
        .find_map(|ending| versionless.strip_suffix(ending))
        .unwrap_or(versionless);
    // The short names have no variants.
    MODELS.contains(&base) && base.starts_with(|c: char| c.is_ascii_uppercase())
}

fn check_flags(release: Release, flags: &str) -> Checked {
    let mut allowed = FLAGS.to_vec();
    if release == Release::Nine {
        allowed.push("nested-virt");
        allowed.sort_unstable();
    }
    let known = |flag: &str| {
        let name = flag.strip_prefix(['+', '-']).unwrap_or(flag);
        allowed.contains(&name)
    };
    if flags.split(';').all(known) {
        return Ok(());
    }
    Err(format!(
        "VM-specific CPU flags must be a subset of: {}\n",
        allowed.join(", ")
    ))
}
