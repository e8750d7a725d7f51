//! Messages decoded by the field table of the reference (`talos-client/proto/wire.json`), without generated code.

use serde_json::{Map, Value, json};

const WIRE: &str = include_str!("../../../../talos-client/proto/wire.json");

/// The table of fields, enums and methods.
pub(super) struct Wire(Value);

impl Wire {
    pub(super) fn read() -> Self {
        Self(serde_json::from_str(WIRE).unwrap())
    }

    /// The type of the messages that a method receives.
    pub(super) fn request_of(&self, path: &str) -> &str {
        let method = &self.0["methods"][path];
        method[0]
            .as_str()
            .unwrap_or_else(|| panic!("the reference has no method {path}"))
    }

    /// A message as an object of its fields; fields with their default value are left out, as on the wire.
    pub(super) fn decode(&self, kind: &str, mut bytes: &[u8]) -> Value {
        let mut fields = Map::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let (name, of, is_list) = self.field(kind, key >> 3);
            let values = match key & 7 {
                0 => vec![self.number(&of, varint(&mut bytes))],
                1 => vec![json!(f64::from_le_bytes(
                    take(&mut bytes, 8).try_into().unwrap()
                ))],
                2 => {
                    let length = usize::try_from(varint(&mut bytes)).unwrap();
                    self.value(&of, take(&mut bytes, length))
                }
                other => panic!("{kind}.{name}: wire type {other}"),
            };
            for value in values {
                if is_list {
                    let list = fields.entry(&name).or_insert_with(|| json!([]));
                    list.as_array_mut().unwrap().push(value);
                } else {
                    fields.insert(name.clone(), value);
                }
            }
        }
        Value::Object(fields)
    }

    /// Name and type of a field, and whether it may occur several times.
    fn field(&self, kind: &str, number: u64) -> (String, String, bool) {
        assert_ne!(
            kind, "google.protobuf.Empty",
            "an empty message has no field {number}"
        );
        if kind.ends_with("Entry") {
            let name = if number == 1 { "key" } else { "value" };
            return (name.to_owned(), "string".to_owned(), false);
        }
        if kind == "google.protobuf.Duration" {
            let name = if number == 1 { "seconds" } else { "nanos" };
            return (name.to_owned(), "int64".to_owned(), false);
        }
        let fields = self.0["messages"][kind].as_object();
        let fields = fields.unwrap_or_else(|| panic!("the reference has no message {kind}"));
        let found = fields.iter().find(|(_, field)| field[0] == number);
        let (name, field) =
            found.unwrap_or_else(|| panic!("{kind} has no field {number} in the reference"));
        let of = field[1].as_str().unwrap();
        (name.clone(), of.to_owned(), field[2] == "repeated")
    }

    fn number(&self, kind: &str, number: u64) -> Value {
        match kind {
            "bool" => json!(number == 1),
            "int32" | "int64" => json!(number.cast_signed()),
            "uint32" | "uint64" => json!(number),
            kind => {
                let values = self.0["enums"][kind].as_object();
                let name = values.and_then(|values| values.iter().find(|(_, of)| **of == number));
                name.map_or_else(|| json!(number), |(name, _)| json!(name))
            }
        }
    }

    fn value(&self, kind: &str, mut bytes: &[u8]) -> Vec<Value> {
        match kind {
            "string" | "bytes" => vec![json!(String::from_utf8_lossy(bytes))],
            kind if self.0["messages"].get(kind).is_some()
                || kind.ends_with("Entry")
                || kind.starts_with("google.protobuf.") =>
            {
                vec![self.decode(kind, bytes)]
            }
            // A list of numbers is packed.
            kind => {
                let mut numbers = Vec::new();
                while !bytes.is_empty() {
                    numbers.push(self.number(kind, varint(&mut bytes)));
                }
                numbers
            }
        }
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number;
        }
    }
    panic!("a number of more than 64 bits")
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
