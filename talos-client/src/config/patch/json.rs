//! JSON patches (RFC 6902) on the node tree, with the deviations of the library that Talos uses.

use super::canonical::{Origin, sort_keys, through_json};
use crate::go::yaml::{
    Kind, MAX_BYTES, MAX_DEPTH, Mapping, Node, first_difference, parse_documents,
};

/// One operation, as written.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) members: Mapping,
    /// Written in JSON, where a value of `null` is the same as none; in YAML it is a value.
    pub(super) json: bool,
}

const MISSING: &str = "missing value";
const TEST_FAILED: &str = "test failed";
const TOO_DEEP: &str = "exceeded max depth";

/// Applies operations in order.
///
/// # Errors
///
/// The text of the reference's library.
pub(super) fn apply(document: &mut Node, operations: &[Operation]) -> Result<(), String> {
    *document = through_json(document, Origin::Configuration)
        .map_err(|error| format!("failure converting talos machine config to json: {error}"))?;
    apply_operations(document, operations).map_err(|error| {
        format!("failure applying rfc6902 patches to talos machine config: {error}")
    })?;
    sort_keys(document);
    // The reference prints the result and reads it again, so errors name the lines of the print.
    if let Ok(mut printed) = parse_documents(&document.to_yaml())
        && printed.len() == 1
    {
        *document = printed.remove(0);
    }
    Ok(())
}

fn apply_operations(document: &mut Node, operations: &[Operation]) -> Result<(), String> {
    // Copies of copies grow without end; the library of the reference lets them.
    let mut copied = 0;
    operations
        .iter()
        .try_for_each(|operation| operation.apply(document, &mut copied))
}

impl Operation {
    /// The operation with its values as JSON holds them.
    pub(super) fn through_json(self, origin: Origin) -> Result<Self, String> {
        let mut members = Mapping::new();
        for (key, value) in self.members.iter() {
            members.insert(key, through_json(value, origin)?);
        }
        Ok(Self { members, ..self })
    }

    fn apply(&self, document: &mut Node, copied: &mut usize) -> Result<(), String> {
        match self.text("op").unwrap_or("unknown") {
            "add" => self.add(document),
            "remove" => self.remove(document),
            "replace" => self.replace(document),
            "move" => self.relocate(document),
            "copy" => self.copy(document, copied),
            "test" => self.test(document),
            other => Err(format!("Unexpected kind: {other}")),
        }
    }

    fn text(&self, member: &str) -> Option<&str> {
        let scalar = self.members.get(member)?.as_scalar()?;
        let is_string = matches!(scalar.value(), crate::go::yaml::Value::String(_));
        is_string.then(|| scalar.text())
    }

    fn required(&self, operation: &str, member: &str) -> Result<&str, String> {
        self.text(member)
            .ok_or_else(|| format!("{operation} operation failed to decode {member}: {MISSING}"))
    }

    /// The value; nothing when there is none, which `test` tells apart from a written `null`.
    fn value(&self) -> Option<&Node> {
        self.members
            .get("value")
            .filter(|value| !(self.json && value.is_null()))
    }

    fn value_or_null(&self) -> Node {
        self.value().cloned().unwrap_or_else(Node::null)
    }

    fn add(&self, document: &mut Node) -> Result<(), String> {
        let path = self.required("add", "path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(format!(
                "add operation does not apply: doc is missing path: {path:?}: {MISSING}"
            ));
        };
        let value = self.value_or_null();
        check_depth(path, &value)?;
        add_to(container, &key, value)
            .map_err(|error| format!("error in add for path: '{path}': {error}"))
    }

    fn remove(&self, document: &mut Node) -> Result<(), String> {
        let path = self.required("remove", "path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(format!(
                "remove operation does not apply: doc is missing path: {path:?}: {MISSING}"
            ));
        };
        remove_from(container, &key)
            .map_err(|error| format!("error in remove for path: '{path}': {error}"))
    }

    fn replace(&self, document: &mut Node) -> Result<(), String> {
        let path = self.required("replace", "path")?;
        if path.is_empty() {
            let value = self.value().filter(|value| value.as_scalar().is_none());
            // The library prints an error that it does not have.
            let value =
                value.ok_or("replace operation value must be object or array: %!w(<nil>)")?;
            *document = value.clone();
            return Ok(());
        }
        let Some((container, key)) = find(document, path) else {
            return Err(format!(
                "replace operation does not apply: doc is missing path: {path}: {MISSING}"
            ));
        };
        if get_from(container, &key).is_err() {
            return Err(format!(
                "replace operation does not apply: doc is missing key: {path}: {MISSING}"
            ));
        }
        let value = self.value_or_null();
        check_depth(path, &value)?;
        match container.kind_mut() {
            Kind::Mapping(mapping) => drop(mapping.insert(key, value)),
            Kind::Sequence(items) => {
                let index = item_index(&key, items.len())?;
                items[index] = value;
            }
            Kind::Scalar(_) => {}
        }
        Ok(())
    }

    fn relocate(&self, document: &mut Node) -> Result<(), String> {
        let from = self.required("move", "from")?;
        let Some((container, key)) = find(document, from) else {
            return Err(format!(
                "move operation does not apply: doc is missing from path: {from}: {MISSING}"
            ));
        };
        let in_move = |error: String| format!("error in move for path: '{key}': {error}");
        let value = get_from(container, &key)
            .map_err(in_move)?
            .cloned()
            .unwrap_or_else(Node::null);
        remove_from(container, &key).map_err(in_move)?;
        let path = self.required("move", "path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(format!(
                "move operation does not apply: doc is missing destination path: {path}: {MISSING}"
            ));
        };
        check_depth(path, &value)?;
        add_to(container, &key, value)
            .map_err(|error| format!("error in move for path: '{path}': {error}"))
    }

    fn copy(&self, document: &mut Node, copied: &mut usize) -> Result<(), String> {
        let from = self.required("copy", "from")?;
        let Some((container, key)) = find(document, from) else {
            return Err(format!(
                "copy operation does not apply: doc is missing from path: {from}: {MISSING}"
            ));
        };
        let value = get_from(container, &key)
            .map_err(|error| format!("error in copy for from: '{from}': {error}"))?;
        *copied += value.map_or(1, Node::weight);
        if *copied > MAX_BYTES {
            return Err("error while performing deep copy: copies are too large".to_owned());
        }
        let value = value.cloned().unwrap_or_else(Node::null);
        let path = self.required("copy", "path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(format!(
                "copy operation does not apply: doc is missing destination path: {path}: {MISSING}"
            ));
        };
        check_depth(path, &value)?;
        add_to(container, &key, value)
            .map_err(|error| format!("error while adding value during copy: {error}"))
    }

    fn test(&self, document: &mut Node) -> Result<(), String> {
        let path = self.required("test", "path")?;
        let failed = || Err(format!("testing value {path} failed: {TEST_FAILED}"));
        let found = if path.is_empty() {
            Some(&*document)
        } else {
            let Some((container, key)) = find(document, path) else {
                return Err(format!(
                    "test operation does not apply: is missing path: {path}: {MISSING}"
                ));
            };
            get_from(container, &key)
                .map_err(|error| format!("error in test for path: '{path}': {error}"))?
        };
        match (found.filter(|found| !found.is_null()), self.value()) {
            (None, None) => Ok(()),
            (Some(found), Some(value)) if first_difference(found, value).is_none() => Ok(()),
            _ => failed(),
        }
    }
}

/// The list or mapping that holds what a path names, and the last part of the path.
fn find<'d>(document: &'d mut Node, path: &str) -> Option<(&'d mut Node, String)> {
    // What stands before the first slash is not looked at.
    let (_, path) = path.split_once('/')?;
    let (parents, key) = path
        .rsplit_once('/')
        .map_or((None, path), |(parents, key)| (Some(parents), key));
    let mut node = document;
    for part in parents.into_iter().flat_map(|parents| parents.split('/')) {
        let part = unescaped(part);
        node = match node.kind_mut() {
            Kind::Mapping(mapping) => mapping.get_mut(&part)?,
            Kind::Sequence(items) => {
                let index = item_index(&part, items.len()).ok()?;
                items.get_mut(index)?
            }
            Kind::Scalar(_) => return None,
        };
    }
    node.as_scalar().is_none().then(|| (node, unescaped(key)))
}

/// Keeps the document within the depth that can be read.
fn check_depth(path: &str, value: &Node) -> Result<(), String> {
    if path.matches('/').count() + value.depth() > MAX_DEPTH {
        return Err(TOO_DEEP.to_owned());
    }
    Ok(())
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// What is under a key; a missing key of a mapping is no error.
fn get_from<'d>(container: &'d Node, key: &str) -> Result<Option<&'d Node>, String> {
    match container.kind() {
        Kind::Mapping(mapping) => Ok(mapping.get(key)),
        Kind::Sequence(items) => Ok(items.get(item_index(key, items.len())?)),
        Kind::Scalar(_) => Ok(None),
    }
}

fn add_to(container: &mut Node, key: &str, value: Node) -> Result<(), String> {
    match container.kind_mut() {
        Kind::Mapping(mapping) => drop(mapping.insert(key, value)),
        Kind::Sequence(items) if key == "-" => items.push(value),
        Kind::Sequence(items) => {
            let number = number(key)
                .map_err(|error| format!("value was not a proper array index: '{key}': {error}"))?;
            // One more place than there are items.
            let index = resolve(number, items.len() + 1)?;
            items.insert(index, value);
        }
        Kind::Scalar(_) => {}
    }
    Ok(())
}

fn remove_from(container: &mut Node, key: &str) -> Result<(), String> {
    match container.kind_mut() {
        Kind::Mapping(mapping) => match mapping.remove(key) {
            Some(_) => Ok(()),
            None => Err(format!(
                "Unable to remove nonexistent key: {key}: {MISSING}"
            )),
        },
        Kind::Sequence(items) => {
            let index = item_index(key, items.len())?;
            items.remove(index);
            Ok(())
        }
        Kind::Scalar(_) => Ok(()),
    }
}

fn item_index(key: &str, length: usize) -> Result<usize, String> {
    resolve(number(key)?, length)
}

/// Go's `strconv.Atoi`.
fn number(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
    }
    text.parse()
        .map_err(|_| format!("strconv.Atoi: parsing {text:?}: value out of range"))
}

/// Negative numbers count from the end.
fn resolve(number: i64, length: usize) -> Result<usize, String> {
    let signed = i64::try_from(length).unwrap_or(i64::MAX);
    let index = if number < 0 { number + signed } else { number };
    usize::try_from(index)
        .ok()
        .filter(|index| *index < length)
        .ok_or_else(|| {
            format!("Unable to access invalid index: {number}: invalid index referenced")
        })
}
