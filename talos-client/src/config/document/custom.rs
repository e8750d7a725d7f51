//! Types that read themselves: certificates, and texts and numbers with a form of their own.

use super::decode::{Abort, Decoded, Decoder};
use super::scalar::{self, Misfit};
use super::value::{Argument, Value};
use crate::config::schema::{Codec, Struct, TypeId};
use crate::go::yaml::{Kind, Mapping, Node};

/// What the reference prints in place of a private key, and reads back as it is.
const REDACTED: &str = "******";

impl Decoder<'_> {
    /// A certificate or key reads all its texts, and a missing one is empty rather than absent. The first text that is no
    /// base64 is refused, unless one of them is no text at all.
    pub(super) fn certificate(
        &mut self,
        shape: &Struct,
        mapping: &Mapping,
        node: &Node,
    ) -> Result<Value, Abort> {
        let before = self.problems.len();
        let mut texts = vec![""; shape.fields.len()];
        for (key, value) in mapping.iter() {
            let Some(index) = shape.fields.iter().position(|field| field.name == key) else {
                continue;
            };
            match value.as_scalar() {
                Some(scalar) if self.is_string(scalar) => {
                    texts[index] = value.as_str().unwrap_or_default();
                }
                _ => drop(self.misfit(value, "string")),
            }
        }
        let mut refused = self.problems.len() > before;
        let mut fields = Vec::new();
        for (field, text) in shape.fields.iter().zip(texts) {
            if field.name == "key" && text == REDACTED {
                fields.push(Value::Text(Some(text.to_owned())));
                continue;
            }
            match scalar::base64(text) {
                Ok(text) => fields.push(Value::Text(Some(text))),
                Err(refusal) => {
                    if !refused {
                        refused = true;
                        self.refused(node, refusal)?;
                    }
                    fields.push(Value::Text(None));
                }
            }
        }
        Ok(Value::Struct(fields))
    }

    pub(super) fn codec(&mut self, codec: Codec, ty: TypeId, node: &Node) -> Decoded {
        let described = self.schema.get(ty);
        if self.wants_text(ty, node) {
            return Ok(self.misfit(node, &format!("{} (TextUnmarshaler)", described.name)));
        }
        let scalar = match node.kind() {
            Kind::Scalar(scalar) => scalar,
            Kind::Sequence(items) if matches!(codec, Codec::Argument) => {
                return self.arguments(items, node);
            }
            // The keys of a struct without known keys are left to the check for unknown ones.
            Kind::Mapping(_) if codec.reads_text() && codec.is_struct() => return Ok(None),
            _ if codec.reads_text() || matches!(codec, Codec::Duration | Codec::FileMode) => {
                return Ok(self.misfit(node, &described.name));
            }
            _ if matches!(codec, Codec::Argument) => {
                return self.refused(
                    node,
                    "arg value must be a string or list of strings".to_owned(),
                );
            }
            _ => return Ok(self.misfit(node, "string")),
        };
        let is_text = matches!(
            codec,
            Codec::Url | Codec::DiskSize | Codec::DiskSizeMatcher | Codec::Base64
        );
        if is_text && !self.is_string(scalar) {
            return Ok(self.misfit(node, "string"));
        }
        match scalar::read(codec, scalar, self.habits()) {
            Ok(value) => Ok(Some(value)),
            Err(Misfit::Type) => Ok(self.misfit(node, &described.name)),
            Err(Misfit::Refused(refusal)) => self.refused(node, refusal),
        }
    }

    fn arguments(&mut self, items: &[Node], node: &Node) -> Decoded {
        let texts: Vec<String> = items
            .iter()
            .filter_map(Node::as_str)
            .map(str::to_owned)
            .collect();
        if items.iter().any(|item| item.as_scalar().is_none()) {
            return self.refused(
                node,
                "arg value must be a string or list of strings".to_owned(),
            );
        }
        Ok(Some(Value::Argument(Argument::Many(texts))))
    }
}
