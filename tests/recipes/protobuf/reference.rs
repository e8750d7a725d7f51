//! Messages, enumerations and methods of a set of `.proto` files, by their full names.
//!
//! Files are read one by one, without what they import: types are found by their names among all files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A field as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: i32,
    /// A scalar type, or the full name of a message or an enumeration.
    pub(crate) kind: String,
    /// Scalar type of the key and type of the value, when the field is a map.
    pub(crate) map: Option<(String, String)>,
    pub(crate) is_repeated: bool,
}

/// A method of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) is_client_streaming: bool,
    pub(crate) is_server_streaming: bool,
}

/// What a set of files defines.
#[derive(Default)]
pub(crate) struct Definitions {
    pub(crate) messages: BTreeMap<String, Vec<Field>>,
    pub(crate) enums: BTreeMap<String, Vec<(String, i32)>>,
    /// By `/package.Service/Method`.
    pub(crate) methods: BTreeMap<String, Method>,
}

impl Definitions {
    /// Reads all `.proto` files below the folders. Where two define the same name, the first one counts.
    pub(crate) fn read(folders: &[PathBuf]) -> Result<Self> {
        let mut texts = Vec::new();
        for folder in folders {
            for path in proto_files(folder)? {
                let text = super::super::files::read(&path)?;
                texts.push((path.to_string_lossy().into_owned(), text));
            }
        }
        Self::parse(&texts)
    }

    /// What files define, given as their names and texts.
    pub(crate) fn parse(texts: &[(String, String)]) -> Result<Self> {
        let mut files = Vec::new();
        for (name, text) in texts {
            files.push(protox_parse::parse(name, text)?);
        }
        Ok(Self::of(&files))
    }

    /// Whether there is a type, a field or value, or a method of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        let is_member = |(scope, member): (&str, &str)| {
            let fields = self.messages.get(scope);
            let values = self.enums.get(scope);
            fields.is_some_and(|fields| fields.iter().any(|field| field.name == member))
                || values.is_some_and(|values| values.iter().any(|(value, _)| value == member))
        };
        self.messages.contains_key(name)
            || self.enums.contains_key(name)
            || self.methods.contains_key(name)
            || name.rsplit_once('.').is_some_and(is_member)
    }

    fn of(files: &[FileDescriptorProto]) -> Self {
        let mut names = BTreeSet::new();
        for file in files {
            let types = file.message_type.iter();
            types.for_each(|message| message_names(message, file.package(), &mut names));
            enum_names(&file.enum_type, file.package(), &mut names);
        }
        let mut definitions = Self::default();
        for file in files {
            for message in &file.message_type {
                definitions.add_message(message, file.package(), &names);
            }
            definitions.add_enums(&file.enum_type, file.package());
            definitions.add_methods(file, &names);
        }
        definitions
    }

    fn add_message(&mut self, message: &DescriptorProto, scope: &str, names: &BTreeSet<String>) {
        let name = joined(scope, message.name());
        if self.messages.contains_key(&name) {
            return;
        }
        let fields = message.field.iter().map(|field| {
            let entry = message.nested_type.iter().find(|nested| {
                let is_map = nested
                    .options
                    .as_ref()
                    .is_some_and(|options| options.map_entry());
                is_map && field.type_name().ends_with(nested.name())
            });
            field_of(field, entry, &name, names)
        });
        self.messages.insert(name.clone(), fields.collect());
        self.add_enums(&message.enum_type, &name);
        for nested in &message.nested_type {
            if !nested
                .options
                .as_ref()
                .is_some_and(|options| options.map_entry())
            {
                self.add_message(nested, &name, names);
            }
        }
    }

    fn add_enums(&mut self, enums: &[EnumDescriptorProto], scope: &str) {
        for found in enums {
            let values = found.value.iter();
            let values = values.map(|value| (value.name().to_owned(), value.number()));
            let name = joined(scope, found.name());
            self.enums.entry(name).or_insert_with(|| values.collect());
        }
    }

    fn add_methods(&mut self, file: &FileDescriptorProto, names: &BTreeSet<String>) {
        for service in &file.service {
            let scope = joined(file.package(), service.name());
            for method in &service.method {
                let found = Method {
                    input: resolved(method.input_type(), &scope, names),
                    output: resolved(method.output_type(), &scope, names),
                    is_client_streaming: method.client_streaming(),
                    is_server_streaming: method.server_streaming(),
                };
                let path = format!("/{scope}/{}", method.name());
                self.methods.entry(path).or_insert(found);
            }
        }
    }
}

/// The `.proto` files below a folder, in the order of their paths.
pub(crate) fn proto_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn field_of(
    field: &FieldDescriptorProto,
    entry: Option<&DescriptorProto>,
    scope: &str,
    names: &BTreeSet<String>,
) -> Field {
    let kind = |field: &FieldDescriptorProto| match field.type_name() {
        "" => scalar(field.r#type()),
        name => resolved(name, scope, names),
    };
    let map = entry.and_then(|entry| match entry.field.as_slice() {
        [key, value] => Some((kind(key), kind(value))),
        _ => None,
    });
    Field {
        name: field.name().to_owned(),
        number: field.number(),
        kind: kind(field),
        map,
        is_repeated: field.label() == Label::Repeated,
    }
}

fn scalar(kind: Type) -> String {
    format!("{kind:?}").to_lowercase()
}

fn message_names(message: &DescriptorProto, scope: &str, names: &mut BTreeSet<String>) {
    let name = joined(scope, message.name());
    let nested = message.nested_type.iter();
    nested.for_each(|nested| message_names(nested, &name, names));
    enum_names(&message.enum_type, &name, names);
    names.insert(name);
}

fn enum_names(enums: &[EnumDescriptorProto], scope: &str, names: &mut BTreeSet<String>) {
    names.extend(enums.iter().map(|found| joined(scope, found.name())));
}

fn joined(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        scope => format!("{scope}.{name}"),
    }
}

/// The full name of a type: relative names are looked for in the scope and in what surrounds it.
pub(crate) fn resolved(name: &str, scope: &str, names: &BTreeSet<String>) -> String {
    if let Some(full) = name.strip_prefix('.') {
        return full.to_owned();
    }
    let mut scope = Some(scope);
    while let Some(current) = scope {
        let full = joined(current, name);
        if names.contains(&full) {
            return full;
        }
        scope = match current.rsplit_once('.') {
            Some((outer, _)) => Some(outer),
            None if current.is_empty() => None,
            None => Some(""),
        };
    }
    name.to_owned()
}
