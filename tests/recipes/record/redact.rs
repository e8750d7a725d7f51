//! Placeholders for what must not be committed, and for what no two servers share.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::names::strings;

/// Texts that are secret wherever they stand, and what is written for them. `${1}` is kept.
const SECRETS: [(&str, &str); 8] = [
    (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "eyJ.PAYLOAD.SIGNATURE"),
    (r"ZXlK[A-Za-z0-9+/]{40,}=*", "ZXlKLlBBWUxPQUQuU0lHTkFUVVJF"),
    (
        r"(PVE:[^\s]+?:[0-9A-F]{8}::)[A-Za-z0-9+/=]+",
        "${1}SIGNATURE",
    ),
    (r"^([0-9A-F]{8}:)[A-Za-z0-9+/]{4,}=*$", "${1}HASH"),
    (
        r"(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----",
    ),
    (
        r"(?s)-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END [A-Z ]*PRIVATE KEY-----",
        "-----BEGIN ${1}-----\nKEY\n-----END ${1}-----",
    ),
    (
        r"([0-9A-F]{2}:){29,}[0-9A-F]{2}",
        "AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA",
    ),
    (r"LS0tLS1CRUdJTi[A-Za-z0-9+/]+=*", "Q0E="),
];

/// What a caller's own credential becomes, when an answer repeats it.
const CREDENTIAL: &str = "CREDENTIAL";

const TOKEN_SECRET: &str = "44444444-4444-4444-4444-444444444444";

pub(super) struct Redaction {
    patterns: Vec<(Regex, &'static str)>,
    uuid: Option<Regex>,
    /// The credentials of the callers of this run.
    credentials: Vec<String>,
    /// The numbers that stand for identities, by the identity; `None` when the recording keeps them.
    identities: Option<BTreeMap<String, String>>,
    /// The last number that the recording uses.
    last: u64,
}

impl Redaction {
    pub(super) fn of(exchanges: &[Value]) -> Self {
        let patterns = SECRETS.iter();
        let patterns =
            patterns.filter_map(|(pattern, text)| Some((Regex::new(pattern).ok()?, *text)));
        let mut numbers = Vec::new();
        for exchange in exchanges {
            numbered(&exchange["response_body"], &mut numbers);
        }
        Self {
            patterns: patterns.collect(),
            uuid: Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").ok(),
            credentials: Vec::new(),
            identities: (!numbers.is_empty()).then(BTreeMap::new),
            last: numbers.into_iter().max().unwrap_or_default(),
        }
    }

    /// Learns the credentials of a caller from the headers that identify it.
    pub(super) fn learn_caller(&mut self, caller: &[(String, String)]) {
        for (_, value) in caller {
            let secret = value.rsplit(['=', ' ']).find(|part| !part.is_empty());
            if let Some(secret) = secret.filter(|secret| secret.len() >= 16)
                && !self.credentials.iter().any(|known| known == secret)
            {
                self.credentials.push(secret.to_owned());
            }
        }
    }

    /// A part of a request as it is kept.
    pub(super) fn of_request(&self, value: &Value) -> Value {
        strings(value, &|text| self.identity(&self.redacted(text)))
    }

    /// An answer as it is kept, with its fields in the order of the recorded one.
    pub(super) fn of_answer(&mut self, recorded: &Value, found: &Value) -> Value {
        self.learn_identities("", recorded, found);
        self.kept(recorded, found)
    }

    fn kept(&self, recorded: &Value, found: &Value) -> Value {
        match found {
            Value::String(text) => self.identity(&self.redacted(text)).into(),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(index, item)| self.kept(&recorded[index], item))
                    .collect()
            }
            Value::Object(found) => {
                let before = recorded.as_object();
                let order = before.into_iter().flat_map(Map::keys).chain(found.keys());
                let mut kept = Map::new();
                for name in order {
                    let is_unwanted = name == "managedFields" && recorded[name].is_null();
                    if let Some(value) = found.get(name).filter(|_| !is_unwanted) {
                        let is_secret = name == "value" && found.contains_key("full-tokenid");
                        let value = match is_secret {
                            true => TOKEN_SECRET.into(),
                            false => self.kept(&recorded[name], value),
                        };
                        kept.entry(name.clone()).or_insert(value);
                    }
                }
                Value::Object(kept)
            }
            other => other.clone(),
        }
    }

    fn redacted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for credential in &self.credentials {
            text = text.replace(credential, CREDENTIAL);
        }
        for (pattern, placeholder) in &self.patterns {
            text = pattern.replace_all(&text, *placeholder).into_owned();
        }
        text
    }

    /// Gives numbers to the identities of an answer: the recorded one where the recording has one in the same place.
    fn learn_identities(&mut self, key: &str, recorded: &Value, found: &Value) {
        match found {
            Value::Object(fields) => {
                for (key, found) in fields {
                    self.learn_identities(key, &recorded[key], found);
                }
            }
            Value::Array(items) => {
                for (index, found) in items.iter().enumerate() {
                    self.learn_identities(key, &recorded[index], found);
                }
            }
            Value::String(identity) if is_identity(key) => {
                let Some(identities) = &mut self.identities else {
                    return;
                };
                if !identities.contains_key(identity)
                    && self
                        .uuid
                        .as_ref()
                        .is_some_and(|uuid| uuid.is_match(identity))
                {
                    let taken = |number: &str| identities.values().any(|taken| taken == number);
                    let number = recorded
                        .as_str()
                        .filter(|number| number_of(number).is_some() && !taken(number));
                    let number = number.map(str::to_owned).unwrap_or_else(|| {
                        self.last += 1;
                        format!("00000000-0000-0000-0000-{:012}", self.last)
                    });
                    identities.insert(identity.clone(), number);
                }
            }
            _ => {}
        }
    }

    fn identity(&self, text: &str) -> String {
        match (&self.identities, &self.uuid) {
            (Some(identities), Some(uuid)) => {
                let number = |found: &regex::Captures| {
                    identities
                        .get(&found[0])
                        .cloned()
                        .unwrap_or_else(|| found[0].to_owned())
                };
                uuid.replace_all(text, number).into_owned()
            }
            _ => text.to_owned(),
        }
    }
}

fn is_identity(key: &str) -> bool {
    key == "uid" || key.ends_with(".uid")
}

/// The number in the place of an identity.
fn number_of(text: &str) -> Option<u64> {
    text.strip_prefix("00000000-0000-0000-0000-")?.parse().ok()
}

fn numbered(value: &Value, numbers: &mut Vec<u64>) {
    match value {
        Value::String(text) => numbers.extend(number_of(text)),
        Value::Array(items) => items.iter().for_each(|item| numbered(item, numbers)),
        Value::Object(fields) => fields.values().for_each(|field| numbered(field, numbers)),
        _ => {}
    }
}
