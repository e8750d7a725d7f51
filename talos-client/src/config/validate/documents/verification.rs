//! Verification of image signatures.

use super::super::findings::Findings;
use super::super::view::View;
use crate::config::VersionContract;

pub(super) fn check(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    for (index, rule) in document.get("rules").items().enumerate() {
        let mut rule_findings = Findings::default();
        check_pattern(rule.get("image").text(), &mut rule_findings);
        check_rule(rule, &mut rule_findings);
        let named = |text: String| format!("rule {index}: {text}");
        findings
            .warnings
            .extend(rule_findings.warnings.into_iter().map(named));
        findings
            .errors
            .extend(rule_findings.errors.into_iter().map(named));
    }
}

fn check_pattern(pattern: &str, findings: &mut Findings) {
    const SCOPE: &str =
        "but matching only applies to the image registry and repository, not the tag or digest";
    findings.error_if(pattern.is_empty(), "imagePattern must be specified");
    if pattern.contains('@') {
        findings.warning(format!("imagePattern contains '@' {SCOPE}"));
    }
    // A colon before the first slash is the port of the registry.
    if pattern
        .split_once('/')
        .is_some_and(|(_, repository)| repository.contains(':'))
    {
        findings.warning(format!("imagePattern contains ':' {SCOPE}"));
    }
    if !pattern.contains('/') && !matches!(pattern, "" | "*") {
        findings.warning(
            "imagePattern does not contain a '/', image references like 'nginx' are matched as 'docker.io/nginx' (normalized)",
        );
    }
}

fn check_rule(rule: View<'_>, findings: &mut Findings) {
    let (skip, deny) = (rule.get("skip").is_true(), rule.get("deny").is_true());
    let (keyless, public_key) = (rule.get("keyless"), rule.get("publicKey"));
    let verifies = keyless.is_set() || public_key.is_set();
    findings.error_if(skip && deny, "skip and deny cannot both be true");
    findings.error_if(
        (skip || deny) && verifies,
        "verifiers cannot be configured if skip or deny is true",
    );
    findings.error_if(
        !skip && !deny && !verifies,
        "at least one verifier must be configured",
    );
    findings.error_if(
        keyless.is_set() && public_key.is_set(),
        "only one of keyless or publicKey verifier can be configured",
    );
    if keyless.is_set() {
        findings.error_if(
            !keyless.get("issuer").has_text(),
            "verifier OIDC issuer must be specified",
        );
        findings.error_if(
            !keyless.get("subject").has_text() && !keyless.get("subjectRegex").has_text(),
            "verifier subject or subjectRegex must be specified",
        );
    }
    findings.error_if(
        public_key.is_set() && !public_key.get("certificate").has_text(),
        "verifier certificates must be specified",
    );
}
