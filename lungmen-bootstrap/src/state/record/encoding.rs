//! The stored form of a record, and what is wrong with a text that is not one.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use talos_client::config::VersionContract;
use talos_client::secrets::SecretsBundle;
use url::Url;

use super::{ClusterId, ClusterRecord, RunControl, fingerprint};
use crate::services::{Error, ErrorKind, Result};
use crate::state::store::Entries;

/// The format this version writes, and the newest one it reads.
pub const FORMAT: u32 = 1;
/// The entry that holds everything but the bundle.
pub const RECORD_ENTRY: &str = "cluster.json";
/// The entry that holds the bundle.
pub const SECRETS_ENTRY: &str = "secrets.yaml";

const OPERATION: &str = "read cluster record";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: u32,
    cluster_id: ClusterId,
    cluster: String,
    endpoint: Url,
    contract: String,
    schematic: String,
    created_at: Timestamp,
    bundle_fingerprint: String,
    #[serde(flatten)]
    control: RunControl,
}

/// Only the format, to tell a newer record from a damaged one.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl ClusterRecord {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Entries {
        let bundle = self.bundle.to_yaml();
        let stored = Stored {
            format: FORMAT,
            cluster_id: self.cluster_id.clone(),
            cluster: self.cluster.clone(),
            endpoint: self.endpoint.clone(),
            contract: self.contract.to_string(),
            schematic: self.schematic.clone(),
            created_at: self.created_at,
            bundle_fingerprint: fingerprint(bundle.expose_secret()),
            control: self.control.clone(),
        };
        // Serializing texts and numbers to a JSON text cannot fail.
        let text = serde_json::to_string_pretty(&stored).unwrap_or_default();
        Entries::from([
            (RECORD_ENTRY.to_owned(), SecretString::from(text)),
            (SECRETS_ENTRY.to_owned(), bundle),
        ])
    }

    /// Reads the stored form; other entries are ignored. `place` names the store in errors.
    ///
    /// # Errors
    ///
    /// `Conflict` when the entries are no record but somebody else's content; `Decode` when an entry is empty, cut short or
    /// does not fit the other one; `Unsupported` when a newer version wrote it. The message never quotes a secret.
    pub fn decode(entries: &Entries, place: &str) -> Result<Self> {
        let fail = |kind, message: String| {
            Error::new(kind, OPERATION)
                .with_target(place)
                .with_message(message)
        };
        let damaged = |message: String| fail(ErrorKind::Decode, message);
        let stored = stored(entries).map_err(|(kind, message)| fail(kind, message))?;
        let text = entries
            .get(SECRETS_ENTRY)
            .map(|text| text.expose_secret())
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| {
                damaged(format!(
                    "{SECRETS_ENTRY} is missing or empty: restore it, a new bundle would be another cluster"
                ))
            })?;
        if fingerprint(text) != stored.bundle_fingerprint {
            return Err(damaged(format!(
                "{SECRETS_ENTRY} was changed or cut short: its SHA-256 is not the recorded {}",
                stored.bundle_fingerprint
            )));
        }
        let bundle = SecretsBundle::parse(text).map_err(|error| {
            damaged(format!("{SECRETS_ENTRY} cannot be read")).with_source(error)
        })?;
        let contract = VersionContract::parse(&stored.contract)
            .map_err(|_| damaged(format!("contract {:?} is no version", stored.contract)))?;
        if !stored.cluster_id.is_well_formed() {
            return Err(damaged("clusterId is not 32 hexadecimal digits".to_owned()));
        }
        Ok(Self {
            cluster_id: stored.cluster_id,
            cluster: stored.cluster,
            endpoint: stored.endpoint,
            contract,
            schematic: stored.schematic,
            created_at: stored.created_at,
            bundle,
            control: stored.control,
        })
    }
}

fn stored(entries: &Entries) -> std::result::Result<Stored, (ErrorKind, String)> {
    let Some(text) = entries.get(RECORD_ENTRY) else {
        return Err((ErrorKind::Conflict, foreign(entries)));
    };
    let text = text.expose_secret();
    if text.trim().is_empty() {
        return Err((ErrorKind::Decode, format!("{RECORD_ENTRY} is empty")));
    }
    let damaged = |error: &serde_json::Error| {
        let what = if error.is_eof() {
            "is cut short"
        } else {
            "is damaged"
        };
        let (line, column) = (error.line(), error.column());
        let message = format!("{RECORD_ENTRY} {what} at line {line}, column {column}");
        (ErrorKind::Decode, message)
    };
    let header: Header = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    if header.format > FORMAT {
        let message = format!(
            "{RECORD_ENTRY} has format {}, which a newer version of lungmen wrote; this one reads up to {FORMAT}",
            header.format
        );
        return Err((ErrorKind::Unsupported, message));
    }
    serde_json::from_str(text).map_err(|error| damaged(&error))
}

/// Somebody else's content; only the names are shown.
fn foreign(entries: &Entries) -> String {
    if entries.contains_key(SECRETS_ENTRY) {
        return format!(
            "there is a {SECRETS_ENTRY} without a {RECORD_ENTRY}: import it explicitly, or choose another place"
        );
    }
    let names: Vec<&str> = entries.keys().map(String::as_str).take(5).collect();
    let what = if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    };
    format!("not a cluster record (it holds {what}): choose another place")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ClusterRecord {
        // Contract v1.6 has no RSA key, which takes a second to make.
        let contract = VersionContract::new(1, 6);
        ClusterRecord::new(
            "lungmen.akn",
            "https://kubernetes.lungmen.akn:6443".parse().unwrap(),
            contract,
            "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba",
            SecretsBundle::generate_blocking(contract).unwrap(),
        )
    }

    fn with(record: &ClusterRecord, name: &str, text: &str) -> Entries {
        let mut entries = record.encode();
        entries.insert(name.to_owned(), SecretString::from(text));
        entries
    }

    fn refused(entries: &Entries) -> Error {
        let error = ClusterRecord::decode(entries, "the store").unwrap_err();
        assert!(!error.is_not_found(), "{error}");
        error
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut record = record();
        assert_eq!(
            ClusterRecord::decode(&record.encode(), "memory").unwrap(),
            record
        );

        for id in [None, Some("8ae44a1b")] {
            let change = record
                .control
                .bootstrapped(&"tal01".to_owned(), id, 7)
                .unwrap();
            let super::super::Change::Write(control) = change else {
                panic!("nothing changed");
            };
            record.control = control;
            assert_eq!(
                ClusterRecord::decode(&record.encode(), "memory").unwrap(),
                record
            );
        }
    }

    #[test]
    fn entries_of_others_are_ignored() {
        let record = record();

        let entries = with(&record, "talosconfig", "context: x");

        assert_eq!(ClusterRecord::decode(&entries, "memory").unwrap(), record);
    }

    #[test]
    fn every_prefix_of_a_record_is_an_error_and_never_absent() {
        let record = record();
        for name in [RECORD_ENTRY, SECRETS_ENTRY] {
            let text = record.encode()[name].expose_secret().to_owned();
            for end in [0, 1, text.len() / 2, text.len() - 2] {
                let error = refused(&with(&record, name, &text[..end]));
                assert_eq!(error.kind(), ErrorKind::Decode, "{name} cut at {end}");
                assert!(error.message().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn a_newer_format_says_so_instead_of_damaged() {
        let error = refused(&with(
            &record(),
            RECORD_ENTRY,
            r#"{"format": 2, "shape": "new"}"#,
        ));

        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("format 2"), "{error}");
    }

    #[test]
    fn foreign_content_is_named_by_its_keys_and_a_bare_bundle_asks_for_an_import() {
        let foreign = Entries::from([("password".to_owned(), SecretString::from("hunter2"))]);
        let error = refused(&foreign);
        assert!(error.message().contains("password"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));

        let mut bare = record().encode();
        bare.remove(RECORD_ENTRY);
        assert!(refused(&bare).message().contains("import"), "no hint");
    }

    #[test]
    fn another_bundle_under_the_same_record_is_noticed() {
        let other = record().bundle.to_yaml();

        let error = refused(&with(&record(), SECRETS_ENTRY, other.expose_secret()));

        assert!(error.message().contains("SHA-256"), "{error}");
    }

    #[test]
    fn debug_of_a_record_shows_no_secret() {
        let record = record();
        let debug = format!("{record:?} {:?}", record.encode());

        assert!(!debug.contains(record.bundle.cluster_secret().expose_secret()));
        assert!(!debug.contains(record.bundle.bootstrap_token().expose_secret()));
    }
}
