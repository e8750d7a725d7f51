//! The resource types and namespaces of Talos, from what nodes of several releases answer to
//! `talosctl get resourcedefinitions -o yaml` and `talosctl get namespaces -o yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::files::read;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TITLE: &str =
    "# Resource types and namespaces of Talos by minor release: minors|kind|name|…\n";

/// A resource as talosctl prints it.
#[derive(Deserialize)]
struct Printed {
    metadata: Metadata,
    #[serde(default)]
    spec: Option<serde_yaml::Value>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    #[serde(rename = "type")]
    name: String,
    display_type: String,
    default_namespace: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    skip_automatic_aliases: bool,
    #[serde(default)]
    print_columns: Vec<Column>,
    #[serde(default)]
    sensitivity: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Column {
    name: String,
    json_path: String,
}

/// Namespaces before types, each by name.
type Key = (bool, String);

/// The lines of one name: what follows the minors, and the minors.
type Lines = BTreeMap<String, BTreeSet<u64>>;

/// The table, from `(minor, printed resources)`.
pub(crate) fn table(printed: &[(u64, String)]) -> Result<String> {
    let mut known: BTreeMap<Key, Lines> = BTreeMap::new();
    for (minor, text) in printed {
        for document in serde_yaml::Deserializer::from_str(text) {
            let resource = Option::<Printed>::deserialize(document)?;
            let Some((key, line)) = resource.map(line).transpose()? else {
                continue;
            };
            let lines = known.entry(key).or_default();
            lines.entry(line).or_default().insert(*minor);
        }
    }
    let mut table = TITLE.to_owned();
    for lines in known.into_values() {
        let mut spans: Vec<(u64, u64, String)> = lines
            .into_iter()
            .flat_map(|(line, minors)| {
                spans(&minors)
                    .into_iter()
                    .map(move |(first, last)| (first, last, line.clone()))
            })
            .collect();
        spans.sort();
        for (first, last, line) in spans {
            table.push_str(&format!("{first}-{last}|{line}\n"));
        }
    }
    Ok(table)
}

/// `MINOR=FILE` arguments, read.
pub(crate) fn printed(arguments: &[String]) -> Result<Vec<(u64, String)>> {
    let read_one = |argument: &String| {
        let (minor, file) = argument
            .split_once('=')
            .ok_or_else(|| format!("{argument:?} is not MINOR=FILE"))?;
        Ok((minor.parse()?, read(Path::new(file))?))
    };
    arguments.iter().map(read_one).collect()
}

fn line(resource: Printed) -> Result<(Key, String)> {
    let Metadata { kind, id } = resource.metadata;
    match kind.as_str() {
        "Namespaces.meta.cosi.dev" => Ok(((false, id.clone()), format!("namespace|{id}"))),
        "ResourceDefinitions.meta.cosi.dev" => {
            let spec = resource.spec.ok_or_else(|| format!("{id} has no spec"))?;
            let definition = Definition::deserialize(spec)?;
            Ok(((true, definition.name.clone()), definition.line()))
        }
        other => Err(format!("{id} is a {other}").into()),
    }
}

impl Definition {
    fn line(&self) -> String {
        let kind = match self.sensitivity.as_str() {
            "sensitive" => "secret",
            _ if self.skip_automatic_aliases => "short",
            _ => "type",
        };
        let columns: Vec<String> = self
            .print_columns
            .iter()
            .map(|column| format!("{}={}", column.name, column.json_path))
            .collect();
        [
            kind,
            &self.name,
            &self.display_type,
            &self.default_namespace,
            &self.aliases.join(","),
            &columns.join(";"),
        ]
        .join("|")
    }
}

/// The runs of consecutive minors.
fn spans(minors: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for minor in minors {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == *minor => *last = *minor,
            _ => spans.push((*minor, *minor)),
        }
    }
    spans
}
