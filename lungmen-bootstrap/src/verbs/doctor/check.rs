//! What the doctor looks at: one entry for each thing that can be found.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal;)+) => {
        /// A check of the doctor. Its name in JSON and in texts is its [`id`](Self::id).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(with = "String")]
        #[non_exhaustive]
        pub enum Check {
            $($(#[$doc])* $name,)+
        }

        impl Check {
            /// All checks in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable name of the check.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// What has to be true, in one line.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                }
            }
        }
    };
}

checks!(
    /// Something in the specification is accepted, but is probably not intended.
    Specification = "specification", "nothing in the specification looks like a mistake";
    /// A server does not answer.
    Reachable = "reachable", "each server answers";
    /// The certificate of a server is not trusted.
    Certificate = "certificate", "the certificate of each server is trusted";
    /// A server does not accept the credentials.
    Credentials = "credentials", "each server accepts the credentials";
    /// A right is missing.
    Rights = "rights", "the credentials have every right that a run needs";
    /// A server answers, but cannot work now.
    Ready = "ready", "each server can work now: not sealed, not overloaded";
    /// Something else answers at the address.
    Answer = "answer", "each address is that of the server, not of a portal or proxy before it";
    /// The version of a server is not supported.
    Version = "version", "the version of each server is supported";
    /// A node of Proxmox VE is missing or offline.
    Node = "node", "each Proxmox VE node exists and is online";
    /// A storage is missing, not active, or of another content type.
    Storage = "storage", "each storage is active on its node and takes its content type";
    /// A storage has too little space.
    Space = "space", "each storage has space for the disks and the ISO";
    /// A bridge is missing or does not carry the VLAN.
    Bridge = "bridge", "each bridge exists on its node and carries the VLAN";
    /// Proxmox VE cannot boot the architecture or the platform.
    Platform = "platform", "the architecture and the platform are those of Proxmox VE machines";
    /// The node does not know the CPU model.
    CpuModel = "cpu-model", "each Proxmox VE node knows the CPU model";
    /// A machine has more cores than its node.
    Cores = "cores", "no machine has more cores than its Proxmox VE node";
    /// The memory of the machines is more than that of their node.
    Memory = "memory", "the machines fit into the memory of their Proxmox VE nodes";
    /// The id of a VM is that of another one.
    VmId = "vm-id", "each VM id is free, or has the VM of this machine";
    /// A clock differs.
    Clock = "clock", "the clocks of the Proxmox VE and Talos nodes agree with that of this host";
    /// The Image Factory has no such Talos version.
    TalosVersion = "talos-version", "the Image Factory has the Talos version";
    /// The Image Factory has no such extension.
    Extension = "extension", "the Image Factory has every extension for this Talos version";
    /// The Image Factory does not have the installer of the nodes.
    Installer = "installer", "the Image Factory has the installer image of a cluster that exists";
    /// `guestAgent` without the extension that answers for it.
    GuestAgent = "guest-agent", "machines with guestAgent have the extension siderolabs/qemu-guest-agent";
    /// The mount of the secret store is another engine.
    Mount = "mount", "the mount of the secret store is a KV engine of version 2";
    /// The record in the store is that of another cluster, or was lost.
    Record = "record", "the store has the record of this cluster, or nothing of it exists";
    /// Name or address are registered for another cluster.
    Registration = "registration", "name and address are free in Argo CD, or those of this cluster";
    /// Something answers at the address of a machine that does not exist.
    Address = "address", "nothing answers at the address of a machine that does not exist yet";
    /// The endpoint leads nowhere or elsewhere.
    Endpoint = "endpoint", "the endpoint resolves to a control plane machine or a virtual address of the configuration";
);

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The text is not the id of a check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a check")]
pub struct UnknownCheck(String);

impl FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        let found = Self::ALL.iter().find(|check| check.id() == text);
        found.copied().ok_or_else(|| UnknownCheck(text.to_owned()))
    }
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Check {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
