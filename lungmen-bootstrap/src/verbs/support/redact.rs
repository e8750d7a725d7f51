//! Secrets out of texts: those that are known by their value, and whatever looks like one.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_yaml::Value;

const REDACTED: &str = "[redacted]";
/// A shorter value is no secret: it would be found everywhere.
const SHORTEST: usize = 8;

/// What looks like a secret, whoever it belongs to.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // Private keys as PEM, also as one line with escaped ends.
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY-----",
        // JSON web tokens.
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        // Tokens of OpenBao and Vault, Proxmox VE, Kubernetes' bootstrap.
        r"\bhv[sb]\.[A-Za-z0-9_-]{8,}",
        r"\bs\.[A-Za-z0-9]{24}\b",
        r"PVEAPIToken=\S+",
        r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b",
        r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}",
        // Credentials in URLs.
        r"://[^/\s:@]+:[^/\s@]+@",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// A field of a document whose value is a secret, by the end of its name.
static SECRET_FIELDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(key|token|secret|password|passphrase|auth)$|(key|token)-?data$|encryptionsecret$",
    )
    .ok()
});

/// Knows the secrets of a cluster, and takes them out of texts.
#[derive(Clone, Default)]
pub(super) struct Redactor {
    /// The longest first, so that none is left over as a part of another.
    known: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("known", &self.known.len())
            .finish()
    }
}

impl Redactor {
    /// Learns the secrets of YAML documents: a secrets bundle, configurations, talosconfig, kubeconfig.
    pub(super) fn learn(&mut self, text: &str) {
        let mut found = BTreeSet::new();
        for document in serde_yaml::Deserializer::from_str(text) {
            if let Ok(value) = serde::Deserialize::deserialize(document) {
                secrets_of(&value, false, &mut found);
            }
        }
        self.known.extend(found);
        self.known
            .sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        self.known.dedup();
    }

    /// The text without secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for secret in &self.known {
            if clean.contains(secret) {
                clean = clean.replace(secret, REDACTED);
            }
        }
        for pattern in PATTERNS.iter() {
            clean = pattern.replace_all(&clean, REDACTED).into_owned();
        }
        clean
    }
}

fn secrets_of(value: &Value, is_secret: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(fields) => {
            for (key, value) in fields {
                let named = key.as_str().is_some_and(|key| {
                    SECRET_FIELDS
                        .as_ref()
                        .is_some_and(|names| names.is_match(key))
                });
                secrets_of(value, named, found);
            }
        }
        Value::Sequence(items) => {
            for item in items {
                secrets_of(item, is_secret, found);
            }
        }
        Value::String(text) if is_secret => insert(text, found),
        _ => {}
    }
}

/// The value, and what is inside when it is Base64 of a PEM block: the lines of a key may be logged one by one.
fn insert(text: &str, found: &mut BTreeSet<String>) {
    let mut add = |text: &str| {
        let text = text.trim();
        if text.len() >= SHORTEST && !text.starts_with("-----") {
            found.insert(text.to_owned());
        }
    };
    add(text);
    text.lines().for_each(&mut add);
    if let Ok(bytes) = STANDARD.decode(text.trim())
        && let Ok(inner) = String::from_utf8(bytes)
    {
        inner.lines().for_each(&mut add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_documents_are_known_by_value_wherever_they_appear() {
        let mut redactor = Redactor::default();
        let inner =
            "-----BEGIN X PRIVATE KEY-----\ncanary-line-of-a-key\n-----END X PRIVATE KEY-----\n";
        let encoded = STANDARD.encode(inner);
        redactor.learn(&format!(
            "trustdinfo: {{token: canary-token}}\ncerts: {{os: {{crt: public, key: {encoded}}}}}\n---\nusers: [{{user: \
             {{client-key-data: canary-data}}}}]\nname: not-a-secret\n"
        ));

        let clean = redactor.clean(&format!(
            "join canary-token; {encoded}; read canary-line-of-a-key and canary-data of not-a-secret"
        ));

        assert!(
            !clean.contains("canary") && !clean.contains(&encoded),
            "{clean}"
        );
        assert!(clean.contains("not-a-secret"), "{clean}");
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        let redactor = Redactor::default();
        for text in [
            "-----BEGIN EC PRIVATE KEY-----\ncanary\n-----END EC PRIVATE KEY-----",
            "Authorization: Bearer canary-canary",
            "hvs.CAESIcanarycanary",
            "PVEAPIToken=root@pam!a=canary",
            "https://root:canary@host/",
            "eyJhbGciOiJSUzI1NiJ9.canarycanary.canary",
            "token abcdef.canary0canary012",
        ] {
            let clean = redactor.clean(text);
            assert!(!clean.contains("canary"), "{clean}");
        }
        let harmless = "10.0.2.10:50000 v1.10.7 sha256:88d1f7a5c4f1d3aba7df787c448c1d3d";
        assert_eq!(redactor.clean(harmless), harmless);
    }
}
