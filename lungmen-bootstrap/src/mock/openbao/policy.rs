//! Policies: which capabilities a token has on a path.

use std::collections::BTreeSet;

/// One `path "…" { capabilities = […] }` of a policy. `+` stands for one name, a final `*` for any rest.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pattern: String,
    capabilities: BTreeSet<String>,
}

impl Rule {
    pub(super) fn new(pattern: &str, capabilities: &[&str]) -> Self {
        Self {
            pattern: pattern.to_owned(),
            capabilities: capabilities.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn matches(&self, path: &str) -> bool {
        let (pattern, open) = match self.pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (self.pattern.as_str(), false),
        };
        let mut names = path.split('/');
        let mut wanted = pattern.split('/').peekable();
        while let Some(part) = wanted.next() {
            let last = wanted.peek().is_none();
            let Some(name) = names.next() else {
                return false;
            };
            let fits = part == "+" || part == name || (last && open && name.starts_with(part));
            if !fits {
                return false;
            }
        }
        open || names.next().is_none()
    }
}

/// What every token may do, as the policy `default` grants it.
pub(super) fn default_rules() -> Vec<Rule> {
    vec![
        Rule::new("auth/token/lookup-self", &["read"]),
        Rule::new("auth/token/renew-self", &["update"]),
        Rule::new("auth/token/revoke-self", &["update"]),
        Rule::new("sys/capabilities-self", &["update"]),
        Rule::new("sys/internal/ui/mounts/*", &["read"]),
    ]
}

/// The capabilities `rules` give on `path`; the longest pattern decides, as on a real server.
pub(super) fn capabilities(rules: &[Rule], path: &str) -> BTreeSet<String> {
    rules
        .iter()
        .filter(|rule| rule.matches(path))
        .max_by_key(|rule| rule.pattern.len())
        .map(|rule| rule.capabilities.clone())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_rests() {
        let rules = [
            Rule::new("secret/data/talos/*", &["read"]),
            Rule::new("secret/data/+/open", &["create"]),
            Rule::new("secret/data/talos/deep/*", &["deny"]),
        ];
        let on = |path| capabilities(&rules, path).into_iter().collect::<Vec<_>>();

        assert_eq!(on("secret/data/talos/lungmen.akn"), ["read"]);
        assert_eq!(on("secret/data/other/open"), ["create"]);
        assert_eq!(on("secret/data/talos/deep/x"), ["deny"]);
        assert!(on("secret/data/talos").is_empty());
        assert!(on("secret/metadata/talos/x").is_empty());
    }
}
