//! Label and field selectors.

use serde_json::Value;

use super::status::Rejection;

/// Which objects of a collection are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    pointer: Vec<String>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equals(String),
    Differs(String),
    Exists,
    Absent,
}

impl Selector {
    /// Adds the terms of a `labelSelector`: `a=b`, `a==b`, `a!=b`, `a`, `!a`.
    pub(super) fn labels(&mut self, text: &str) -> Result<(), Rejection> {
        for term in text.split(',').filter(|term| !term.is_empty()) {
            if term.contains(['(', ' ']) {
                return Err(Rejection::not_modelled(format!(
                    "the label selector {term:?}"
                )));
            }
            let (key, test) = split(term).unwrap_or_else(|| match term.strip_prefix('!') {
                Some(key) => (key, Test::Absent),
                None => (term, Test::Exists),
            });
            let pointer = ["metadata", "labels", key].map(str::to_owned).into();
            self.terms.push(Term { pointer, test });
        }
        Ok(())
    }

    /// Adds the terms of a `fieldSelector`; a server knows few fields, and refuses the others.
    pub(super) fn fields(&mut self, text: &str) -> Result<(), Rejection> {
        const KNOWN: [&str; 8] = [
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "status.phase",
            "type",
            "reason",
            "involvedObject.name",
            "involvedObject.kind",
        ];
        for term in text.split(',').filter(|term| !term.is_empty()) {
            let Some((field, test)) = split(term) else {
                return Err(Rejection::bad_request(format!(
                    "Unable to find \"fieldSelector\" {term:?}: invalid selector"
                )));
            };
            if !KNOWN.contains(&field) {
                return Err(Rejection::bad_request(format!(
                    "field label not supported: {field}"
                )));
            }
            let pointer = field.split('.').map(str::to_owned).collect();
            self.terms.push(Term { pointer, test });
        }
        Ok(())
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let found = term
                .pointer
                .iter()
                .try_fold(object, |value, key| value.get(key))
                .and_then(Value::as_str);
            match &term.test {
                Test::Equals(wanted) => found.unwrap_or_default() == wanted,
                Test::Differs(unwanted) => found.unwrap_or_default() != unwanted,
                Test::Exists => found.is_some(),
                Test::Absent => found.is_none(),
            }
        })
    }
}

fn split(term: &str) -> Option<(&str, Test)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key, Test::Differs(value.to_owned())));
    }
    let (key, value) = term.split_once('=')?;
    let value = value.strip_prefix('=').unwrap_or(value);
    Some((key, Test::Equals(value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn labels(text: &str) -> bool {
        let mut selector = Selector::default();
        selector.labels(text).unwrap();
        selector.matches(&json!({"metadata": {"labels": {"k8s-app": "kube-dns", "role": ""}}}))
    }

    #[test]
    fn label_terms_are_all_required() {
        assert!(labels("k8s-app=kube-dns,role"));
        assert!(labels("k8s-app==kube-dns,!other,k8s-app!=x"));
        assert!(!labels("k8s-app=kube-dns,other"));
    }

    #[test]
    fn only_known_fields_can_be_selected() {
        let mut selector = Selector::default();
        selector.fields("metadata.name=a").unwrap();

        assert!(selector.matches(&json!({"metadata": {"name": "a"}})));
        assert!(selector.fields("spec.replicas=1").is_err());
    }
}
