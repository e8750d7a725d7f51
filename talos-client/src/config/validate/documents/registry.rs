//! Image registries: mirrors, authentication and TLS.

use super::super::findings::Findings;
use super::super::view::View;
use super::require;
use crate::config::VersionContract;
use crate::go::text::quoted;
use crate::go::url::Url;

pub(super) fn check_mirror(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name must be specified", findings);
    for (index, endpoint) in document.get("endpoints").items().enumerate() {
        let url = endpoint.get("url");
        if !url.has_text() {
            findings.error(format!("endpoints[{index}].url must be specified"));
            continue;
        }
        let scheme = Url::parse(url.text()).unwrap_or_default().scheme;
        findings.error_if(
            !matches!(scheme.as_str(), "http" | "https"),
            format!(
                "endpoints[{index}].url has unsupported scheme: {}",
                quoted(&scheme)
            ),
        );
    }
}

pub(super) fn check_auth(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name must be specified", findings);
    let username = document.get("username").has_text();
    let token = document.get("identityToken").has_text();
    findings.error_if(
        username && token,
        "only one of username/password or identityToken authentication can be specified",
    );
    findings.error_if(
        document.get("auth").has_text() && (username || token),
        "only one of auth, username/password or identityToken authentication can be specified",
    );
}

pub(super) fn check_tls(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    require(document, "name", "name must be specified", findings);
    let ca = document.get("ca").text();
    findings.error_if(
        !ca.is_empty() && !has_certificate(ca),
        "ca must be a valid PEM-encoded certificate",
    );
    let identity = document.get("clientIdentity");
    if !identity.is_set() {
        return;
    }
    if release >= VersionContract::V1_14 {
        if let Err(error) = check_identity(identity) {
            findings.error(format!("client identity: {error}"));
        }
        return;
    }
    let (certificate, key) = (identity.get("cert").text(), identity.get("key").text());
    if let Err(error) = check_certificate(certificate) {
        findings.error(format!("client identity certificate is invalid: {error}"));
    }
    if let Err(error) = check_private_key(key) {
        findings.error(format!("client identity key is invalid: {error}"));
    }
}

const NO_BLOCK: &str = "failed to parse PEM block";

/// Up to v1.13 the first block of the text decides.
fn check_certificate(text: &str) -> Result<(), String> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let block = blocks.first().ok_or(NO_BLOCK)?;
    match x509_parser::parse_x509_certificate(block.contents()) {
        Ok(_) => Ok(()),
        Err(_) => Err("failed to parse certificate: x509: malformed certificate".to_owned()),
    }
}

fn check_private_key(text: &str) -> Result<(), String> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    let block = blocks.first().ok_or(NO_BLOCK)?;
    match pkcs8::PrivateKeyInfoRef::try_from(block.contents()) {
        Ok(_) => Ok(()),
        Err(_) => Err("failed to parse key: x509: malformed private key".to_owned()),
    }
}

fn has_certificate(text: &str) -> bool {
    pem::parse_many(text).is_ok_and(|blocks| {
        blocks.iter().any(|block| {
            block.tag() == "CERTIFICATE"
                && x509_parser::parse_x509_certificate(block.contents()).is_ok()
        })
    })
}

/// A certificate and a key as plain PEM text.
pub(super) fn check_identity(identity: View<'_>) -> Result<(), String> {
    let (certificate, key) = (identity.get("cert").text(), identity.get("key").text());
    if certificate.is_empty() {
        return Err("certificate is required".to_owned());
    }
    if key.is_empty() {
        return Err("key is required".to_owned());
    }
    check_pem(certificate, Some("CERTIFICATE")).map_err(|error| format!("certificate: {error}"))?;
    check_pem(key, None).map_err(|error| format!("key: {error}"))
}

/// Checks that a text has PEM blocks, all of the wanted label.
pub(super) fn check_pem(text: &str, label: Option<&str>) -> Result<(), String> {
    let blocks = pem::parse_many(text).unwrap_or_default();
    if blocks.is_empty() {
        return Err("no PEM blocks found".to_owned());
    }
    let wrong = blocks
        .iter()
        .find(|block| label.is_some_and(|label| block.tag() != label));
    match (wrong, label) {
        (Some(block), Some(label)) => Err(format!(
            "unexpected PEM block type {}, expected one of [{}]",
            quoted(block.tag()),
            quoted(label)
        )),
        _ => Ok(()),
    }
}
