//! Objects that a client sends as Protobuf: those of `argocd cluster add`, whose client prefers that form.
//!
//! Four bytes `k8s\0`, then an envelope with version and kind and the message. Numbers: Kubernetes 1.36.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bytes,
    Bool,
    Integer,
    Message(&'static [Field]),
    Texts,
    Messages(&'static [Field]),
    /// A map of texts.
    Map,
    /// A map of bytes.
    Data,
}

type Field = (u64, &'static str, Kind);

const OWNER: &[Field] = &[
    (1, "kind", Kind::Text),
    (3, "name", Kind::Text),
    (4, "uid", Kind::Text),
    (5, "apiVersion", Kind::Text),
];
const METADATA: Kind = Kind::Message(&[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (5, "uid", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (7, "generation", Kind::Integer),
    (11, "labels", Kind::Map),
    (12, "annotations", Kind::Map),
    (13, "ownerReferences", Kind::Messages(OWNER)),
    (14, "finalizers", Kind::Texts),
]);
const REFERENCE: &[Field] = &[
    (1, "kind", Kind::Text),
    (2, "namespace", Kind::Text),
    (3, "name", Kind::Text),
];
const RULE: &[Field] = &[
    (1, "verbs", Kind::Texts),
    (2, "apiGroups", Kind::Texts),
    (3, "resources", Kind::Texts),
    (4, "resourceNames", Kind::Texts),
    (5, "nonResourceURLs", Kind::Texts),
];
const SUBJECT: &[Field] = &[
    (1, "kind", Kind::Text),
    (2, "apiGroup", Kind::Text),
    (3, "name", Kind::Text),
    (4, "namespace", Kind::Text),
];
const ROLE_REFERENCE: &[Field] = &[
    (1, "apiGroup", Kind::Text),
    (2, "kind", Kind::Text),
    (3, "name", Kind::Text),
];

fn fields(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "ServiceAccount" => &[
            (1, "metadata", METADATA),
            (2, "secrets", Kind::Messages(REFERENCE)),
            (4, "automountServiceAccountToken", Kind::Bool),
        ],
        "Secret" => &[
            (1, "metadata", METADATA),
            (2, "data", Kind::Data),
            (3, "type", Kind::Text),
            (4, "stringData", Kind::Map),
        ],
        "Namespace" => &[(1, "metadata", METADATA)],
        "ConfigMap" => &[(1, "metadata", METADATA), (2, "data", Kind::Map)],
        "ClusterRole" | "Role" => &[
            (1, "metadata", METADATA),
            (2, "rules", Kind::Messages(RULE)),
        ],
        "ClusterRoleBinding" | "RoleBinding" => &[
            (1, "metadata", METADATA),
            (2, "subjects", Kind::Messages(SUBJECT)),
            (3, "roleRef", Kind::Message(ROLE_REFERENCE)),
        ],
        "DeleteOptions" => &[],
        _ => return None,
    })
}

/// The object in a body; `None` when it is not of this form or of a kind that is not known here.
pub(super) fn decode(body: &[u8]) -> Option<Value> {
    const TYPE: &[Field] = &[(1, "apiVersion", Kind::Text), (2, "kind", Kind::Text)];
    const ENVELOPE: &[Field] = &[
        (1, "typeMeta", Kind::Message(TYPE)),
        (2, "raw", Kind::Bytes),
    ];
    let envelope = message(ENVELOPE, body.strip_prefix(MAGIC)?)?;
    let kind = envelope["typeMeta"]["kind"].as_str()?;
    let raw = STANDARD.decode(envelope["raw"].as_str().unwrap_or_default());
    let mut object = message(fields(kind)?, &raw.ok()?)?;
    object["apiVersion"] = envelope["typeMeta"]["apiVersion"].clone();
    object["kind"] = kind.into();
    Some(object)
}

fn message(fields: &[Field], mut bytes: &[u8]) -> Option<Value> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, raw) = match key & 7 {
            0 => (Some(varint(&mut bytes)?), None),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (raw, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                (None, Some(raw))
            }
            _ => return None,
        };
        let Some((_, name, kind)) = fields.iter().find(|(field, ..)| *field == key >> 3) else {
            continue;
        };
        put(&mut object, name, *kind, (number, raw))?;
    }
    Some(Value::Object(object))
}

fn put(
    object: &mut Map<String, Value>,
    name: &str,
    kind: Kind,
    (number, raw): (Option<u64>, Option<&[u8]>),
) -> Option<()> {
    let text = || Some(json!(std::str::from_utf8(raw?).ok()?));
    let value = match kind {
        Kind::Bool => json!(number? != 0),
        Kind::Integer => json!(number?),
        // An empty text is one that was not set.
        Kind::Text if raw?.is_empty() => return Some(()),
        Kind::Text => text()?,
        Kind::Bytes => json!(STANDARD.encode(raw?)),
        Kind::Message(fields) => message(fields, raw?)?,
        Kind::Texts => return push(object, name, text()?),
        Kind::Messages(fields) => return push(object, name, message(fields, raw?)?),
        Kind::Map | Kind::Data => {
            let value = if matches!(kind, Kind::Map) {
                Kind::Text
            } else {
                Kind::Bytes
            };
            let entry = message(&[(1, "key", Kind::Text), (2, "value", value)], raw?)?;
            let map = object.entry(name).or_insert_with(|| json!({}));
            let key = entry["key"].as_str().unwrap_or_default();
            let value = entry["value"].as_str().unwrap_or_default();
            map.as_object_mut()?.insert(key.to_owned(), json!(value));
            return Some(());
        }
    };
    object.insert(name.to_owned(), value);
    Some(())
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) -> Option<()> {
    let list = object.entry(name).or_insert_with(|| json!([]));
    list.as_array_mut()?.push(value);
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &meta), &field(2, raw)].concat()
    }

    #[test]
    fn a_secret_is_read_as_its_json() {
        let label = [field(1, b"a"), field(2, b"b")].concat();
        let metadata = [field(1, b"token"), field(2, b""), field(12, &label)].concat();
        let raw = [field(1, &metadata), field(3, b"Opaque")].concat();

        let secret = decode(&envelope("Secret", &raw)).unwrap();

        assert_eq!(
            secret,
            json!({"metadata": {"name": "token", "annotations": {"a": "b"}}, "type": "Opaque",
                "apiVersion": "v1", "kind": "Secret"})
        );
    }

    #[test]
    fn other_bodies_and_cut_ones_are_refused() {
        let whole = envelope("Namespace", &field(1, &field(1, b"web")));

        assert!(decode(&whole).is_some());
        assert!(decode(b"{}").is_none());
        assert!(decode(&envelope("Pod", b"")).is_none());
        assert!(decode(&whole[..whole.len() - 2]).is_none());
    }
}
