//! Perl's patterns, translated by rule.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

/// Patterns by text and by whether letter case is ignored; `None` for one that does not compile.
type Compiled = HashMap<(String, bool), Option<Regex>>;

/// Patterns that were compiled before.
static COMPILED: LazyLock<Mutex<Compiled>> = LazyLock::new(Mutex::default);

/// Whether the whole value matches. As in Perl, `$` also matches before a line break at the end.
pub(super) fn matches(pattern: &str, ignore_case: bool, value: &str) -> bool {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let regex = compiled
        .entry((pattern.to_owned(), ignore_case))
        .or_insert_with(|| compile(pattern, ignore_case));
    regex.as_ref().is_some_and(|regex| regex.is_match(value))
}

fn compile(pattern: &str, ignore_case: bool) -> Option<Regex> {
    let flag = if ignore_case { "(?i)" } else { "" };
    let pattern = format!("{flag}^(?:{})\n?$", translate(pattern));
    // A repeated class with all letters of Unicode is larger than the limit of the library.
    RegexBuilder::new(&pattern).size_limit(1 << 28).build().ok()
}

/// From Perl's dialect:
/// * `(?^:` and `(?^i:` are the wrappers that Perl prints around a compiled pattern, with its flags;
/// * `FLAG` stands for the name of a CPU flag in the contract;
/// * `{,8}` is a quantifier from Perl 5.34 on;
/// * the look-ahead of a number, `(?=\.?\d)`, does not exist in this dialect: what it excludes is excluded by a longer
///   alternative.
fn translate(pattern: &str) -> String {
    pattern
        .replace("(?^:", "(?-i:")
        .replace("(?^i:", "(?i:")
        .replace("(FLAG)", r"([a-zA-Z0-9\-_\.]+)")
        .replace("{,", "{0,")
        .replace(r"(?=\.?\d)\d*(\.\d*)?", r"(?:\d+(\.\d*)?|\.\d+)")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::mock::Contract;

    fn patterns(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                // The named formats without properties are checked by name; some describe themselves in prose.
                let is_prose = fields.get("kind").is_some_and(|kind| kind == "scalar");
                let pattern = fields.get("pattern").and_then(Value::as_str);
                found.extend(pattern.filter(|_| !is_prose).map(str::to_owned));
                fields.values().for_each(|inner| patterns(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| patterns(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_of_both_contracts_compiles() {
        for contract in [Contract::pve_9(), Contract::pve_8()] {
            let mut found = Vec::new();
            patterns(&contract.as_json(), &mut found);

            assert!(found.len() > 50, "{}", found.len());
            for pattern in found {
                assert!(compile(&pattern, false).is_some(), "{pattern}");
            }
        }
    }

    #[test]
    fn the_dialect_is_translated() {
        for (pattern, value, expected) in [
            (r"(?^:\d+)", "12", true),
            (r"(?^i:[a-z]+)x", "ABx", true),
            (r"(?^i:[a-z]+)x", "ABX", false),
            (r"[a-z]{,3}", "abc", true),
            (r"[a-z]{,3}", "abcd", false),
            (r"[a-z]{,3}", "", true),
            (r"a|b", "ab", false),
            (r"abc", "abc\n", true),
            (r"abc", "abc\n\n", false),
            (r"[+-]?(?=\.?\d)\d*(\.\d*)?([Ee][+-]?\d+)?", "1.5e3", true),
            (r"[+-]?(?=\.?\d)\d*(\.\d*)?([Ee][+-]?\d+)?", ".5", true),
            (r"[+-]?(?=\.?\d)\d*(\.\d*)?([Ee][+-]?\d+)?", ".", false),
            (r"[+-]?(?=\.?\d)\d*(\.\d*)?([Ee][+-]?\d+)?", "e5", false),
        ] {
            assert_eq!(
                matches(pattern, false, value),
                expected,
                "{pattern} {value:?}"
            );
        }
    }
}
