//! Where a machine is: its Proxmox node and storages, and its address before it is configured.

use std::net::IpAddr;

use serde::Serialize;

/// How a machine gets its declared address without DHCP: Proxmox VE writes it to a nocloud drive, which Talos reads at every
/// boot, before it has a configuration too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaticAddress {
    /// The length of the network prefix, 24 for a network of 256 IPv4 addresses.
    pub prefix_length: u8,
    /// The gateway of the default route.
    pub gateway: Option<IpAddr>,
    /// The name servers; none leaves those of the Proxmox node.
    pub name_servers: Vec<IpAddr>,
    /// The DNS search domain. Talos reads it from v1.11 on.
    pub search_domain: Option<String>,
}

impl StaticAddress {
    /// The declared address in a network with this prefix length, without a gateway.
    #[must_use]
    pub const fn new(prefix_length: u8) -> Self {
        Self {
            prefix_length,
            gateway: None,
            name_servers: Vec::new(),
            search_domain: None,
        }
    }

    /// The gateway of the default route.
    #[must_use]
    pub const fn gateway(mut self, gateway: IpAddr) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// Adds a name server.
    #[must_use]
    pub fn name_server(mut self, address: IpAddr) -> Self {
        self.name_servers.push(address);
        self
    }

    /// The DNS search domain.
    #[must_use]
    pub fn search_domain(mut self, domain: impl Into<String>) -> Self {
        self.search_domain = Some(domain.into());
        self
    }
}

/// Where machines are placed on Proxmox VE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Placement {
    /// The Proxmox node.
    pub node: String,
    /// The storage of the disks (content type `images`).
    pub storage: String,
    /// The storage of the ISO (content type `iso`).
    pub iso_storage: String,
    /// The storage of user data (content type `snippets`), for machines that get their configuration so.
    pub snippet_storage: Option<String>,
}

impl Placement {
    /// Machines on `node`, their disks on `storage`, the ISO on `iso_storage`.
    #[must_use]
    pub fn new(
        node: impl Into<String>,
        storage: impl Into<String>,
        iso_storage: impl Into<String>,
    ) -> Self {
        Self {
            node: node.into(),
            storage: storage.into(),
            iso_storage: iso_storage.into(),
            snippet_storage: None,
        }
    }

    /// The storage of user data (content type `snippets`).
    #[must_use]
    pub fn snippet_storage(mut self, storage: impl Into<String>) -> Self {
        self.snippet_storage = Some(storage.into());
        self
    }
}

/// Where one machine differs from the placement of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MachinePlacement {
    /// Another Proxmox node.
    pub node: Option<String>,
    /// Another storage of the disks.
    pub storage: Option<String>,
    /// Another storage of the ISO.
    pub iso_storage: Option<String>,
    /// Another storage of user data.
    pub snippet_storage: Option<String>,
}

impl MachinePlacement {
    /// The placement of the machine, given that of its cluster.
    #[must_use]
    pub fn within(&self, cluster: &Placement) -> Placement {
        let own = |own: &Option<String>, shared: &String| own.as_ref().unwrap_or(shared).clone();
        Placement {
            node: own(&self.node, &cluster.node),
            storage: own(&self.storage, &cluster.storage),
            iso_storage: own(&self.iso_storage, &cluster.iso_storage),
            snippet_storage: self
                .snippet_storage
                .as_ref()
                .or(cluster.snippet_storage.as_ref())
                .cloned(),
        }
    }
}
