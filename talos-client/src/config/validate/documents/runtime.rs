//! Services of the operating system: logs, events, watchdog, out-of-memory handler, environment.

use super::super::cel::{Environment, check_bool, check_double};
use super::super::findings::Findings;
use super::super::view::View;
use crate::config::VersionContract;
use crate::config::schema::parse_duration;
use crate::go::address::check_host_port;
use crate::go::text::quoted;
use crate::go::url::Url;

const WATCHDOG_MINIMUM_NANOSECONDS: i64 = 10_000_000_000;

/// Applies a rule that stops at its first problem.
fn first(findings: &mut Findings, result: Result<(), String>) {
    if let Err(error) = result {
        findings.error(error);
    }
}

fn fail(text: &str) -> Result<(), String> {
    Err(text.to_owned())
}

pub(super) fn check_extension_service(
    document: View<'_>,
    _: VersionContract,
    findings: &mut Findings,
) {
    first(findings, extension_service(document));
}

fn extension_service(document: View<'_>) -> Result<(), String> {
    let name = document.get("name").text();
    if name.is_empty() {
        return fail("name is required");
    }
    let files = document.get("configFiles");
    if !files.has_content() && !document.get("environment").has_content() {
        return Err(format!(
            "no config files found for extension {}",
            quoted(name)
        ));
    }
    for file in files.items() {
        for (field, what) in [("content", "content"), ("mountPath", "mount path")] {
            if !file.get(field).has_text() {
                return Err(format!(
                    "extension {what} is required for extension {}",
                    quoted(name)
                ));
            }
        }
    }
    Ok(())
}

pub(super) fn check_kmsg_log(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    first(findings, kmsg_log(document));
}

fn kmsg_log(document: View<'_>) -> Result<(), String> {
    if !document.get("name").has_text() {
        return fail("name is required");
    }
    let destination = document.get("url");
    if !destination.has_text() {
        return fail("url is required");
    }
    let url = Url::parse(destination.text()).unwrap_or_default();
    if !matches!(url.scheme.as_str(), "tcp" | "udp") {
        return fail("url scheme must be tcp:// or udp://");
    }
    if !matches!(url.path, "" | "/") {
        return fail("url path must be empty");
    }
    if url.port().is_empty() {
        return fail("url port is required");
    }
    Ok(())
}

pub(super) fn check_event_sink(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    if let Err(error) = check_host_port(document.get("endpoint").text()) {
        findings.error(format!("event sink endpoint: {error}"));
    }
}

pub(super) fn check_watchdog(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let timeout = parse_duration(document.get("timeout").text()).unwrap_or_default();
    if !document.get("device").has_text() {
        findings.error("watchdog device: empty value");
    } else if timeout != 0 && timeout < WATCHDOG_MINIMUM_NANOSECONDS {
        findings.error("watchdog timeout: minimum value is 10s");
    }
}

pub(super) fn check_siderolink(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let api = document.get("apiUrl");
    if !api.has_text() {
        findings.error("apiUrl is required");
        return;
    }
    let url = Url::parse(api.text()).unwrap_or_default();
    if !matches!(url.scheme.as_str(), "https" | "grpc") {
        findings.error("apiUrl scheme must be https:// or grpc://");
    } else if !matches!(url.path, "" | "/") {
        findings.error("apiUrl path must be empty");
    }
}

pub(super) fn check_oom(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    let trigger = document.get("triggerExpression").text();
    if !trigger.is_empty()
        && let Err(error) = check_bool(trigger, Environment::OutOfMemoryTrigger, release)
    {
        findings.error(format!("OOM trigger expression is invalid: {error}"));
    }
    let ranking = document.get("cgroupRankingExpression").text();
    if !ranking.is_empty()
        && let Err(error) = check_double(ranking, Environment::OutOfMemoryRanking, release)
    {
        findings.error(format!("OOM cgroup scoring expression is invalid: {error}"));
    }
    findings.error_if(
        parse_duration(document.get("sampleInterval").text()).is_some_and(|interval| interval < 0),
        "OOM sample interval must be longer than 0",
    );
}

pub(super) fn check_environment(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    for (name, _) in document.get("variables").entries() {
        let starts_well = name
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        findings.error_if(
            !starts_well || !is_name,
            format!("invalid environment variable name: {}", quoted(name)),
        );
    }
}
