//! The patterns of a policy.

use regex::Regex;

use super::MatchMode;

/// A pattern; one that cannot be read matches nothing, as on the server.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Option<Regex>);

impl Pattern {
    pub(super) fn new(mode: MatchMode, text: &str) -> Self {
        let expression = match mode {
            MatchMode::Glob => expression_of(text),
            MatchMode::Regex => Some(text.to_owned()),
        };
        Self(expression.and_then(|expression| Regex::new(&expression).ok()))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// Whether a glob fits a text.
#[cfg(feature = "mock")]
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    Pattern::new(MatchMode::Glob, pattern).matches(text)
}

/// The regular expression of a glob without separators; `None` for one that does not end.
fn expression_of(glob: &str) -> Option<String> {
    let mut expression = "(?s)^".to_owned();
    let mut characters = glob.chars();
    let mut depth = 0_u32;
    while let Some(character) = characters.next() {
        match character {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                let rest = characters.as_str();
                let (class, after) = rest.split_once(']')?;
                expression.push_str(&class_of(class)?);
                characters = after.chars();
            }
            '{' => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '\\' => expression.push_str(&literal(characters.next()?)),
            other => expression.push_str(&literal(other)),
        }
    }
    expression.push('$');
    (depth == 0).then_some(expression)
}

fn literal(character: char) -> String {
    regex::escape(character.encode_utf8(&mut [0; 4]))
}

/// `abc`, `a-z`, or one of them after `!`.
fn class_of(class: &str) -> Option<String> {
    let (negated, class) = match class.strip_prefix('!') {
        Some(rest) => ("^", rest),
        None => ("", class),
    };
    let characters: Vec<char> = class.chars().collect();
    let inside = match characters.as_slice() {
        [] => return None,
        [from, '-', to] => format!("{}-{}", literal(*from), literal(*to)),
        _ => {
            let inside = characters.iter().map(|c| match c {
                '-' => "\\-".to_owned(),
                other => literal(*other),
            });
            inside.collect()
        }
    };
    Some(format!("[{negated}{inside}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_any_text_and_slashes_too() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("*/*", "*", false),
            ("*/*", "default/one", true),
            ("default/*", "default/argocd/one", true),
            ("default/*", "team/one", false),
            ("https://10.*", "https://10.5.0.2:6443", true),
            ("https://10.*", "https://1005", false),
            ("a?c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("{dev,test}-*", "test-1", true),
            ("{dev,test}-*", "prod-1", false),
            ("a,b", "a,b", true),
            ("app-[0-9]", "app-7", true),
            ("app-[!0-9]", "app-7", false),
            ("[abc]x", "bx", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("[a", "a", false),
            ("{a", "a", false),
        ] {
            let pattern_of = Pattern::new(MatchMode::Glob, pattern);
            assert_eq!(pattern_of.matches(text), expected, "{pattern} {text}");
        }
    }
}
