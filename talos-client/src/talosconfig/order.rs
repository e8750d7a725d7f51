//! The order in which Go's YAML writes the keys of a map: numbers within names count as numbers.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

/// A name that sorts as Go's YAML sorts map keys, so that `a-2` comes before `a-10`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContextName(String);

impl ContextName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Into<String>> From<S> for ContextName {
    fn from(name: S) -> Self {
        Self(name.into())
    }
}

impl Ord for ContextName {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ContextName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.chars().peekable(), right.chars().peekable());
    // The digits right before the first difference, as far as both have the same.
    let mut digits_before = String::new();
    loop {
        match (left.peek().copied(), right.peek().copied()) {
            (Some(a), Some(b)) if a == b => {
                if a.is_ascii_digit() {
                    digits_before.push(a);
                } else {
                    digits_before.clear();
                }
                left.next();
                right.next();
            }
            (Some(a), Some(b)) => return differ(a, b, &digits_before, [&mut left, &mut right]),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        }
    }
}

fn differ(a: char, b: char, digits_before: &str, rest: [&mut Peekable<Chars<'_>>; 2]) -> Ordering {
    match (a.is_alphabetic(), b.is_alphabetic()) {
        (true, true) => return a.cmp(&b),
        // A letter comes after other characters, but before them when it ends a number.
        (a_is_letter, b_is_letter) if a_is_letter != b_is_letter => {
            let a_first = a_is_letter != digits_before.is_empty();
            return if a_first {
                Ordering::Less
            } else {
                Ordering::Greater
            };
        }
        _ => {}
    }
    // A zero after other digits continues their number instead of leading its own.
    let continues = (a == '0' || b == '0') && digits_before.bytes().any(|digit| digit != b'0');
    let [left, right] = rest.map(|chars| number(chars, continues));
    left.cmp(&right).then_with(|| a.cmp(&b))
}

/// Value and length of the number that starts here.
fn number(chars: &mut Peekable<Chars<'_>>, continues: bool) -> (u64, usize) {
    let mut found = (u64::from(continues), 0);
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        let value = digit.to_digit(10).unwrap_or_default();
        found = (
            found.0.saturating_mul(10).saturating_add(value.into()),
            found.1 + 1,
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> Vec<String> {
        let mut names: Vec<ContextName> =
            names.iter().map(|name| ContextName::from(*name)).collect();
        names.sort();
        names.into_iter().map(|name| name.0).collect()
    }

    #[test]
    fn numbers_sort_by_value() {
        assert_eq!(
            sorted(&["a-10", "a-2", "a", "a-1", "a-20"]),
            ["a", "a-1", "a-2", "a-10", "a-20"]
        );
        assert_eq!(sorted(&["v100", "v10", "v9"]), ["v9", "v10", "v100"]);
    }

    #[test]
    fn letters_sort_after_other_characters() {
        assert_eq!(
            sorted(&["ab", "a.b", "a1", "B", "b"]),
            ["B", "a.b", "a1", "ab", "b"]
        );
    }

    #[test]
    fn the_order_is_total() {
        let names = [
            "", "0", "00", "1", "01", "a", "a0", "a00", "a1", "1a", "1.", "-", "é",
        ];
        for left in names {
            for right in names {
                let order = ContextName::from(left).cmp(&ContextName::from(right));
                assert_eq!(order == Ordering::Equal, left == right);
                assert_eq!(
                    order.reverse(),
                    ContextName::from(right).cmp(&ContextName::from(left)),
                    "{left} {right}"
                );
            }
        }
    }
}
