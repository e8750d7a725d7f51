//! The check for keys that a type does not have.

use crate::config::schema::{Minor, Schema, Shape, TypeId};
use crate::go::yaml::{Comments, Kind, Mapping, Node, quotation};

/// Checks that every key of a node belongs to its type.
///
/// # Errors
///
/// The text of the reference: the unknown parts as YAML with the comments inside, or the place where a list or mapping cannot be.
pub(crate) fn check_unknown_keys(
    schema: &Schema,
    ty: TypeId,
    node: &Node,
    comments: Comments<'_>,
) -> Result<(), String> {
    match unknown(schema, ty, node)? {
        None => Ok(()),
        Some(unknown) => {
            let text = quotation(&unknown, comments);
            Err(format!(
                "unknown keys found during decoding:\n{}",
                text.trim_end()
            ))
        }
    }
}

fn unknown(schema: &Schema, ty: TypeId, node: &Node) -> Result<Option<Node>, String> {
    let described = schema.get(ty);
    match (&described.shape, node.kind()) {
        (Shape::Pointer(target), _) => unknown(schema, *target, node),
        (Shape::Any | Shape::Unknown, _) | (_, Kind::Scalar(_)) => Ok(None),
        (Shape::List(item), Kind::Sequence(items)) => {
            let mut found = Vec::new();
            for item_node in items {
                found.extend(unknown(schema, *item, item_node)?);
            }
            Ok((!found.is_empty()).then(|| Node::sequence(found)))
        }
        // Since v1.13 a type that reads YAML by itself is asked, not judged by its shape.
        (Shape::Codec(codec), Kind::Sequence(_))
            if schema.minor() >= Minor::V1_13 && codec.reads_yaml() =>
        {
            Ok(None)
        }
        (_, Kind::Sequence(_)) => Err(format!(
            "unexpected type for yaml sequence: {}",
            described.name
        )),
        (shape, Kind::Mapping(mapping)) => {
            let mut found = Mapping::new();
            for (key, value) in mapping.iter() {
                let inner = match shape {
                    Shape::Map(ty) => unknown(schema, *ty, value)?,
                    Shape::Struct(shape) if shape.inline_map.is_some() => None,
                    Shape::Struct(shape) => match shape.find(key) {
                        Some(path) => unknown(schema, schema.field_type(shape, path), value)?,
                        None => Some(value.clone()),
                    },
                    Shape::Codec(codec) if codec.is_struct() => Some(value.clone()),
                    _ => {
                        return Err(format!(
                            "unexpected type for yaml mapping: {}",
                            described.name
                        ));
                    }
                };
                if let Some(inner) = inner {
                    found.insert(key, inner);
                }
            }
            found.sort_keys();
            Ok((!found.is_empty()).then(|| found.into()))
        }
    }
}
