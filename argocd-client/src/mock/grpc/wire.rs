//! Protobuf messages from and to the JSON that the server writes for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::schema::{Field, Kind, Schema};

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// The JSON of a message; `None` when the bytes are no such message. Unknown fields are left out.
pub(super) fn decode(message: &str, bytes: &[u8]) -> Option<Value> {
    let fields = Schema::get().fields(message);
    let mut object = Map::new();
    let mut reader = Reader { rest: bytes };
    while !reader.rest.is_empty() {
        let key = reader.varint()?;
        let value = reader.value(key & 7)?;
        let number = u32::try_from(key >> 3).ok()?;
        let Some(field) = fields.iter().find(|field| field.number == number) else {
            continue;
        };
        put(&mut object, field, value)?;
    }
    Some(from_message(message, object))
}

/// A value as it is on the wire.
#[derive(Clone, Copy)]
enum Raw<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn value(&mut self, wire: u64) -> Option<Raw<'a>> {
        Some(match wire {
            VARINT => Raw::Number(self.varint()?),
            LENGTH => {
                let length = usize::try_from(self.varint()?).ok()?;
                Raw::Bytes(self.take(length)?)
            }
            FIXED64 => Raw::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            FIXED32 => Raw::Number(u32::from_le_bytes(self.take(4)?.try_into().ok()?).into()),
            _ => return None,
        })
    }
}

fn put(object: &mut Map<String, Value>, field: &Field, raw: Raw<'_>) -> Option<()> {
    if let (Kind::Map(kind), Raw::Bytes(entry)) = (&field.kind, raw) {
        let (key, value) = map_entry(kind, entry)?;
        let map = object.entry(&field.name).or_insert_with(|| json!({}));
        map.as_object_mut()?.insert(key, value);
        return Some(());
    }
    if !field.repeated {
        let value = single(&field.kind, raw)?;
        match value {
            Value::Object(inner) if field.inline => object.extend(inner),
            value => drop(object.insert(field.name.clone(), value)),
        }
        return Some(());
    }
    let list = object.entry(&field.name).or_insert_with(|| json!([]));
    let list = list.as_array_mut()?;
    match (&field.kind, raw) {
        // Numbers of proto3 are packed.
        (Kind::Integer | Kind::Bool, Raw::Bytes(bytes)) => {
            let mut reader = Reader { rest: bytes };
            while !reader.rest.is_empty() {
                list.push(single(&field.kind, Raw::Number(reader.varint()?))?);
            }
        }
        (kind, raw) => list.push(single(kind, raw)?),
    }
    Some(())
}

fn map_entry(kind: &Kind, entry: &[u8]) -> Option<(String, Value)> {
    let mut reader = Reader { rest: entry };
    let (mut key, mut value) = (String::new(), None);
    while !reader.rest.is_empty() {
        let tag = reader.varint()?;
        match (tag >> 3, reader.value(tag & 7)?) {
            (1, Raw::Bytes(bytes)) => key = String::from_utf8(bytes.to_vec()).ok()?,
            (2, raw) => value = Some(single(kind, raw)?),
            _ => {}
        }
    }
    let empty = match kind {
        Kind::Text | Kind::Bytes => json!(""),
        Kind::Bool => json!(false),
        Kind::Integer => json!(0),
        _ => json!({}),
    };
    Some((key, value.unwrap_or(empty)))
}

fn single(kind: &Kind, raw: Raw<'_>) -> Option<Value> {
    Some(match (kind, raw) {
        (Kind::Bool, Raw::Number(number)) => json!(number != 0),
        (Kind::Integer, Raw::Number(number)) => json!(number.cast_signed()),
        (Kind::Text, Raw::Bytes(bytes)) => json!(std::str::from_utf8(bytes).ok()?),
        (Kind::Bytes, Raw::Bytes(bytes)) => json!(STANDARD.encode(bytes)),
        (Kind::Message(message), Raw::Bytes(bytes)) => decode(message, bytes)?,
        _ => return None,
    })
}

/// The JSON of messages that have a form of their own.
fn from_message(message: &str, object: Map<String, Value>) -> Value {
    let number = |name: &str| object.get(name).and_then(Value::as_i64).unwrap_or_default();
    let bytes = |name: &str| {
        let text = object.get(name).and_then(Value::as_str).unwrap_or_default();
        STANDARD.decode(text).unwrap_or_default()
    };
    match message {
        "k8s.Time" | "k8s.MicroTime" => {
            let nanos = i32::try_from(number("nanos")).unwrap_or_default();
            let time = Timestamp::new(number("seconds"), nanos).unwrap_or_default();
            json!(time.to_string())
        }
        "k8s.IntOrString" if number("type") == 0 => json!(number("intVal")),
        "k8s.IntOrString" => object.get("strVal").cloned().unwrap_or_else(|| json!("")),
        "k8s.RawExtension" | "k8s.JSON" => {
            serde_json::from_slice(&bytes("raw")).unwrap_or(Value::Null)
        }
        "k8s.FieldsV1" => serde_json::from_slice(&bytes("Raw")).unwrap_or(Value::Null),
        _ => Value::Object(object),
    }
}

/// The message of a JSON value. Fields that the message does not have are left out.
pub(super) fn encode(message: &str, value: &Value) -> Vec<u8> {
    let own = to_message(message, value);
    let value = own.as_ref().unwrap_or(value);
    let mut out = Vec::new();
    for field in Schema::get().fields(message) {
        if field.inline {
            if let Kind::Message(inner) = &field.kind {
                bytes(&mut out, field.number, &encode(inner, value));
            }
            continue;
        }
        match (value.get(&field.name), &field.kind) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::Object(map)), Kind::Map(kind)) => {
                for (key, value) in map {
                    let mut entry = Vec::new();
                    bytes(&mut entry, 1, key.as_bytes());
                    element(&mut entry, 2, kind, value);
                    bytes(&mut out, field.number, &entry);
                }
            }
            (Some(Value::Array(items)), kind) if field.repeated => {
                for item in items {
                    element(&mut out, field.number, kind, item);
                }
            }
            (Some(value), kind) => element(&mut out, field.number, kind, value),
        }
    }
    out
}

fn element(out: &mut Vec<u8>, number: u32, kind: &Kind, value: &Value) {
    match kind {
        Kind::Text => bytes(out, number, value.as_str().unwrap_or_default().as_bytes()),
        Kind::Bytes => {
            let decoded = STANDARD.decode(value.as_str().unwrap_or_default());
            bytes(out, number, &decoded.unwrap_or_default());
        }
        Kind::Bool => integer(out, number, u64::from(value == &json!(true))),
        Kind::Integer => {
            // The gateway of the server writes 64-bit numbers of some messages as texts.
            let parsed = value.as_str().and_then(|text| text.parse::<i64>().ok());
            let given = value.as_i64().or(parsed).unwrap_or_default();
            integer(out, number, given.cast_unsigned());
        }
        Kind::Message(message) => bytes(out, number, &encode(message, value)),
        Kind::Map(_) => {}
    }
}

/// The fields of messages whose JSON has a form of its own.
fn to_message(message: &str, value: &Value) -> Option<Value> {
    let raw = || STANDARD.encode(value.to_string());
    Some(match message {
        "k8s.Time" | "k8s.MicroTime" => {
            let time: Timestamp = value.as_str()?.parse().ok()?;
            json!({"seconds": time.as_second(), "nanos": time.subsec_nanosecond()})
        }
        "k8s.IntOrString" => match value.as_i64() {
            Some(number) => json!({"type": 0, "intVal": number}),
            None => json!({"type": 1, "strVal": value}),
        },
        "k8s.RawExtension" | "k8s.JSON" => json!({"raw": raw()}),
        "k8s.FieldsV1" => json!({"Raw": raw()}),
        _ => return None,
    })
}

fn integer(out: &mut Vec<u8>, number: u32, value: u64) {
    varint(out, u64::from(number) << 3 | VARINT);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    varint(out, u64::from(number) << 3 | LENGTH);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_the_bytes_that_its_specification_says() {
        let query = json!({"name": "ab", "id": {"type": "name", "value": "c"}});

        let bytes = encode("cluster.ClusterQuery", &query);

        let expected = b"\x12\x02ab\x1a\x09\x0a\x04name\x12\x01c";
        assert_eq!(bytes, expected);
        assert_eq!(decode("cluster.ClusterQuery", expected), Some(query));
    }

    #[test]
    fn objects_come_back_as_they_went() {
        let application = json!({
            "metadata": {"name": "guestbook", "labels": {"a": "b"}, "generation": -1,
                "creationTimestamp": "2026-11-26T08:00:00Z", "finalizers": ["x", "y"]},
            "spec": {"source": {"repoURL": "https://git.example.org", "helm": {"valuesObject": {"a": [1, {"b": null}]}}},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "guestbook"},
                "syncPolicy": {"automated": {"prune": true}}},
            "operation": {"sync": {"syncStrategy": {"hook": {"force": true}}}},
        });

        let bytes = encode("v1alpha1.Application", &application);

        assert_eq!(decode("v1alpha1.Application", &bytes), Some(application));
    }

    #[test]
    fn bytes_that_are_cut_are_no_panic() {
        let object = json!({"metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"source": {"repoURL": "d"}}});
        let whole = encode("v1alpha1.Application", &object);

        for length in 0..whole.len() {
            // Some prefixes are messages of their own; none may be the whole.
            assert_ne!(
                decode("v1alpha1.Application", &whole[..length]),
                Some(object.clone())
            );
        }
    }
}
