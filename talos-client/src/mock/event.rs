//! What happens to a mock node.

use secrecy::SecretString;

use crate::PublicKeyFingerprint;
use crate::api::cosi::Stage;

/// Something that happened to a mock node, for whoever builds a world around it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MockEvent {
    /// It was switched on.
    PoweredOn,
    /// It was switched off.
    PoweredOff,
    /// It waits for a configuration, with a certificate of this fingerprint.
    Maintenance {
        /// Pin of the certificate, as the console shows it.
        fingerprint: PublicKeyFingerprint,
    },
    /// It has accepted a configuration.
    ConfigApplied {
        /// The configuration.
        text: SecretString,
    },
    /// Talos is on the disk.
    Installed {
        /// The disk.
        disk: String,
        /// The installer image that wrote it.
        image: String,
    },
    /// The installation failed; the node boots the ISO image again.
    InstallFailed {
        /// What the console says.
        reason: String,
    },
    /// Another release is on the disk.
    Upgraded {
        /// The installer image that wrote it.
        image: String,
    },
    /// An upgrade failed; the node boots its old release.
    UpgradeFailed {
        /// What the console says.
        reason: String,
    },
    /// The release of an upgrade did not come up; the node boots its old one.
    RolledBack,
    /// It cordons and drains its Kubernetes node, before a shutdown that is not forced and before a graceful reset.
    Draining,
    /// It goes down to come back.
    Rebooting,
    /// It does not come up, and no port opens until somebody acts.
    Halted {
        /// What the console says.
        reason: String,
    },
    /// It answers with the identity of its configuration.
    Configured,
    /// It received the command to bootstrap etcd.
    Bootstrapped,
    /// etcd is healthy.
    EtcdHealthy,
    /// It has handed out a kubeconfig.
    KubeconfigIssued,
    /// Its stage has changed.
    StageChanged(Stage),
    /// It was wiped.
    Reset,
}
