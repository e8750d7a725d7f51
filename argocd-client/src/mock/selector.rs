//! Label selectors of Kubernetes: equality, inequality, existence and sets.

use serde_json::Value;

use super::response::Rejection;

/// Whether labels match a selector; a selector that cannot be read gets the text of the server.
pub(super) fn matches(labels: &Value, selector: &str) -> Result<bool, Rejection> {
    let mut all = true;
    for term in terms(selector) {
        all &= holds(labels, term.trim()).map_err(|why| {
            Rejection::new(
                2,
                format!("error parsing labels with selectors: unable to parse requirement: {why}"),
            )
        })?;
    }
    Ok(all)
}

/// The requirements, cut at the commas outside of parentheses.
fn terms(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    selector
        .split(move |character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            character == ',' && depth == 0
        })
        .filter(|term| !term.trim().is_empty())
        .collect()
}

fn holds(labels: &Value, term: &str) -> Result<bool, String> {
    let label = |key: &str| labels[key.trim()].as_str();
    if let Some((key, set)) = term.split_once(" notin ") {
        return Ok(!in_set(label(key), set)?);
    }
    if let Some((key, set)) = term.split_once(" in ") {
        return in_set(label(key), set);
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(label(key) != Some(identifier(value)?));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(label(key) == Some(identifier(value)?));
    }
    match term.strip_prefix('!') {
        Some(key) => Ok(label(identifier(key)?).is_none()),
        None => Ok(label(identifier(term)?).is_some()),
    }
}

fn in_set(label: Option<&str>, set: &str) -> Result<bool, String> {
    let inner = set
        .trim()
        .strip_prefix('(')
        .and_then(|set| set.strip_suffix(')'))
        .ok_or_else(|| format!("found '{}', expected: '('", set.trim()))?;
    let found = inner.split(',').any(|value| Some(value.trim()) == label);
    Ok(found)
}

fn identifier(text: &str) -> Result<&str, String> {
    let text = text.trim();
    match text.find(|c: char| !(c.is_alphanumeric() || "-_./".contains(c))) {
        Some(position) => {
            let wrong = text[position..].chars().next().unwrap_or_default();
            Err(format!("found '{wrong}', expected: identifier"))
        }
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_know_equality_sets_and_existence() {
        let labels = json!({"a": "1"});
        for (selector, expected) in [
            ("a=1", true),
            ("a==1", true),
            ("a=2", false),
            ("a", true),
            ("!a", false),
            ("b!=1", true),
            ("a=1,b", false),
            ("a in (1, 2),!b", true),
            ("a notin (1,2)", false),
            ("", true),
        ] {
            assert_eq!(matches(&labels, selector).unwrap(), expected, "{selector}");
        }
    }

    #[test]
    fn a_selector_that_cannot_be_read_has_the_text_of_the_server() {
        let error = matches(&json!({}), "a===b").unwrap_err();

        assert_eq!(error.code, 2);
        assert_eq!(
            error.message,
            "error parsing labels with selectors: unable to parse requirement: found '=', expected: identifier"
        );
    }
}
