//! The cluster record: what makes a cluster this cluster.
//!
//! The record is written before the first effect and holds everything that cannot be made again or must not change by
//! itself: an id that nobody can guess, the name and endpoint, the version contract, the schematic, the secrets bundle, and the decision
//! about the node that is bootstrapped. [`ClusterRecord::encode`] gives two entries, so that a person finds the bundle
//! under its usual name:
//!
//! | entry | content |
//! |---|---|
//! | `cluster.json` | everything but the bundle, with the fingerprint of the bundle |
//! | `secrets.yaml` | the bundle, as `talosctl gen secrets` writes it |

mod encoding;
mod progress;

use std::fmt;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use talos_client::config::VersionContract;
use talos_client::secrets::SecretsBundle;
use url::Url;

pub use encoding::{FORMAT, RECORD_ENTRY, SECRETS_ENTRY};
pub use progress::{BootstrapDecision, BootstrapState, RunControl};
pub(crate) use progress::{Change, Stale};

/// The id of a cluster: 128 bits in hexadecimal, derived from its secrets and its name. It is as random as they are, so nobody
/// can guess it from the specification; and whoever imports the secrets after the record was lost has the same cluster again,
/// with the machines that carry UUIDs derived from the id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(String);

impl ClusterId {
    /// The id of the cluster of this name with these secrets.
    #[must_use]
    pub fn of(bundle: &SecretsBundle, cluster: &str) -> Self {
        let authority = bundle.os_ca().map(|ca| ca.key_pem().expose_secret());
        let mut hash = Sha256::new();
        for part in [
            "lungmen cluster id",
            cluster,
            bundle.cluster_secret().expose_secret(),
            authority.unwrap_or_default(),
        ] {
            hash.update(part.as_bytes());
            // A separator that none of them contains keeps ("a", "bc") and ("ab", "c") apart.
            hash.update([0]);
        }
        Self(hex(&hash.finalize()[..16]))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_well_formed(&self) -> bool {
        self.0.len() == 32 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is recorded about a cluster. `Debug` shows no secret.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterRecord {
    /// The id.
    pub cluster_id: ClusterId,
    /// The name of the cluster.
    pub cluster: String,
    /// The https endpoint of its Kubernetes API.
    pub endpoint: Url,
    /// The version contract that the bundle and the configurations are made for.
    pub contract: VersionContract,
    /// The ID of the schematic that the cluster was created with.
    pub schematic: String,
    /// When the record was made.
    pub created_at: Timestamp,
    /// The secrets of the cluster.
    pub bundle: SecretsBundle,
    /// The bootstrap decision, and the newest run that wrote the record.
    pub control: RunControl,
}

impl ClusterRecord {
    /// A record of a cluster that has none yet.
    pub fn new(
        cluster: impl Into<String>,
        endpoint: Url,
        contract: VersionContract,
        schematic: impl Into<String>,
        bundle: SecretsBundle,
    ) -> Self {
        let cluster = cluster.into();
        Self {
            cluster_id: ClusterId::of(&bundle, &cluster),
            cluster,
            endpoint,
            contract,
            schematic: schematic.into(),
            // The encoding keeps whole seconds.
            created_at: Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default(),
            bundle,
            control: RunControl::default(),
        }
    }

    /// The SHA-256 of the bundle in hexadecimal. It tells two bundles apart and shows nothing of them.
    #[must_use]
    pub fn bundle_fingerprint(&self) -> String {
        fingerprint(self.bundle.to_yaml().expose_secret())
    }

    /// The name and endpoint in one line, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.cluster, &self.endpoint)
    }
}

/// Records are equal when everything that is stored about them is.
impl PartialEq for ClusterRecord {
    fn eq(&self, other: &Self) -> bool {
        self.cluster_id == other.cluster_id
            && self.cluster == other.cluster
            && self.endpoint == other.endpoint
            && self.contract == other.contract
            && self.schematic == other.schematic
            && self.created_at == other.created_at
            && self.control == other.control
            && self.bundle_fingerprint() == other.bundle_fingerprint()
    }
}

pub(crate) fn title(cluster: &str, endpoint: &Url) -> String {
    format!("{cluster} at {}", endpoint.as_str().trim_end_matches('/'))
}

pub(crate) fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
