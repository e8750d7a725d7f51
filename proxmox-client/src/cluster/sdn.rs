//! Software-defined networks: zones and vnets.

use super::Cluster;
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::params::request;
use crate::request::Request;
use crate::task::Task;
use crate::vm::text_enum;
use crate::wire::response;

response!(
    /// An SDN zone.
    ZoneInfo {
        /// The name.
        zone: String = "zone",
        /// `simple`, `vlan`, `qinq`, `vxlan`, `evpn` and so on.
        kind: Option<String> = "type",
        /// The bridge of a VLAN zone.
        bridge: Option<String> = "bridge",
        /// The nodes that have the zone; empty means all.
        nodes: Vec<String> = "nodes",
        /// The MTU.
        mtu: Option<u32> = "mtu",
        /// `new`, `changed` or `deleted` for what is not applied yet.
        state: Option<String> = "state",
    }

    /// An SDN vnet, which VMs use like a bridge.
    VnetInfo {
        /// The name, at most 8 characters.
        vnet: String = "vnet",
        /// The zone.
        zone: Option<String> = "zone",
        /// The VLAN or VXLAN ID.
        tag: Option<u32> = "tag",
        /// Whether VMs may add a VLAN ID of their own.
        vlan_aware: bool = "vlanaware",
        /// A longer name.
        alias: Option<String> = "alias",
        /// `new`, `changed` or `deleted` for what is not applied yet.
        state: Option<String> = "state",
    }
);

text_enum!(
    /// How a zone connects the nodes.
    ZoneKind {
        /// Not at all: each node has a bridge of its own.
        Simple = "simple",
        /// By VLANs of a bridge.
        Vlan = "vlan",
        /// By stacked VLANs.
        QinQ = "qinq",
        /// By VXLAN tunnels between the nodes.
        Vxlan = "vxlan",
        /// By VXLAN with BGP.
        Evpn = "evpn",
    }
);

request!(
    /// A zone to create.
    ZoneRequest(zone: String = "zone" is SDN_NAME, kind: ZoneKind = "type") {
        /// The bridge of a VLAN zone.
        bridge: String = "bridge",
        /// The nodes, separated by commas.
        nodes: String = "nodes" is NODES,
        /// The MTU.
        mtu: u32 = "mtu",
        /// The peers of a VXLAN zone, separated by commas.
        peers: String = "peers" is ADDRESSES,
        /// The IP address management.
        ipam: String = "ipam",
        ; flags {}
    }

    /// A vnet to create.
    VnetRequest(vnet: String = "vnet" is SDN_NAME, zone: String = "zone" is SDN_NAME) {
        /// The VLAN or VXLAN ID.
        tag: u32 = "tag" is VNET_TAG,
        /// A longer name.
        alias: String = "alias" is VNET_ALIAS,
        ; flags {
            /// Lets VMs add a VLAN ID of their own.
            vlan_aware = "vlanaware" "1",
        }
    }
);

impl Cluster {
    /// The zones that the caller may see (`SDN.Audit`).
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn zones(&self) -> Result<Vec<ZoneInfo>> {
        self.client
            .call(Request::get("list SDN zones", "/cluster/sdn/zones", &[]))
            .await
    }

    /// Creates a zone; it takes effect with [`apply_sdn`](Self::apply_sdn). Needs `SDN.Allocate`.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the name is taken")]
    pub async fn create_zone(&self, zone: &ZoneRequest) -> Result<()> {
        let request =
            Request::post("create SDN zone", "/cluster/sdn/zones", &[]).with(&zone.params);
        self.client.run(request).await
    }

    /// The vnets that the caller may see.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn vnets(&self) -> Result<Vec<VnetInfo>> {
        self.client
            .call(Request::get("list SDN vnets", "/cluster/sdn/vnets", &[]))
            .await
    }

    /// Creates a vnet; it takes effect with [`apply_sdn`](Self::apply_sdn). Needs `SDN.Allocate` on the zone.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the name is taken")]
    pub async fn create_vnet(&self, vnet: &VnetRequest) -> Result<()> {
        let request =
            Request::post("create SDN vnet", "/cluster/sdn/vnets", &[]).with(&vnet.params);
        self.client.run(request).await
    }

    /// Starts to apply the changes of zones and vnets on all nodes. Needs `SDN.Allocate` on `/sdn`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn apply_sdn(&self) -> Result<Task> {
        self.client
            .start_task(Request::put("apply SDN", "/cluster/sdn", &[]))
            .await
    }
}
