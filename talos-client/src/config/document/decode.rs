//! Nodes to typed values, as Go's YAML decodes them.

use super::any::Any;
use super::scalar::{self, Habits};
use super::value::{Entries, Value, zero};
use crate::config::schema::{Minor, Schema, Shape, Struct, TypeId};
use crate::go::yaml::{Kind, Mapping, Node, Scalar};

const INLINE_MANIFESTS: &str = "v1alpha1.ClusterInlineManifests";

/// Decodes a node as a type.
///
/// # Errors
///
/// The text of Go's YAML: all type errors together, or (up to v1.11) the first refusal of a type that reads itself.
pub(crate) fn decode(schema: &Schema, ty: TypeId, node: &Node) -> Result<Value, String> {
    decode_quoting(schema, ty, node, Quoting::Values)
}

/// Like [`decode`], but no error text shows a value.
///
/// # Errors
///
/// As of [`decode`], without the values that the reference quotes.
pub(crate) fn decode_secret(schema: &Schema, ty: TypeId, node: &Node) -> Result<Value, String> {
    decode_quoting(schema, ty, node, Quoting::Nothing)
}

/// What error texts show of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoting {
    Values,
    Nothing,
}

fn decode_quoting(
    schema: &Schema,
    ty: TypeId,
    node: &Node,
    quoting: Quoting,
) -> Result<Value, String> {
    let mut decoder = Decoder::new(schema, quoting);
    let value = decoder.value(ty, node).map_err(|Abort(text)| text)?;
    decoder.finish()?;
    Ok(value.unwrap_or_else(|| zero(schema, ty)))
}

/// Decodes a node as a text; nothing for `null`.
///
/// # Errors
///
/// As of [`decode`].
pub(crate) fn decode_text(schema: &Schema, node: &Node) -> Result<Option<String>, String> {
    let mut decoder = Decoder::new(schema, Quoting::Values);
    if let Some(scalar) = node.as_scalar() {
        decoder.check_tag(scalar).map_err(|Abort(text)| text)?;
    }
    if node.is_null() {
        return Ok(None);
    }
    let text = node.as_scalar().and_then(|scalar| decoder.string(scalar));
    if text.is_none() {
        decoder.misfit(node, "string");
    }
    decoder.finish()?;
    Ok(text)
}

/// Up to v1.11 a type that refuses its text ends decoding at once.
pub(super) struct Abort(String);

/// A value; nothing where Go's YAML leaves the target as it was.
pub(super) type Decoded = Result<Option<Value>, Abort>;

pub(super) struct Decoder<'s> {
    pub(super) schema: &'s Schema,
    quoting: Quoting,
    pub(super) problems: Vec<String>,
}

impl<'s> Decoder<'s> {
    const fn new(schema: &'s Schema, quoting: Quoting) -> Self {
        Self {
            schema,
            quoting,
            problems: Vec::new(),
        }
    }

    /// All problems in one text.
    fn finish(self) -> Result<(), String> {
        let problems = self.problems;
        if problems.is_empty() {
            return Ok(());
        }
        let verb = if self.schema.minor() < Minor::V1_13 {
            "unmarshal"
        } else {
            "construct"
        };
        if self.schema.minor() >= Minor::V1_14 {
            return Err(format!("yaml: {verb} errors: {}", problems.join("; ")));
        }
        Err(format!("yaml: {verb} errors:\n  {}", problems.join("\n  ")))
    }

    /// A tag that the text does not fit ends decoding at once.
    fn check_tag(&self, scalar: &Scalar) -> Result<(), Abort> {
        let Some(found) = scalar.tag_conflict() else {
            return Ok(());
        };
        let (head, verb) = match self.schema.minor() {
            Minor::V1_14 => (
                "go-yaml load error in resolver at <unknown position>: ",
                "construct",
            ),
            Minor::V1_13 => ("yaml: ", "construct"),
            _ => ("yaml: ", "decode"),
        };
        let quoted = self.quoted(found, scalar.text());
        Err(Abort(format!(
            "{head}cannot {verb} {quoted} as a {}",
            scalar.tag().unwrap_or_default()
        )))
    }

    fn value(&mut self, ty: TypeId, node: &Node) -> Decoded {
        if let Some(scalar) = node.as_scalar() {
            self.check_tag(scalar)?;
        }
        let described = self.schema.get(ty);
        if node.is_null() {
            return Ok(self.null(ty));
        }
        match &described.shape {
            Shape::Pointer(target) => {
                if self.schema.minor() == Minor::V1_13 && self.wants_text(*target, node) {
                    // v1.13 looks before it follows the pointer, and names the pointer.
                    return Ok(self.misfit(node, &format!("{} (TextUnmarshaler)", described.name)));
                }
                let value = self.value(*target, node)?;
                Ok(value.map(|value| Value::Pointer(Some(Box::new(value)))))
            }
            Shape::Any | Shape::Unknown => {
                let problems = &mut self.problems;
                Ok(Some(Value::Any(Any::read(node, &mut |problem| {
                    problems.push(problem)
                }))))
            }
            Shape::Codec(codec) => self.codec(*codec, ty, node),
            Shape::Struct(shape) if shape.certificate && node.as_mapping().is_none() => {
                let target = certificate_target(shape);
                Ok(self.misfit(node, &target))
            }
            shape => match node.kind() {
                Kind::Scalar(scalar) => Ok(self.scalar(shape, ty, scalar, node)),
                Kind::Sequence(items) => match shape {
                    Shape::List(item) => self.list(ty, *item, items).map(Some),
                    _ => Ok(self.misfit(node, &described.name)),
                },
                Kind::Mapping(mapping) => self.mapping(shape, ty, mapping, node),
            },
        }
    }

    pub(super) fn habits(&self) -> Habits {
        Habits::of(self.schema.minor())
    }

    /// `null` resets what can be absent and leaves everything else alone.
    fn null(&self, ty: TypeId) -> Option<Value> {
        let can_be_absent = match &self.schema.get(ty).shape {
            Shape::Pointer(_) | Shape::List(_) | Shape::Map(_) | Shape::Any => true,
            Shape::Codec(codec) => codec.is_bytes(),
            _ => false,
        };
        can_be_absent.then(|| zero(self.schema, ty))
    }

    /// Since v1.13 a type that reads text says so when it gets something else.
    pub(super) fn wants_text(&self, ty: TypeId, node: &Node) -> bool {
        let reads_text =
            matches!(&self.schema.get(ty).shape, Shape::Codec(codec) if codec.reads_text());
        self.schema.minor() >= Minor::V1_13 && reads_text && node.as_scalar().is_none()
    }

    pub(super) fn misfit(&mut self, node: &Node, target: &str) -> Option<Value> {
        let verb = if self.schema.minor() < Minor::V1_13 {
            "unmarshal"
        } else {
            "construct"
        };
        let what = match node.kind() {
            Kind::Mapping(_) => "!!map".to_owned(),
            Kind::Sequence(_) => "!!seq".to_owned(),
            Kind::Scalar(scalar) => self.quoted(&scalar_tag(scalar), &shortened(scalar.text())),
        };
        self.problems.push(format!(
            "line {}: cannot {verb} {what} into {target}",
            node.line()
        ));
        None
    }

    /// A tag and the text that has it, unless texts are secret.
    fn quoted(&self, tag: &str, text: &str) -> String {
        match self.quoting {
            Quoting::Values => format!("{tag} `{text}`"),
            Quoting::Nothing => tag.to_owned(),
        }
    }

    pub(super) fn refused(&mut self, node: &Node, refusal: String) -> Decoded {
        if self.schema.minor() < Minor::V1_12 {
            return Err(Abort(refusal));
        }
        self.problems
            .push(format!("line {}: {refusal}", node.line()));
        Ok(None)
    }

    fn scalar(&mut self, shape: &Shape, ty: TypeId, scalar: &Scalar, node: &Node) -> Option<Value> {
        let value = match shape {
            Shape::String => self.string(scalar).map(Value::String),
            Shape::Bool => node.as_bool().map(Value::Bool),
            Shape::Int(int) => scalar::integer(scalar, *int, self.habits()).map(Value::Int),
            _ => None,
        };
        match value {
            Some(value) => Some(value),
            None => {
                let target = self.target_name(ty);
                self.misfit(node, &target)
            }
        }
    }

    /// What error texts call a type; inline manifests are decoded as a plain list first.
    fn target_name(&self, ty: TypeId) -> String {
        match self.schema.get(ty).name.as_str() {
            INLINE_MANIFESTS => "[]v1alpha1.ClusterInlineManifest".to_owned(),
            name => name.to_owned(),
        }
    }

    /// A string field takes the text of any scalar, except that v1.14 refuses dates.
    fn string(&self, scalar: &Scalar) -> Option<String> {
        self.is_string(scalar).then(|| scalar.text().to_owned())
    }

    pub(super) fn is_string(&self, scalar: &Scalar) -> bool {
        self.schema.minor() < Minor::V1_14 || !scalar.is_timestamp()
    }

    fn list(&mut self, ty: TypeId, item: TypeId, items: &[Node]) -> Result<Value, Abort> {
        let mut values = Vec::with_capacity(items.len());
        for node in items {
            values.extend(self.value(item, node)?);
        }
        if self.schema.get(ty).name == INLINE_MANIFESTS {
            values
                .iter_mut()
                .for_each(|manifest| self.trim_contents(item, manifest));
        }
        Ok(Value::List(Some(values)))
    }

    /// Inline manifests lose leading line breaks and tabs while they are read.
    fn trim_contents(&self, ty: TypeId, manifest: &mut Value) {
        let Shape::Struct(shape) = &self.schema.get(ty).shape else {
            return;
        };
        if let Some(Value::String(contents)) = shape
            .find("contents")
            .and_then(|path| manifest.at_mut(path))
        {
            *contents = contents
                .trim_start_matches(['\t', '\n', '\u{b}', '\u{c}', '\r'])
                .to_owned();
        }
    }

    fn mapping(&mut self, shape: &Shape, ty: TypeId, mapping: &Mapping, node: &Node) -> Decoded {
        if !mapping.duplicates.is_empty() {
            self.problems
                .extend(mapping.duplicates.iter().map(ToString::to_string));
            return Ok(None);
        }
        match shape {
            Shape::Struct(shape) if shape.certificate => {
                self.certificate(shape, mapping, node).map(Some)
            }
            Shape::Struct(shape) => self.fields(shape, ty, mapping).map(Some),
            Shape::Map(value) => self.map(*value, mapping).map(Some),
            _ => {
                let target = self.target_name(ty);
                Ok(self.misfit(node, &target))
            }
        }
    }

    /// The entries of a mapping, without the one under `null`, which names nothing, and those whose key is no string.
    fn named<'m>(&mut self, mapping: &'m Mapping) -> Result<Vec<(&'m str, &'m Node)>, Abort> {
        let mut named = Vec::with_capacity(mapping.len());
        for entry in mapping.entries() {
            let key = entry.key();
            self.check_tag(key)?;
            if key.is_null() {
                continue;
            }
            if self.is_string(key) {
                named.push((key.text(), entry.value()));
            } else {
                let line = entry.position().map_or(0, |position| position.line);
                let what = self.quoted(&scalar_tag(key), &shortened(key.text()));
                self.problems
                    .push(format!("line {line}: cannot construct {what} into string"));
            }
        }
        Ok(named)
    }

    fn map(&mut self, ty: TypeId, mapping: &Mapping) -> Result<Value, Abort> {
        let mut entries = Entries::with_capacity(mapping.len());
        for (key, node) in self.named(mapping)? {
            let value = self.value(ty, node)?;
            if value.is_some() || node.is_null() {
                entries.insert(
                    key.to_owned(),
                    value.unwrap_or_else(|| zero(self.schema, ty)),
                );
            }
        }
        Ok(Value::Map(Some(Box::new(entries))))
    }

    fn fields(&mut self, shape: &Struct, ty: TypeId, mapping: &Mapping) -> Result<Value, Abort> {
        let mut value = zero(self.schema, ty);
        for (key, node) in self.named(mapping)? {
            match (shape.find(key), shape.inline_map) {
                (Some(path), _) => {
                    let field = self.schema.field_type(shape, path);
                    if let (Some(decoded), Some(target)) =
                        (self.value(field, node)?, value.at_mut(path))
                    {
                        *target = decoded;
                    }
                }
                (None, Some(inline)) => {
                    let problems = &mut self.problems;
                    let decoded = Any::read(node, &mut |problem| problems.push(problem));
                    if let Some(Value::Map(entries)) = value.at_mut((inline, None)) {
                        entries
                            .get_or_insert_default()
                            .insert(key.to_owned(), Value::Any(decoded));
                    }
                }
                // The check for unknown keys tells about it.
                (None, None) => {}
            }
        }
        Ok(value)
    }
}

fn scalar_tag(scalar: &Scalar) -> String {
    scalar
        .tag()
        .map_or_else(|| scalar.value().tag().to_owned(), str::to_owned)
}

/// The type that a certificate is read as before its texts are decoded.
fn certificate_target(shape: &Struct) -> String {
    let fields: Vec<String> = shape
        .fields
        .iter()
        .map(|field| {
            let mut name = field.name.to_owned();
            name[..1].make_ascii_uppercase();
            format!("{name} string \"yaml:\\\"{}\\\"\"", field.name)
        })
        .collect();
    format!("struct {{ {} }}", fields.join("; "))
}

/// Error texts show at most ten bytes of a value.
fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return text.to_owned();
    }
    let end = (0..=7)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    format!("{}...", &text[..end])
}
