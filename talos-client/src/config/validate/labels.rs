//! Node labels, annotations and taints by the rules of Kubernetes.

use super::view::View;
use crate::go::text::{multi_error, quoted};

const NAME_LIMIT: usize = 63;
const DOMAIN_LIMIT: usize = 253;
const ANNOTATIONS_LIMIT: usize = 256 * 1024;
const RESERVED_ANNOTATIONS: [&str; 3] = [
    "talos.dev/owned-labels",
    "talos.dev/owned-annotations",
    "talos.dev/owned-taints",
];
const TAINT_EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// All problems of a label map in one text; keys in sorted order.
pub(super) fn check_labels(labels: View<'_>) -> Result<(), String> {
    let mut errors = Vec::new();
    for (key, value) in labels.entries() {
        errors.extend(check_qualified_name(key).err());
        errors.extend(check_value(value.text()).err());
    }
    combined(errors)
}

/// All problems of an annotation map in one text.
pub(super) fn check_annotations(annotations: View<'_>) -> Result<(), String> {
    let mut errors = Vec::new();
    let mut size = 0;
    for (key, value) in annotations.entries() {
        errors.extend(check_qualified_name(key).err());
        if RESERVED_ANNOTATIONS.contains(&key) {
            errors.push(format!("annotation {} is reserved", quoted(key)));
        }
        size += key.len() + value.text().len();
    }
    if size > ANNOTATIONS_LIMIT {
        errors.push(format!(
            "total annotation size exceeds limit of {ANNOTATIONS_LIMIT} bytes"
        ));
    }
    combined(errors)
}

/// All problems of a taint map in one text; a value is `effect` or `value:effect`.
pub(super) fn check_taints(taints: View<'_>) -> Result<(), String> {
    let errors = taints.entries().into_iter().filter_map(|(key, taint)| {
        let (value, effect) = match taint.text().split_once(':') {
            Some((value, effect)) => (Some(value), effect),
            None => (None, taint.text()),
        };
        check_qualified_name(key)
            .and_then(|()| {
                if TAINT_EFFECTS.contains(&effect) {
                    Ok(())
                } else {
                    Err(format!("invalid taint effect: {}", quoted(effect)))
                }
            })
            .and_then(|()| value.map_or(Ok(()), check_value))
            .err()
    });
    combined(errors.collect())
}

fn combined(errors: Vec<String>) -> Result<(), String> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(multi_error(&errors))
    }
}

/// A name with an optional domain in front: `example.org/name`.
pub(super) fn check_qualified_name(key: &str) -> Result<(), String> {
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        ["", _] => return Err(format!("prefix cannot be empty: {}", quoted(key))),
        [prefix, name] => {
            check_domain(prefix)
                .map_err(|error| format!("prefix {} is invalid: {error}", quoted(prefix)))?;
            *name
        }
        _ => {
            return Err(format!("invalid format: too many slashes: {}", quoted(key)));
        }
    };
    if name.is_empty() {
        Err(format!("name cannot be empty: {}", quoted(key)))
    } else if name.len() > NAME_LIMIT {
        Err(format!(
            "name is too long: {} (limit is {NAME_LIMIT})",
            quoted(key)
        ))
    } else if !is_qualified_name(name) {
        Err(format!("name {} is invalid", quoted(name)))
    } else {
        Ok(())
    }
}

fn check_value(value: &str) -> Result<(), String> {
    if value.len() > NAME_LIMIT {
        return Err(format!(
            "label value length exceeds limit of {NAME_LIMIT}: {}",
            quoted(value)
        ));
    }
    if value.is_empty() || is_qualified_name(value) {
        Ok(())
    } else {
        Err(format!("label value {} is invalid", quoted(value)))
    }
}

/// A DNS subdomain: lower-case labels joined by dots.
pub(super) fn check_domain(domain: &str) -> Result<(), String> {
    if domain.len() > DOMAIN_LIMIT {
        return Err(format!(
            "domain name length exceeds limit of {DOMAIN_LIMIT}: {}",
            quoted(domain)
        ));
    }
    let is_label = |label: &str| {
        bounded(label, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if domain.split('.').all(is_label) {
        Ok(())
    } else {
        Err(format!(
            "domain doesn't match required format: {}",
            quoted(domain)
        ))
    }
}

fn is_qualified_name(name: &str) -> bool {
    bounded(name, |b| b.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Whether the first and the last byte are of a class.
fn bounded(text: &str, class: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if class(*first) && class(*last))
}
