//! Shell patterns as Go's `filepath.Match` has them: the whole name, and `*` does not cross a slash.

/// A parsed pattern.
pub(crate) struct Pattern(Vec<Token>);

enum Token {
    /// Any characters but slashes.
    Star,
    /// One character that is no slash.
    Any,
    Literal(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Nothing when the pattern is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let mut tokens = Vec::new();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '[' => class(&mut chars)?,
                '\\' => Token::Literal(chars.next()?),
                c => Token::Literal(c),
            });
        }
        Some(Self(tokens))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // Which positions of the name can be reached after the tokens so far.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for token in &self.0 {
            reached = token.advance(&name, &reached);
        }
        reached[name.len()]
    }
}

impl Token {
    fn advance(&self, name: &[char], reached: &[bool]) -> Vec<bool> {
        let mut next = vec![false; reached.len()];
        for (position, c) in name.iter().enumerate() {
            if matches!(self, Self::Star) {
                next[position] |= reached[position];
                next[position + 1] |= next[position] && *c != '/';
            } else {
                next[position + 1] = reached[position] && self.accepts(*c);
            }
        }
        if matches!(self, Self::Star) {
            next[name.len()] |= reached[name.len()];
        }
        next
    }

    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Star | Self::Any => c != '/',
            Self::Literal(literal) => c == *literal,
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&c))
                    != *negated
            }
        }
    }
}

fn class(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let negated = chars.as_str().starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if chars.as_str().starts_with(']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let first = class_character(chars)?;
        let mut last = first;
        if chars.as_str().starts_with('-') {
            chars.next();
            last = class_character(chars)?;
        }
        ranges.push((first, last));
    }
}

fn class_character(chars: &mut std::str::Chars<'_>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn patterns_match_the_whole_name() {
        for (pattern, name) in [
            ("a*", "abc"),
            ("*", ""),
            ("a?c", "abc"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            (r"\*", "*"),
            ("*-*-b", "a-c-b"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("a*", "ba"),
            ("?", ""),
            ("[^a]", "a"),
            ("*", "a/b"),
            ("?", "/"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["[", "[]", "[a", "[a-]", r"a\", "[-a]"] {
            assert!(Pattern::parse(pattern).is_none(), "{pattern}");
        }
    }
}
