//! Kubernetes components (v1.14).

use super::Rule;

pub(super) fn rule_for(_kind: &str) -> Option<Rule> {
    None
}
