//! `$patch: delete`: cutting the markers out of a patch and remembering what they mark.

use std::collections::HashSet;

use super::text_of;
use crate::go::yaml::{Kind, Mapping, Node};

/// Something that a patch deletes.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) path: Vec<String>,
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    /// For an item of a list: a field and its text.
    pub(crate) item: Option<(String, String)>,
}

impl Selector {
    pub(crate) fn is_v1alpha1(&self) -> bool {
        self.kind == super::V1ALPHA1 && self.api_version.is_empty()
    }

    /// The path as error texts show it.
    pub(crate) fn path_text(&self) -> String {
        self.path.join(".")
    }
}

/// Cuts all markers and the parents that they leave empty; tells whether anything of the document remains.
pub(super) fn extract_deletes(document: &mut Node) -> Result<(Vec<Selector>, bool), String> {
    let root = Root::of(document);
    let mut extraction = Extraction {
        root: &root,
        path: Vec::new(),
        selectors: Vec::new(),
    };
    let removed = extraction.node(document, Parent::Other)?;
    let remains = !removed && !is_empty_document(document);
    Ok((extraction.selectors, remains))
}

/// What the reference looks up in the document for every marker.
struct Root {
    is_mapping: bool,
    api_version: Option<String>,
    kind: Option<String>,
    name: String,
}

impl Root {
    fn of(document: &Node) -> Self {
        let mapping = document.as_mapping();
        let find = |key: &str| {
            let mapping = mapping.filter(|mapping| mapping.contains_key(key))?;
            Some(text_of(mapping, key).to_owned())
        };
        Self {
            is_mapping: mapping.is_some(),
            api_version: find("apiVersion"),
            kind: find("kind"),
            name: find("name").unwrap_or_default(),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Parent {
    List,
    Other,
}

struct Extraction<'r> {
    root: &'r Root,
    path: Vec<String>,
    selectors: Vec<Selector>,
}

impl Extraction<'_> {
    /// Looks through a node; true when it is to be cut out.
    fn node(&mut self, node: &mut Node, parent: Parent) -> Result<bool, String> {
        match node.kind_mut() {
            Kind::Mapping(mapping) => self.mapping(mapping, parent),
            Kind::Sequence(items) => self.list(items),
            Kind::Scalar(_) => Ok(false),
        }
    }

    fn mapping(&mut self, mapping: &mut Mapping, parent: Parent) -> Result<bool, String> {
        let keys: Vec<String> = mapping.keys().map(str::to_owned).collect();
        let mut removed = HashSet::new();
        for key in keys {
            if is_marker(mapping, &key) {
                if parent == Parent::Other {
                    self.ensure_no_list_on_the_way()?;
                }
                self.select(mapping, parent)?;
                return Ok(true);
            }
            let Some(value) = mapping.get_mut(&key) else {
                continue;
            };
            self.path.push(key);
            let cut = self.node(value, Parent::Other)?;
            removed.extend(self.path.pop().filter(|_| cut));
        }
        mapping.retain(|key| !removed.contains(key));
        Ok(!removed.is_empty() && mapping.is_empty())
    }

    fn list(&mut self, items: &mut Vec<Node>) -> Result<bool, String> {
        let before = items.len();
        for mut item in std::mem::take(items) {
            // What is cut out does not count for the index of what follows.
            self.path.push(format!("[{}]", items.len()));
            let cut = self.node(&mut item, Parent::List)?;
            self.path.pop();
            if !cut {
                items.push(item);
            }
        }
        Ok(items.is_empty() && before > 0)
    }

    fn ensure_no_list_on_the_way(&self) -> Result<(), String> {
        if self.path.iter().any(|part| part.starts_with('[')) {
            return Err(format!(
                "cannot delete an inner key in '{}'",
                self.path.join(".")
            ));
        }
        Ok(())
    }

    fn select(&mut self, marked: &Mapping, parent: Parent) -> Result<(), String> {
        let item = if parent == Parent::List {
            let field = marked.iter().find(|(key, _)| !is_marker(marked, key));
            let Some((key, _)) = field else {
                return Err(format!(
                    "no key:val found in sequence node for path {}",
                    self.path.join(".")
                ));
            };
            Some((key.to_owned(), text_of(marked, key).to_owned()))
        } else {
            None
        };
        let selector = self.selector(item)?;
        self.selectors.push(selector);
        Ok(())
    }

    fn selector(&self, item: Option<(String, String)>) -> Result<Selector, String> {
        let root = self.root;
        if !root.is_mapping {
            return Err("expected a mapping node".to_owned());
        }
        if self.path.is_empty() {
            for (key, value) in [("apiVersion", &root.api_version), ("kind", &root.kind)] {
                if value.is_none() {
                    return Err(format!(
                        "missing {key} in document for which $patch: delete is used"
                    ));
                }
            }
        }
        let api_version = root.api_version.clone().unwrap_or_default();
        let kind = match (
            root.kind.clone().unwrap_or_default(),
            api_version.is_empty(),
        ) {
            (kind, true) if kind.is_empty() => super::V1ALPHA1.to_owned(),
            (kind, false) if !kind.is_empty() => kind,
            _ => {
                return Err(format!(
                    "kind and apiVersion must be both set for path {}",
                    self.path.join(".")
                ));
            }
        };
        Ok(Selector {
            path: self.path.clone(),
            api_version,
            kind,
            name: root.name.clone(),
            item,
        })
    }
}

fn is_marker(mapping: &Mapping, key: &str) -> bool {
    key == "$patch" && text_of(mapping, key) == "delete"
}

/// A document that names itself and holds nothing is dropped.
fn is_empty_document(document: &Node) -> bool {
    document.as_mapping().is_some_and(|mapping| {
        mapping.iter().all(|(key, value)| {
            value.as_scalar().is_some() && matches!(key, "version" | "kind" | "name")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::yaml::parse_documents;

    fn extract(text: &str) -> (Vec<String>, Option<String>) {
        let mut document = parse_documents(text).unwrap().remove(0);
        let (selectors, remains) = extract_deletes(&mut document).unwrap();
        (
            selectors.iter().map(Selector::path_text).collect(),
            remains.then(|| document.to_yaml()),
        )
    }

    #[test]
    fn markers_and_emptied_parents_are_cut_out() {
        let (paths, rest) = extract("machine:\n  sysctls: {a: {$patch: delete}}\n  type: worker\n");
        assert_eq!(paths, ["machine.sysctls.a"]);
        assert_eq!(rest.as_deref(), Some("machine:\n    type: worker\n"));

        let (paths, rest) = extract(
            "machine:\n  network:\n    interfaces:\n    - {interface: a, $patch: delete}\n    - {interface: b, $patch: delete}\n",
        );
        assert_eq!(
            paths,
            [
                "machine.network.interfaces.[0]",
                "machine.network.interfaces.[0]"
            ]
        );
        assert_eq!(rest, None);
    }

    #[test]
    fn a_document_that_only_names_itself_is_dropped() {
        assert_eq!(extract("version: v1alpha1\n"), (vec![], None));
        assert_eq!(
            extract("apiVersion: v1alpha1\nkind: VolumeConfig\nname: x\n").0,
            Vec::<String>::new()
        );
    }
}
