//! Which values of a configuration are secrets.

use crate::go::yaml::Scalar;

/// Whether the value under a key must not be shown: keys and tokens by name, and whatever looks like one.
pub(super) fn is_secret(path: &[String], scalar: &Scalar) -> bool {
    let named = path.iter().any(|step| is_secret_name(step));
    named || is_secret_text(scalar.text())
}

fn is_secret_name(step: &str) -> bool {
    // The content of files, manifests and environments can hold anything.
    const NAMES: &[&str] = &[
        "key",
        "auth",
        "content",
        "contents",
        "environment",
        "env",
        "crt",
        "cert",
    ];
    const PARTS: &[&str] = &[
        "secret",
        "token",
        "password",
        "passphrase",
        "private",
        "preshared",
        "credential",
    ];
    let step = step.to_ascii_lowercase();
    NAMES.contains(&step.as_str()) || PARTS.iter().any(|part| step.contains(part))
}

fn is_secret_text(text: &str) -> bool {
    let authority = text
        .split_once("://")
        .map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    authority.contains('@') || text.contains("PRIVATE KEY") || text.contains("token=")
}
