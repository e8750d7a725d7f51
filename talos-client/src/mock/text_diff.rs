//! Differences of two texts, in the unified format of nodes: three lines of context, `a` and `b` as names.

use std::fmt::Write as _;

const CONTEXT: usize = 3;

/// Texts whose differing parts have more pairs of lines than this are shown as replaced as a whole.
const MOST_PAIRS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    Keep,
    Delete,
    Insert,
}

/// The differences; empty for equal texts.
pub(super) fn unified(before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let (before, after) = (lines(before), lines(after));
    let script = script(&before, &after);
    let mut text = "--- a\n+++ b\n".to_owned();
    for (from, to) in hunks(&script) {
        hunk(&script, from, to, &mut text);
    }
    text
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

type Script<'a> = Vec<(Edit, &'a str)>;

/// The shortest way from one text to the other, deletions before insertions.
fn script<'a>(before: &[&'a str], after: &[&'a str]) -> Script<'a> {
    let prefix = common(before.iter(), after.iter());
    let (before_rest, after_rest) = (&before[prefix..], &after[prefix..]);
    let suffix = common(before_rest.iter().rev(), after_rest.iter().rev());
    let old = &before_rest[..before_rest.len() - suffix];
    let new = &after_rest[..after_rest.len() - suffix];

    let keep = |lines: &[&'a str]| -> Script<'a> {
        lines.iter().map(|line| (Edit::Keep, *line)).collect()
    };
    let mut script = keep(&before[..prefix]);
    script.extend(middle(old, new));
    script.extend(keep(&before_rest[before_rest.len() - suffix..]));
    script
}

fn common<'a>(
    one: impl Iterator<Item = &'a &'a str>,
    other: impl Iterator<Item = &'a &'a str>,
) -> usize {
    one.zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Script<'a> {
    let deleted = old.iter().map(|line| (Edit::Delete, *line));
    let inserted = new.iter().map(|line| (Edit::Insert, *line));
    if old.is_empty() || new.is_empty() || old.len().saturating_mul(new.len()) > MOST_PAIRS {
        return deleted.chain(inserted).collect();
    }
    // The lengths of the longest common subsequences of what is left from each pair of lines on.
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            lengths[i * width + j] = if one == other {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut script = Script::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            script.push((Edit::Keep, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])
        {
            script.push((Edit::Delete, old[i]));
            i += 1;
        } else {
            script.push((Edit::Insert, new[j]));
            j += 1;
        }
    }
    script
}

/// The ranges of the script that are shown: changes with their context, joined where they touch.
fn hunks(script: &Script<'_>) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    let changes = script
        .iter()
        .enumerate()
        .filter(|(_, (edit, _))| *edit != Edit::Keep);
    for (index, _) in changes {
        let from = index.saturating_sub(CONTEXT);
        let to = (index + CONTEXT + 1).min(script.len());
        match hunks.last_mut() {
            Some((_, end)) if *end >= from => *end = to,
            _ => hunks.push((from, to)),
        }
    }
    hunks
}

fn hunk(script: &Script<'_>, from: usize, to: usize, text: &mut String) {
    let count = |lines: &[(Edit, &str)], without: Edit| {
        lines.iter().filter(|(edit, _)| *edit != without).count()
    };
    let (earlier, shown) = (&script[..from], &script[from..to]);
    let range = |without: Edit| {
        let length = count(shown, without);
        let start = count(earlier, without) + usize::from(length > 0);
        if length == 1 {
            start.to_string()
        } else {
            format!("{start},{length}")
        }
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "@@ -{} +{} @@",
        range(Edit::Insert),
        range(Edit::Delete)
    );
    for (edit, line) in shown {
        let mark = match edit {
            Edit::Keep => ' ',
            Edit::Delete => '-',
            Edit::Insert => '+',
        };
        let _ = writeln!(text, "{mark}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected texts are those of the tests of `configdiff` in Talos v1.12.11.
    #[test]
    fn a_changed_line_is_shown_as_nodes_show_it() {
        let before = "version: v1alpha1\nmachine:\n    type: controlplane\n    token: foo\n    certSANs: []\ncluster: null\n";
        let after = before.replace("controlplane", "worker");

        assert_eq!(
            unified(before, &after),
            "--- a\n+++ b\n@@ -1,6 +1,6 @@\n version: v1alpha1\n machine:\n-    type: controlplane\n+    type: worker\n     token: foo\n     certSANs: []\n cluster: null\n"
        );
        assert_eq!(unified(before, before), "");
    }

    #[test]
    fn an_added_document_is_shown_with_what_stands_before_it() {
        let before = "version: v1alpha1\nmachine:\n    type: controlplane\n    token: foo\n    certSANs: []\ncluster: null\n";
        let after = format!(
            "{before}---\napiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: https://example.com\n"
        );

        assert_eq!(
            unified(before, &after),
            "--- a\n+++ b\n@@ -4,3 +4,7 @@\n     token: foo\n     certSANs: []\n cluster: null\n+---\n+apiVersion: v1alpha1\n+kind: SideroLinkConfig\n+apiUrl: https://example.com\n"
        );
    }

    #[test]
    fn distant_changes_are_shown_apart() {
        let before: Vec<String> = (0..20).map(|line| line.to_string()).collect();
        let mut after = before.clone();
        after[1] = "one".to_owned();
        after.remove(15);

        let text = unified(&before.join("\n"), &after.join("\n"));

        assert_eq!(
            text,
            "--- a\n+++ b\n@@ -1,5 +1,5 @@\n 0\n-1\n+one\n 2\n 3\n 4\n@@ -13,7 +13,6 @@\n 12\n 13\n 14\n-15\n 16\n 17\n 18\n"
        );
    }
}
