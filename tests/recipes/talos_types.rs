//! The table of the types of the machine configuration, from one description a Talos minor.
//!
//! A description is `{"documents": {kind: type}, "types": {name: {"kind", "elem", "traits", "fields": [{"name", "type",
//! "omitempty", "omitonlyifnil", "inline", "merge"}]}}}`: what Go's reflection shows of every registered document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The table of these descriptions, `(version, text)`, oldest first.
pub(crate) fn table(descriptions: &[(String, String)]) -> Result<String> {
    let mut documents = Rows::default();
    let mut types = Rows::default();
    for (column, (version, text)) in descriptions.iter().enumerate() {
        let description: Value = serde_json::from_str(text)?;
        let object = |name: &str| {
            let object = description[name].as_object();
            object.ok_or_else(|| format!("the description of {version} has no {name}"))
        };
        for (kind, name) in object("documents")? {
            let name = name.as_str().unwrap_or_default();
            documents.add(kind, format!("document {kind} {name}"), column);
        }
        for (name, declared) in object("types")? {
            // The secrets bundle is not a document of the configuration.
            if name.starts_with("secrets.") {
                continue;
            }
            types.add(name, line(name, declared), column);
        }
    }
    let versions: Vec<&str> = descriptions.iter().map(|(v, _)| v.as_str()).collect();
    let mut out = heading(&versions);
    documents.write(&mut out, versions.len());
    types.write(&mut out, versions.len());
    Ok(out)
}

fn heading(versions: &[&str]) -> String {
    let listed = match versions {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => versions.join(""),
    };
    let columns: String = (0..versions.len())
        .map(|column| column.to_string())
        .collect();
    let minor = |version: &str| {
        version.rsplit_once('.').map_or(String::new(), |_| {
            version.split('.').take(2).collect::<Vec<_>>().join(".")
        })
    };
    let (first, last) = (minor(versions[0]), minor(versions[versions.len() - 1]));
    format!(
        "# The types of machine configuration, as Talos {listed} declare them in Go.\n\
         # A line holds for the minor versions named in its first word ({columns}: {first} to {last}), then:\n\
         #   document KIND TYPE          the type of a document kind\n\
         #   KIND TYPE [of ELEMENT] [merge] | FIELD TYPE [omit] [inline] [replace] | ...\n\
         # merge: has a merge rule of its own; omit: not printed when empty;\n\
         # inline: its fields stand among those of the parent; replace: merged by replacing the whole value.\n"
    )
}

fn line(name: &str, declared: &Value) -> String {
    let kind = declared["kind"].as_str().unwrap_or_default();
    let mut line = format!("{kind} {name}");
    if let Some(element) = declared["elem"].as_str() {
        let _ = write!(line, " of {element}");
    }
    let traits = declared["traits"].as_array();
    if traits.is_some_and(|traits| traits.iter().any(|name| name == "Merge")) {
        line.push_str(" merge");
    }
    for field in declared["fields"].as_array().into_iter().flatten() {
        let text = |name: &str| field[name].as_str().unwrap_or_default();
        let field_name = if text("name").is_empty() {
            "-"
        } else {
            text("name")
        };
        let _ = write!(
            line,
            " | {field_name} {}",
            text("type").replace("interface {}", "any")
        );
        let is_set = |name: &str| field[name] == true;
        if is_set("omitempty") || is_set("omitonlyifnil") {
            line.push_str(" omit");
        }
        if is_set("inline") {
            line.push_str(" inline");
        }
        if text("merge") == "replace" {
            line.push_str(" replace");
        }
    }
    line
}

/// Lines by name, each with the columns in which it holds.
#[derive(Default)]
struct Rows(BTreeMap<String, Vec<(String, Vec<usize>)>>);

impl Rows {
    fn add(&mut self, name: &str, line: String, column: usize) {
        let lines = self.0.entry(name.to_owned()).or_default();
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, columns)) => columns.push(column),
            None => lines.push((line, vec![column])),
        }
    }

    fn write(&self, out: &mut String, columns: usize) {
        for (line, present) in self.0.values().flatten() {
            for column in 0..columns {
                if present.contains(&column) {
                    let _ = write!(out, "{column}");
                } else {
                    out.push('.');
                }
            }
            let _ = writeln!(out, " {line}");
        }
    }
}
