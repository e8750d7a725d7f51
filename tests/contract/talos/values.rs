//! What is sent, chosen and answered can be stored and compared.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Types that are no values, with the reason.
const HANDLES: [(&str, &str); 24] = [
    ("AnySpec", "may hold secrets"),
    ("AppliedEdit", "holds a connection and secrets"),
    ("CertificateAuthority", "holds a parsed certificate"),
    ("Client", "a connection"),
    ("ClientBuilder", "makes a connection"),
    ("ClientConfiguration", "holds a private key"),
    ("Applied", "may quote secrets"),
    ("ClusterHealth", "holds connections"),
    ("ConfigEdit", "holds a connection and secrets"),
    ("Credentials", "holds a private key"),
    ("DebugInput", "a connection"),
    ("Endpoint", "is written as text"),
    ("Machine", "a connection"),
    ("MachineConfigStatus", "holds secrets"),
    ("MaintenanceClient", "a connection"),
    ("MaintenanceClientBuilder", "makes a connection"),
    ("MaintenanceTrust", "is given, not stored"),
    ("NodeResult", "holds an error"),
    ("Nodes", "holds connections"),
    ("PinMismatch", "an error"),
    ("PresentedCertificate", "holds the certificate itself"),
    ("Probe", "holds an error"),
    ("PublicKeyFingerprint", "is written as text"),
    ("Resources", "a connection"),
];

/// Those of them that begin operations.
const OPERATIONS: [&str; 4] = [
    "ResponseStream",
    "UpgradeOperation",
    "UpgradePlan",
    "EditPreview",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Generated code is not public.
            if path.file_name().is_some_and(|name| name != "pb") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn requests_options_and_answers_are_values() {
    let declaration = Regex::new(r"(?m)((?:^#\[[^\]]*\]\n)*)^pub (?:struct|enum) (\w+)").unwrap();
    let mut files = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../talos-client/src/api");
    sources(&folder, &mut files);
    let excepted: BTreeSet<&str> = HANDLES.iter().map(|(name, _)| *name).collect();
    let mut values = 0;
    let mut missing = Vec::new();

    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for found in declaration.captures_iter(&text) {
            let name = &found[2];
            if excepted.contains(name) || OPERATIONS.contains(&name) {
                continue;
            }
            values += 1;
            for trait_name in ["Serialize", "Deserialize", "PartialEq"] {
                let by_hand = format!("{trait_name} for {name}");
                if !found[1].contains(trait_name) && !text.contains(&by_hand) {
                    missing.push(format!("{}: {name} lacks {trait_name}", file.display()));
                }
            }
        }
    }

    assert!(values > 80, "only {values} types found");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
