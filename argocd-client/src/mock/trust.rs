//! What the repository server trusts: certificates, SSH host keys and GPG keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::policy::Caller;
use super::request::Query;
use super::response::Rejection;
use super::state::{MockServer, ServerState};
use crate::rbac::glob;

/// Two of the host keys that an installation knows from the start.
pub(super) fn known_hosts(state: &mut ServerState) {
    for (kind, fingerprint) in [
        (
            "ecdsa-sha2-nistp256",
            "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
        ),
        (
            "ssh-ed25519",
            "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        ),
    ] {
        state.certificates.push(json!({
            "serverName": "[ssh.github.com]:443", "certType": "ssh", "certSubType": kind, "certData": null,
            "certInfo": fingerprint,
        }));
    }
}

fn fits(certificate: &Value, query: &Query) -> bool {
    let is = |field: &str, parameter: &str| {
        query.first(parameter).is_none_or(|wanted| {
            wanted.is_empty() || glob(wanted, certificate[field].as_str().unwrap_or_default())
        })
    };
    is("serverName", "hostNamePattern")
        && is("certType", "certType")
        && is("certSubType", "certSubType")
}

/// A list without an item is `null`.
pub(super) fn listed(items: Vec<Value>) -> Value {
    let items = if items.is_empty() {
        Value::Null
    } else {
        json!(items)
    };
    json!({"metadata": {}, "items": items})
}

pub(super) fn certificates(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
) -> Result<Value, Rejection> {
    let state = server.state();
    state.enforce(caller, "certificates", "get", "")?;
    let found = state
        .certificates
        .iter()
        .filter(|certificate| fits(certificate, query));
    let items = found.map(|certificate| {
        let mut shown = certificate.clone();
        shown["certData"] = Value::Null;
        shown
    });
    Ok(listed(items.collect()))
}

pub(super) fn add_certificates(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
    body: &Value,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    state.enforce(caller, "certificates", "create", "")?;
    let mut added = Vec::new();
    for item in body["items"].as_array().into_iter().flatten() {
        let data = STANDARD
            .decode(item["certData"].as_str().unwrap_or_default())
            .unwrap_or_default();
        let is_tls = item["certType"] == "https";
        if is_tls && !String::from_utf8_lossy(&data).contains("BEGIN CERTIFICATE") {
            return Err(Rejection::new(2, "no valid PEM data received"));
        }
        let mut certificate = item.clone();
        let digest = if is_tls { data } else { decoded_key(&data) };
        certificate["certInfo"] = json!(STANDARD_NO_PAD.encode(Sha256::digest(digest)));
        let same = |known: &Value| {
            ["serverName", "certType", "certSubType"]
                .iter()
                .all(|field| known[*field] == item[*field])
        };
        if let Some(known) = state.certificates.iter().find(|known| same(known))
            && known["certInfo"] != certificate["certInfo"]
            && query.first("upsert") != Some("true")
        {
            return Err(Rejection::new(
                2,
                format!(
                    "Key for '{}' (subtype: '{}') already exist and upsert was not specified.",
                    item["serverName"].as_str().unwrap_or_default(),
                    item["certSubType"].as_str().unwrap_or_default()
                ),
            ));
        }
        state.certificates.retain(|known| !same(known));
        state.certificates.push(certificate.clone());
        added.push(certificate);
    }
    Ok(listed(added))
}

/// A host key is base64 inside of base64.
fn decoded_key(data: &[u8]) -> Vec<u8> {
    STANDARD.decode(data).unwrap_or_else(|_| data.to_vec())
}

pub(super) fn delete_certificates(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    state.enforce(caller, "certificates", "delete", "")?;
    let (gone, kept) = std::mem::take(&mut state.certificates)
        .into_iter()
        .partition(|certificate| fits(certificate, query));
    state.certificates = kept;
    Ok(listed(gone))
}

pub(super) fn keys(server: &MockServer, caller: &Caller) -> Result<Value, Rejection> {
    let state = server.state();
    state.enforce(caller, "gpgkeys", "get", "")?;
    let items = state.keys.iter().map(|key| {
        let mut shown = key.clone();
        // The list does without the keys themselves.
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("keyData");
        }
        shown
    });
    Ok(listed(items.collect()))
}

pub(super) fn key(server: &MockServer, caller: &Caller, id: &str) -> Result<Value, Rejection> {
    let state = server.state();
    state.enforce(caller, "gpgkeys", "get", "")?;
    let id = short_key_id(id)?;
    let found = state.keys.iter().find(|key| key["keyID"] == id);
    found
        .cloned()
        .ok_or_else(|| Rejection::new(2, format!("no such key: {id}")))
}

/// The last 16 digits of a fingerprint of 40.
fn short_key_id(id: &str) -> Result<&str, Rejection> {
    let hexadecimal = id.chars().all(|c| c.is_ascii_hexdigit());
    match id.len() {
        16 if hexadecimal => Ok(id),
        40 if hexadecimal => Ok(&id[24..]),
        _ => Err(Rejection::new(
            2,
            format!("'{id}' is not a valid GnuPG key ID"),
        )),
    }
}

pub(super) fn add_key(
    server: &MockServer,
    caller: &Caller,
    body: &Value,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    state.enforce(caller, "gpgkeys", "create", "")?;
    let data = body["keyData"].as_str().unwrap_or_default();
    if data.trim().is_empty() {
        return Err(Rejection::new(2, "submitted key data is empty"));
    }
    if !data.contains("BEGIN PGP PUBLIC KEY BLOCK") {
        return Err(Rejection::new(
            2,
            "error validating PGP keys from input: `gpg --no-permission-warning --logger-fd 1 --import /path failed exit \
             status 2",
        ));
    }
    let digest = Sha256::digest(data);
    let id: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    if state.keys.iter().any(|key| key["keyID"] == id.as_str()) {
        return Ok(json!({"created": {"metadata": {}, "items": null}, "skipped": [id]}));
    }
    let key = json!({"keyID": id, "fingerprint": id, "owner": "", "trust": "unknown", "subType": "rsa4096", "keyData": data});
    state.keys.push(key.clone());
    Ok(json!({"created": {"metadata": {}, "items": [key]}}))
}

pub(super) fn delete_key(
    server: &MockServer,
    caller: &Caller,
    query: &Query,
) -> Result<Value, Rejection> {
    let mut state = server.state();
    let id = query.first("keyID").unwrap_or_default();
    state.enforce(caller, "gpgkeys", "delete", "")?;
    let before = state.keys.len();
    state.keys.retain(|key| key["keyID"] != id);
    if state.keys.len() == before {
        return Err(Rejection::new(2, format!("no such key configured: {id}")));
    }
    Ok(json!({}))
}
