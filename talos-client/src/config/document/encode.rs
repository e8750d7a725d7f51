//! Typed values to nodes, as the reference prints them without comments.

use super::value::{Argument, Value};
use crate::config::schema::{
    Codec, Minor, Schema, Shape, Struct, TypeId, disk_size_text, duration_text,
};
use crate::go::yaml::{Kind, Mapping, Node};

/// Encodes a value of a type.
pub(crate) fn encode(schema: &Schema, ty: TypeId, value: Value) -> Node {
    match (&schema.get(ty).shape, value) {
        (Shape::Pointer(target), Value::Pointer(Some(value))) => encode(schema, *target, *value),
        (Shape::List(item), Value::List(items)) => Node::sequence(
            items
                .into_iter()
                .flatten()
                .map(|value| encode(schema, *item, value)),
        ),
        (Shape::Map(ty), Value::Map(entries)) => {
            let entries = entries.into_iter().flat_map(|entries| entries.into_iter());
            let mut mapping: Mapping = entries
                .map(|(key, value)| (key, encode(schema, *ty, value)))
                .collect();
            mapping.sort_keys();
            mapping.into()
        }
        (Shape::Struct(shape), Value::Struct(values)) => {
            let mut mapping = Mapping::new();
            encode_fields(schema, shape, values, &mut mapping);
            mapping.into()
        }
        (Shape::Codec(codec), value) => encode_codec(*codec, value, schema.minor()),
        (_, Value::String(text)) => Node::string(text),
        (_, Value::Bool(value)) => Node::bool(value),
        (_, Value::Int(value)) => Node::plain(value.to_string()),
        (_, Value::Any(value)) => value.into_node(),
        _ => Node::null(),
    }
}

fn encode_fields(schema: &Schema, shape: &Struct, values: Vec<Value>, mapping: &mut Mapping) {
    for (field, value) in shape.fields.iter().zip(values) {
        if field.inline {
            match (&schema.get(field.ty).shape, value) {
                (Shape::Struct(inlined), Value::Struct(values)) => {
                    encode_fields(schema, inlined, values, mapping);
                }
                (_, value) => {
                    if let Kind::Mapping(inlined) = encode(schema, field.ty, value).kind {
                        inlined
                            .into_entries()
                            .for_each(|entry| mapping.insert_entry(entry));
                    }
                }
            }
        } else if !(field.omit_empty
            && (value.is_empty() || counts_as_empty(schema, field.ty, &value)))
        {
            mapping.insert(field.name, encode(schema, field.ty, value));
        }
    }
}

/// Blocks that say by themselves when they are empty, by some of their fields.
fn counts_as_empty(schema: &Schema, ty: TypeId, value: &Value) -> bool {
    let described = schema.get(ty);
    let telling: &[&str] = match described.name.as_str() {
        "block.EncryptionSpec" if schema.minor() >= Minor::V1_12 => &["provider", "keys"],
        "runtime.ProvisioningSpec" => &["diskSelector"],
        "storage.ProvisioningSpec" => &["volumeSelector"],
        _ => return false,
    };
    let Shape::Struct(shape) = &described.shape else {
        return false;
    };
    telling.iter().all(|field| {
        let field = shape.find(field).and_then(|path| value.at(path));
        field.is_none_or(Value::is_empty)
    })
}

fn encode_codec(codec: Codec, value: Value, minor: Minor) -> Node {
    match (codec, value) {
        (Codec::FileMode, Value::Int(mode)) => Node::plain(format!("0o{mode:o}")),
        (Codec::DiskSize, Value::Int(bytes)) => {
            let text = u64::try_from(bytes).ok().and_then(disk_size_text);
            text.map_or_else(|| Node::plain(bytes.to_string()), Node::string)
        }
        (Codec::PortRange, Value::Ports(low, high)) if low == high => Node::plain(low.to_string()),
        (Codec::Argument, Value::Argument(Argument::Many(texts))) => Node::strings(texts),
        (Codec::Argument, Value::Argument(Argument::One(text))) if text.is_empty() => Node::null(),
        (codec, value) => Node::string(text_form(codec, &value, minor).unwrap_or_default()),
    }
}

/// The text of a value that has one.
pub(crate) fn text_form(codec: Codec, value: &Value, minor: Minor) -> Option<String> {
    match (codec, value) {
        (Codec::Duration, Value::Int(value)) => i64::try_from(*value).ok().map(duration_text),
        (Codec::Enumeration(values), Value::Int(value)) => u32::try_from(*value)
            .ok()
            .map(|number| values.text(number, minor)),
        (_, Value::Text(text)) => Some(text.clone().unwrap_or_default()),
        (_, Value::Size(size)) => {
            let text = size.bytes.as_ref().or(size.percentage.as_ref());
            Some(text.cloned().unwrap_or_default())
        }
        (_, Value::Url(url)) => Some(url.as_ref().map(|url| url.text()).unwrap_or_default()),
        (_, Value::Ports(low, high)) => Some(format!("{low}-{high}")),
        (_, Value::Argument(Argument::One(text))) => Some(text.clone()),
        _ => None,
    }
}
