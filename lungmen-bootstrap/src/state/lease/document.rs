//! The stored form of a lease.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::holder::Holder;
use super::transition::LeaseState;
use crate::services::{Error, ErrorKind, Result};
use crate::state::store::Entries;

/// The entry of the lease document.
pub(crate) const LEASE_ENTRY: &str = "lease.json";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    format: u32,
    holder: Holder,
    token: u64,
    beat: u64,
    duration_ms: u64,
    released: bool,
    /// By the clock of the holder: for people.
    heartbeat: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

pub(super) fn encode(state: &LeaseState<Holder>, heartbeat: Timestamp) -> Entries {
    let stored = Stored {
        format: FORMAT,
        holder: state.holder.clone(),
        token: state.token,
        beat: state.beat,
        duration_ms: state.duration,
        released: state.released,
        heartbeat,
    };
    // Serializing texts and numbers to a JSON text cannot fail.
    let text = serde_json::to_string_pretty(&stored).unwrap_or_default();
    Entries::from([(LEASE_ENTRY.to_owned(), SecretString::from(text))])
}

/// The state, and the last heartbeat by the clock of the holder.
///
/// # Errors
/// `Decode` for a damaged lease, `Unsupported` for one of a newer version. A damaged lease is never treated as free.
pub(super) fn decode(entries: &Entries, place: &str) -> Result<(LeaseState<Holder>, Timestamp)> {
    let fail = |kind, message: String| {
        Error::new(kind, "read lease")
            .with_target(place)
            .with_message(message)
    };
    let damaged = |what: String| {
        fail(
            ErrorKind::Decode,
            format!("{what}; make certain that no run is active, then remove the lease"),
        )
    };
    let text = entries
        .get(LEASE_ENTRY)
        .ok_or_else(|| damaged(format!("the lease has no {LEASE_ENTRY}")))?
        .expose_secret();
    let header: Header = serde_json::from_str(text)
        .map_err(|error| damaged(format!("{LEASE_ENTRY} is damaged: {error}")))?;
    if header.format > FORMAT {
        return Err(fail(
            ErrorKind::Unsupported,
            format!(
                "{LEASE_ENTRY} has format {}, which a newer version of lungmen wrote; this one reads up to {FORMAT}",
                header.format
            ),
        ));
    }
    let stored: Stored = serde_json::from_str(text)
        .map_err(|error| damaged(format!("{LEASE_ENTRY} is damaged: {error}")))?;
    let state = LeaseState {
        holder: stored.holder,
        token: stored.token,
        beat: stored.beat,
        duration: stored.duration_ms,
        released: stored.released,
    };
    Ok((state, stored.heartbeat))
}
