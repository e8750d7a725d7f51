//! One `.proto` file with the numbers, types and labels of the reference.

use std::collections::BTreeSet;

use regex::{Captures, Regex};

use super::reference::{Definitions, Field, Method, resolved};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const FIELD: &str =
    r"^(\s*)(?:(repeated |optional )?(map<\w+, ?[\w.]+>|[\w.]+) )?(\w+) = (-?\d+)( \[.*\])?;$";
const METHOD: &str =
    r"^(\s*rpc (\w+))\((?:stream )?([\w.]+)\) returns \((?:stream )?([\w.]+)\)(.*)$";

/// Packages that are called otherwise here: the name here, and the names there.
pub(crate) type Packages<'a> = &'a [(&'a str, &'a [&'a str])];

/// The reference, and what of it is wanted.
pub(crate) struct Source<'a> {
    pub(crate) reference: &'a Definitions,
    pub(crate) packages: Packages<'a>,
    /// What is taken beside what the file names: `package.Message`, `package.Message.field`, `/package.Service/Method`.
    pub(crate) add: &'a [String],
}

/// A file, rewritten.
#[derive(Default)]
pub(crate) struct Rewritten {
    pub(crate) text: String,
    /// Fields, values and methods of the reference that the file does not have, although it has what they belong to.
    pub(crate) left_out: Vec<String>,
}

/// The text of a file, rewritten.
pub(crate) fn rewritten(text: &str, ours: &Definitions, source: &Source) -> Result<Rewritten> {
    let names = ours.messages.keys().chain(ours.enums.keys());
    let mut file = File {
        names: names.chain(source.add).cloned().collect(),
        ours,
        source,
        package: String::new(),
        scopes: Vec::new(),
        seen: BTreeSet::new(),
        left_out: Vec::new(),
        forms: (Regex::new(FIELD)?, Regex::new(METHOD)?),
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.extend(file.line(line)?);
    }
    lines.extend(file.added_types());
    Ok(Rewritten {
        text: lines.into_iter().map(|line| line + "\n").collect(),
        left_out: file.left_out,
    })
}

enum Scope {
    /// A message or an enumeration, by its name.
    Type(String),
    /// A service, by its name.
    Service(String),
    /// The choice of a message, or the options of a method.
    Part,
}

struct File<'a> {
    ours: &'a Definitions,
    /// The full names of all types here, and of those that are added.
    names: BTreeSet<String>,
    source: &'a Source<'a>,
    package: String,
    scopes: Vec<Scope>,
    /// Full names of the fields, values and methods that were met.
    seen: BTreeSet<String>,
    left_out: Vec<String>,
    /// The lines of a field or value and of a method.
    forms: (Regex, Regex),
}

impl File<'_> {
    /// The lines in the place of one.
    fn line(&mut self, line: &str) -> Result<Vec<String>> {
        let code = line.trim();
        if code.is_empty() || code.starts_with("//") {
            return Ok(vec![line.to_owned()]);
        }
        if let Some(package) = code.strip_prefix("package ") {
            self.package = package.trim_end_matches(';').to_owned();
        }
        if code == "}" {
            return self.close(line);
        }
        let made = match self
            .scopes
            .iter()
            .rev()
            .find(|scope| !matches!(scope, Scope::Part))
        {
            Some(Scope::Service(service)) if code.starts_with("rpc ") => {
                self.method(line, &service.clone())?
            }
            Some(Scope::Type(_)) => self.member(line)?,
            _ => line.to_owned(),
        };
        if code.ends_with('{') {
            self.open(code);
        } else if let Some(name) = code
            .strip_suffix("{}")
            .and_then(|code| code.strip_prefix("message "))
        {
            return self.empty(line, name.trim());
        }
        Ok(vec![made])
    }

    fn open(&mut self, code: &str) {
        let mut words = code.split_whitespace();
        let (keyword, name) = (words.next(), words.next().unwrap_or_default().to_owned());
        self.scopes.push(match keyword {
            Some("message" | "enum") => Scope::Type(name),
            Some("service") => Scope::Service(name),
            _ => Scope::Part,
        });
    }

    /// The end of a block, after what is added to it.
    fn close(&mut self, line: &str) -> Result<Vec<String>> {
        let mut lines = match self.scopes.last() {
            Some(Scope::Type(_)) => self.added(&self.scope())?,
            Some(Scope::Service(service)) => {
                self.added_methods(&format!("{}.{service}", self.package))
            }
            _ => Vec::new(),
        };
        self.scopes.pop();
        lines.push(line.to_owned());
        Ok(lines)
    }

    /// A message without fields.
    fn empty(&mut self, line: &str, name: &str) -> Result<Vec<String>> {
        let added = self.added(&format!("{}.{name}", self.scope()))?;
        if added.is_empty() {
            return Ok(vec![line.to_owned()]);
        }
        let mut lines = vec![line.trim_end_matches('}').to_owned()];
        lines.extend(added);
        lines.push(format!("{}}}", "  ".repeat(self.scopes.len())));
        Ok(lines)
    }

    /// Lines for those fields or values of a type that the file lacks and that are wanted.
    fn added(&mut self, name: &str) -> Result<Vec<String>> {
        let members = self.members(name)?;
        let indent = "  ".repeat(self.scopes.len().max(1));
        let mut lines = Vec::new();
        for (member, line) in members {
            let member = format!("{name}.{member}");
            if self.seen.contains(&member) {
                continue;
            }
            match self.source.add.contains(&member) {
                true => lines.push(format!("{indent}{line};")),
                false => self.left_out.push(member),
            }
        }
        Ok(lines)
    }

    /// Names and declarations of the fields or values of a type, as the reference has them.
    fn members(&self, name: &str) -> Result<Vec<(String, String)>> {
        let reference = self.source.reference;
        for theirs in self.theirs(name) {
            if let Some(fields) = reference.messages.get(&theirs) {
                let fields = fields.iter();
                let fields = fields.map(|field| (field.name.clone(), self.written(field, None)));
                return Ok(fields.collect());
            }
            if let Some(values) = reference.enums.get(&theirs) {
                let values = values.iter();
                let values =
                    values.map(|(value, number)| (value.clone(), format!("{value} = {number}")));
                return Ok(values.collect());
            }
        }
        Err(format!("the reference does not define {name}").into())
    }

    fn added_methods(&mut self, service: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for theirs in self.theirs(service) {
            for (path, method) in &self.source.reference.methods {
                let Some(name) = path.strip_prefix(&format!("/{theirs}/")) else {
                    continue;
                };
                let path = format!("/{service}/{name}");
                if self.seen.contains(&path) {
                    continue;
                }
                match self.source.add.contains(&path) {
                    true => {
                        lines.push(self.declared(&format!("  rpc {name}"), method, "", "") + ";")
                    }
                    false => self.left_out.push(path),
                }
            }
        }
        lines
    }

    /// The messages and enumerations that are added to the package of the file.
    fn added_types(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for name in self.source.add {
            let simple = name.strip_prefix(&format!("{}.", self.package));
            let Some(simple) =
                simple.filter(|simple| !simple.contains('.') && !self.ours.has(name))
            else {
                continue;
            };
            let Ok(members) = self.members(name) else {
                continue;
            };
            let is_message = self
                .theirs(name)
                .iter()
                .any(|name| self.source.reference.messages.contains_key(name));
            let keyword = if is_message { "message" } else { "enum" };
            lines.extend([String::new(), format!("{keyword} {simple} {{")]);
            lines.extend(members.into_iter().map(|(_, line)| format!("  {line};")));
            lines.push("}".to_owned());
        }
        lines
    }

    fn scope(&self) -> String {
        let types = self.scopes.iter().filter_map(|scope| match scope {
            Scope::Type(name) => Some(name.as_str()),
            _ => None,
        });
        let parts: Vec<&str> = std::iter::once(self.package.as_str())
            .chain(types)
            .collect();
        parts.join(".")
    }

    /// What the reference may call a type or service of this package.
    fn theirs(&self, name: &str) -> Vec<String> {
        let of = |(ours, theirs): &(&str, &[&str])| {
            let rest = name.strip_prefix(ours)?.strip_prefix('.')?;
            Some(
                theirs
                    .iter()
                    .map(|package| format!("{package}.{rest}"))
                    .collect(),
            )
        };
        let renamed = self.source.packages.iter().find_map(of);
        renamed.unwrap_or_else(|| vec![name.to_owned()])
    }

    /// What a type of the reference is called here.
    fn ours(&self, name: &str) -> String {
        for (ours, theirs) in self.source.packages {
            for package in *theirs {
                let rest = name
                    .strip_prefix(package)
                    .and_then(|rest| rest.strip_prefix('.'));
                if let Some(rest) = rest
                    && self.names.contains(&format!("{ours}.{rest}"))
                {
                    return format!("{ours}.{rest}");
                }
            }
        }
        name.to_owned()
    }

    /// The line of a field or of a value of an enumeration.
    fn member(&mut self, line: &str) -> Result<String> {
        let Some(parts) = self.forms.0.captures(line) else {
            return Ok(line.to_owned());
        };
        let scope = self.scope();
        let name = &parts[4];
        self.seen.insert(format!("{scope}.{name}"));
        for theirs in self.theirs(&scope) {
            if let Some(fields) = self.source.reference.messages.get(&theirs) {
                let field = fields.iter().find(|field| field.name == name);
                let field = field.ok_or_else(|| format!("{theirs} has no field {name}"))?;
                return Ok(self.field_line(&parts, &scope, field));
            }
            if let Some(values) = self.source.reference.enums.get(&theirs) {
                let value = values.iter().find(|(value, _)| value == name);
                let (_, number) = value.ok_or_else(|| format!("{theirs} has no value {name}"))?;
                return Ok(format!("{}{name} = {number};", &parts[1]));
            }
        }
        Err(format!("the reference does not define {scope}").into())
    }

    fn field_line(&self, parts: &Captures, scope: &str, field: &Field) -> String {
        let written = parts.get(3).map_or("", |kind| kind.as_str());
        let is_same = resolved(written, scope, &self.names) == self.ours(&field.kind);
        let label = match parts.get(2).map_or("", |label| label.as_str()) {
            "optional " if !field.is_repeated => "optional ",
            _ => "",
        };
        let options = parts.get(6).map_or("", |options| options.as_str());
        let keeps = is_same || written.starts_with("map<");
        let field = self.written(field, keeps.then_some(written));
        format!("{}{label}{field}{options};", &parts[1])
    }

    /// `repeated type name = number`, with the type as it is written here already or with its full name.
    fn written(&self, field: &Field, written: Option<&str>) -> String {
        let kind = match (&field.map, written) {
            (Some(_), Some(written)) if written.starts_with("map<") => self.map(written, field),
            (Some((key, value)), _) => format!("map<{key}, {}>", self.full(value)),
            (None, Some(written)) => written.to_owned(),
            (None, None) => self.full(&field.kind),
        };
        let label = match field.is_repeated && field.map.is_none() {
            true => "repeated ",
            false => "",
        };
        format!("{label}{kind} {} = {}", field.name, field.number)
    }

    /// The type of a map as it is written already, when it is the same.
    fn map(&self, written: &str, field: &Field) -> String {
        let Some((key, value)) = &field.map else {
            return written.to_owned();
        };
        let inner = written.trim_start_matches("map<").trim_end_matches('>');
        let written_value = inner
            .split_once(',')
            .map_or(inner, |(_, value)| value.trim());
        let is_same = resolved(written_value, &self.package, &self.names) == self.ours(value);
        let value = if is_same {
            written_value.to_owned()
        } else {
            self.full(value)
        };
        format!("map<{key}, {value}>")
    }

    /// A type by the name that is right in every package.
    fn full(&self, kind: &str) -> String {
        let ours = self.ours(kind);
        match self.names.contains(&ours) {
            true => format!(".{ours}"),
            false => ours,
        }
    }

    /// The line of a method.
    fn method(&mut self, line: &str, service: &str) -> Result<String> {
        let parts = self
            .forms
            .1
            .captures(line)
            .ok_or_else(|| format!("not a method: {line}"))?;
        let service = format!("{}.{service}", self.package);
        self.seen.insert(format!("/{service}/{}", &parts[2]));
        let mut paths = self
            .theirs(&service)
            .into_iter()
            .map(|service| format!("/{service}/{}", &parts[2]));
        let method = paths.find_map(|path| self.source.reference.methods.get(&path));
        let method = method.ok_or_else(|| format!("{service} has no method {}", &parts[2]))?;
        Ok(self.declared(&parts[1], method, &parts[3], &parts[4]) + &parts[5])
    }

    /// A method after its name, with types as they are written here already when they are the same.
    fn declared(&self, name: &str, method: &Method, input: &str, output: &str) -> String {
        let kind = |written: &str, theirs: &str| match resolved(written, &self.package, &self.names)
            == self.ours(theirs)
        {
            true => written.to_owned(),
            false => self.full(theirs),
        };
        let stream = |is_stream| if is_stream { "stream " } else { "" };
        format!(
            "{name}({}{}) returns ({}{})",
            stream(method.is_client_streaming),
            kind(input, &method.input),
            stream(method.is_server_streaming),
            kind(output, &method.output),
        )
    }
}
