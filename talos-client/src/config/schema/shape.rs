//! The shapes of types, and reading them from the table.

use std::collections::{BTreeMap, HashMap};

use super::{Codec, DocumentKind, Minor, Schema};

/// Names a type within one [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeId(usize);

impl TypeId {
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// A Go type.
#[derive(Debug)]
pub(crate) struct Type {
    /// As error texts name it: `v1alpha1.MachineConfig`, `[]string`.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) merge: Merge,
}

/// What values of a type look like.
#[derive(Debug)]
pub(crate) enum Shape {
    String,
    Bool,
    Int(Int),
    /// Anything: `interface {}`.
    Any,
    /// Absent differs from zero.
    Pointer(TypeId),
    List(TypeId),
    Map(TypeId),
    Struct(Struct),
    /// A text or number with a form of its own.
    Codec(Codec),
    /// Named, but not described by the table.
    Unknown,
}

/// The range of an integer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Int {
    pub(crate) bits: u32,
    pub(crate) signed: bool,
}

/// Merge rules that are not those of the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// As the shape says.
    ByShape,
    /// The right value always replaces the left one, even when it is absent.
    Overwrite,
    /// The right value replaces the left one unless it is absent.
    Whole,
    /// Items are matched by this field and merged.
    ItemsBy(&'static str),
    /// Items are matched by this field and replaced.
    ReplaceItemsBy(&'static str),
    /// Network interfaces: by `interface`, else by an equal `deviceSelector`.
    Interfaces,
}

/// A struct: its fields in the order in which they are printed.
#[derive(Debug, Default)]
pub(crate) struct Struct {
    pub(crate) fields: Vec<Field>,
    /// A certificate with its key: both are base64, and a missing one reads as empty instead of absent.
    pub(crate) certificate: bool,
    keys: BTreeMap<&'static str, (usize, Option<usize>)>,
    /// The field whose keys stand among those of the struct: it makes the struct free-form.
    pub(crate) inline_map: Option<usize>,
}

impl Struct {
    /// Where `key` leads: a field, or a field of an inlined struct.
    pub(crate) fn find(&self, key: &str) -> Option<(usize, Option<usize>)> {
        self.keys.get(key).copied()
    }
}

/// A field of a struct.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: TypeId,
    pub(crate) omit_empty: bool,
    pub(crate) inline: bool,
    pub(crate) replace: bool,
}

/// The file of a secrets bundle, in the form of the table; it is no document of a configuration.
const BUNDLE: &str = "\
01234 struct secrets.Cluster | id string | secret string
01234 struct secrets.Secrets | bootstraptoken string | aescbcencryptionsecret string | secretboxencryptionsecret string
01234 struct secrets.TrustdInfo | token string
01234 struct secrets.Certs | etcd *x509.PEMEncodedCertificateAndKey | k8s *x509.PEMEncodedCertificateAndKey | \
k8saggregator *x509.PEMEncodedCertificateAndKey | k8sserviceaccount *x509.PEMEncodedKey | os *x509.PEMEncodedCertificateAndKey
01234 struct secrets.Bundle | cluster *secrets.Cluster | secrets *secrets.Secrets | trustdinfo *secrets.TrustdInfo | certs *secrets.Certs
";

/// Reads the lines of the table that hold for a minor version.
pub(super) fn parse(table: &'static str, minor: Minor) -> Schema {
    let digit = char::from(b'0' + u8::try_from(minor.0 - super::FIRST_MINOR).unwrap_or_default());
    let mut builder = Builder::default();
    let mut documents = Vec::new();
    let lines = table.lines().chain(BUNDLE.lines());
    for line in lines.filter(|line| !line.starts_with('#')) {
        let Some((versions, rest)) = line.split_once(' ') else {
            continue;
        };
        if !versions.contains(digit) {
            continue;
        }
        match rest
            .strip_prefix("document ")
            .and_then(|rest| rest.split_once(' '))
        {
            Some((kind, ty)) => documents.push((kind, ty)),
            None => builder.define(rest),
        }
    }
    let mut known = HashMap::new();
    for (kind, ty) in documents {
        let ty = builder.intern(ty);
        let named = matches!(&builder.types[ty.0].shape, Shape::Struct(shape) if shape.find("name").is_some());
        known.insert(kind, DocumentKind { kind, ty, named });
    }
    let bundle = builder.intern("secrets.Bundle");
    builder.finish(minor, known, bundle)
}

#[derive(Default)]
struct Builder {
    types: Vec<Type>,
    names: HashMap<String, TypeId>,
}

impl Builder {
    fn intern(&mut self, expression: &str) -> TypeId {
        if let Some(id) = self.names.get(expression) {
            return *id;
        }
        let shape = if let Some(target) = expression.strip_prefix('*') {
            Shape::Pointer(self.intern(target))
        } else if expression == "[]uint8" {
            Shape::Codec(Codec::Base64)
        } else if let Some(item) = expression.strip_prefix("[]") {
            Shape::List(self.intern(item))
        } else if let Some(value) = expression.strip_prefix("map[string]") {
            Shape::Map(self.intern(value))
        } else {
            basic(expression)
        };
        let name = if expression == "any" {
            "interface {}".to_owned()
        } else {
            expression.replace("]any", "]interface {}")
        };
        let merge = Merge::ByShape;
        self.add(expression, Type { name, shape, merge })
    }

    fn add(&mut self, expression: &str, ty: Type) -> TypeId {
        let id = *self
            .names
            .entry(expression.to_owned())
            .or_insert(TypeId(self.types.len()));
        if id.0 == self.types.len() {
            self.types.push(ty);
        } else {
            self.types[id.0] = ty;
        }
        id
    }

    /// Reads `KIND NAME [of ELEMENT] [merge] | FIELD …`.
    fn define(&mut self, line: &'static str) {
        let mut parts = line.split(" | ");
        let mut head = parts.next().unwrap_or_default().split(' ');
        let (kind, name) = (
            head.next().unwrap_or_default(),
            head.next().unwrap_or_default(),
        );
        let (mut element, mut has_merge) = (None, false);
        while let Some(word) = head.next() {
            match word {
                "of" => element = head.next(),
                _ => has_merge = true,
            }
        }
        let fields: Vec<Field> = parts.map(|field| self.field(field)).collect();
        let shape = match (Codec::of(name), kind, element) {
            (Some(codec), _, _) => Shape::Codec(codec),
            (None, "slice", Some(item)) => Shape::List(self.intern(item)),
            (None, "map", Some(value)) => Shape::Map(self.intern(value)),
            (None, "struct", _) => Shape::Struct(Struct {
                fields,
                certificate: name.starts_with("x509.PEMEncoded"),
                ..Struct::default()
            }),
            (None, kind, _) => basic(kind),
        };
        let merge = if has_merge {
            own_merge(name)
        } else {
            Merge::ByShape
        };
        self.add(
            name,
            Type {
                name: name.to_owned(),
                shape,
                merge,
            },
        );
    }

    fn field(&mut self, text: &'static str) -> Field {
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default();
        let ty = self.intern(words.next().unwrap_or_default());
        let flags: Vec<&str> = words.collect();
        Field {
            name: if name == "-" { "" } else { name },
            ty,
            omit_empty: flags.contains(&"omit"),
            inline: flags.contains(&"inline"),
            replace: flags.contains(&"replace"),
        }
    }

    /// Resolves which keys lead where, now that all types are known.
    fn finish(
        mut self,
        minor: Minor,
        mut documents: HashMap<&'static str, DocumentKind>,
        bundle: TypeId,
    ) -> Schema {
        for index in 0..self.types.len() {
            let Shape::Struct(shape) = &self.types[index].shape else {
                continue;
            };
            let mut keys = BTreeMap::new();
            let mut inline_map = None;
            for (at, field) in shape.fields.iter().enumerate() {
                match &self.types[field.ty.0].shape {
                    Shape::Struct(inlined) if field.inline => {
                        keys.extend(
                            inlined
                                .fields
                                .iter()
                                .enumerate()
                                .map(|(inner, field)| (field.name, (at, Some(inner)))),
                        );
                    }
                    Shape::Map(_) if field.inline => inline_map = Some(at),
                    _ => drop(keys.insert(field.name, (at, None))),
                }
            }
            if let Shape::Struct(shape) = &mut self.types[index].shape {
                (shape.keys, shape.inline_map) = (keys, inline_map);
            }
        }
        for document in documents.values_mut() {
            document.named = matches!(&self.types[document.ty.0].shape, Shape::Struct(shape) if shape.find("name").is_some());
        }
        Schema {
            minor,
            types: self.types,
            documents,
            bundle,
        }
    }
}

fn basic(name: &str) -> Shape {
    let int = |bits, signed| Shape::Int(Int { bits, signed });
    match name {
        "string" => Shape::String,
        "bool" => Shape::Bool,
        "any" => Shape::Any,
        "int" | "int64" => int(64, true),
        "int32" => int(32, true),
        "uint" | "uint64" => int(64, false),
        "uint32" => int(32, false),
        "uint16" => int(16, false),
        "uint8" => int(8, false),
        _ => Shape::Unknown,
    }
}

fn own_merge(name: &str) -> Merge {
    match name {
        "v1alpha1.NetworkDeviceList" => Merge::Interfaces,
        "v1alpha1.VlanList" => Merge::ItemsBy("vlanId"),
        "v1alpha1.AdmissionPluginConfigList" => Merge::ItemsBy("name"),
        "extensions.ConfigFileList" => Merge::ItemsBy("mountPath"),
        "security.ImageVerificationRules" => Merge::ReplaceItemsBy("image"),
        "v1alpha1.Args" | "meta.Args" => Merge::ReplaceItemsBy(""),
        "meta.Addr" | "meta.AddrPort" | "meta.Prefix" => Merge::Whole,
        _ => Merge::Overwrite,
    }
}
