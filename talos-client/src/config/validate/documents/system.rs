//! Installation, maintenance, discovery and container documents (v1.14).

use super::Rule;
use super::super::findings::Findings;
use super::super::view::View;

pub(super) fn rule_for(_kind: &str) -> Option<Rule> {
    None
}

pub(super) fn check_interval(_schedule: View<'_>, _what: &str, _findings: &mut Findings) {}
