//! Label and field selectors.

use serde_json::Value;

use super::resource::Resource;
use super::status::Rejection;

/// Which objects of a collection are selected.
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
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    /// Adds the terms of a `labelSelector`: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b)`, `a`, `!a`.
    pub(super) fn labels(&mut self, text: &str) -> Result<(), Rejection> {
        for term in terms(text) {
            let (key, test) = label_term(term.trim())?;
            let pointer = ["metadata", "labels", key].map(str::to_owned).into();
            self.terms.push(Term { pointer, test });
        }
        Ok(())
    }

    /// Adds the terms of a `fieldSelector`. A server knows few fields of a resource, and rejects the others.
    pub(super) fn fields(&mut self, text: &str, resource: &Resource) -> Result<(), Rejection> {
        for term in text.split(',').filter(|term| !term.is_empty()) {
            let Some((field, test)) = equality(term) else {
                return Err(Rejection::bad_request(format!(
                    "Unable to find \"fieldSelector\" {term:?}: invalid selector"
                )));
            };
            if !fields_of(resource).contains(&field) && !COMMON.contains(&field) {
                return Err(Rejection::bad_request(unknown_field(resource, field)));
            }
            let pointer = field.split('.').map(str::to_owned).collect();
            self.terms.push(Term { pointer, test });
        }
        Ok(())
    }

    /// Whether every object is selected.
    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let found = term
                .pointer
                .iter()
                .try_fold(object, |value, key| value.get(key))
                .and_then(Value::as_str);
            let is_label = term.pointer.get(1).is_some_and(|part| part == "labels");
            // A label that is missing is not the empty one; a field that is missing is.
            let value = match found {
                None if is_label => None,
                found => Some(found.unwrap_or_default()),
            };
            let is_in = |values: &[String]| {
                value.is_some_and(|value| values.iter().any(|one| one == value))
            };
            match &term.test {
                Test::In(values) => is_in(values),
                Test::NotIn(values) => !is_in(values),
                Test::Exists => found.is_some(),
                Test::Absent => found.is_none(),
            }
        })
    }
}

const COMMON: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// The fields that a resource can be selected by, apart from name and namespace (v1.36).
fn fields_of(resource: &Resource) -> &'static [&'static str] {
    match (resource.group, resource.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        _ => &[],
    }
}

fn unknown_field(resource: &Resource, field: &str) -> String {
    if fields_of(resource).is_empty() {
        return format!(
            "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
    }
    format!("field label not supported: {field}")
}

/// The terms between commas that are not inside of parentheses.
fn terms(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    text.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .filter(|term| !term.trim().is_empty())
    .collect()
}

fn label_term(term: &str) -> Result<(&str, Test), Rejection> {
    if let Some((key, test)) = equality(term) {
        return Ok((key.trim(), test));
    }
    if let Some(key) = term.strip_prefix('!') {
        return Ok((key.trim(), Test::Absent));
    }
    let Some((key, rest)) = term.split_once(' ') else {
        return Ok((term, Test::Exists));
    };
    let rest = rest.trim();
    let unparsable = |found: &str, expected: &str| {
        Rejection::bad_request(format!(
            "unable to parse requirement: found '{found}', expected: {expected}"
        ))
    };
    let (is_in, list) = match (rest.strip_prefix("in"), rest.strip_prefix("notin")) {
        (_, Some(list)) => (false, list.trim()),
        (Some(list), _) => (true, list.trim()),
        _ => return Err(unparsable(rest, "in, notin, =, ==, !=, gt, lt")),
    };
    let values = list
        .strip_prefix('(')
        .and_then(|list| list.strip_suffix(')'))
        .ok_or_else(|| unparsable(list, "'('"))?;
    let values = values
        .split(',')
        .map(|value| value.trim().to_owned())
        .collect();
    Ok((
        key,
        if is_in {
            Test::In(values)
        } else {
            Test::NotIn(values)
        },
    ))
}

fn equality(term: &str) -> Option<(&str, Test)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key, Test::NotIn(vec![value.trim().to_owned()])));
    }
    let (key, value) = term.split_once('=')?;
    let value = value.strip_prefix('=').unwrap_or(value);
    Some((key, Test::In(vec![value.trim().to_owned()])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::kubernetes::resource::by_plural;
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
        assert!(labels("k8s-app in (kube-dns, flannel),other notin (a,b)"));
        assert!(!labels("k8s-app=kube-dns,other"));
        assert!(!labels("other in (a)"));
        assert!(!labels("k8s-app notin (kube-dns)"));
    }

    #[test]
    fn a_resource_has_fields_of_its_own() {
        let (pods, leases) = (by_plural("pods").unwrap(), by_plural("leases").unwrap());
        let mut selector = Selector::default();
        let text = "metadata.name=a,status.phase!=Failed";
        selector.fields(text, pods).unwrap();

        let pod = |phase: &str| json!({"metadata": {"name": "a"}, "status": {"phase": phase}});
        assert!(selector.matches(&pod("Running")));
        assert!(!selector.matches(&pod("Failed")));
        assert!(selector.fields("spec.replicas=1", pods).is_err());
        assert!(selector.fields("status.phase=Running", leases).is_err());
    }
}
