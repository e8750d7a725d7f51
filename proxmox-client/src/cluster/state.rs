//! What the cluster reports about its members and resources.

use crate::id::{NodeName, VmId};
use crate::vm::text_enum;
use crate::wire::{from_wire_text, response};

text_enum!(
    /// What kind of guest an ID belongs to.
    GuestKind {
        /// A virtual machine.
        Vm = "qemu",
        /// A container; this crate does not manage containers.
        Container = "lxc",
    }
);

text_enum!(
    /// A kind of cluster resource, for [`Cluster::resources`](super::Cluster::resources).
    ResourceKind {
        /// VMs and containers.
        Guest = "vm",
        /// Storages, once for each node.
        Storage = "storage",
        /// Nodes.
        Node = "node",
        /// SDN zones.
        Sdn = "sdn",
    }
);

from_wire_text!(GuestKind, ResourceKind);

response!(
    /// A VM or container in the cluster's list.
    GuestInfo {
        /// The ID.
        vmid: VmId = "vmid",
        /// The node that has the configuration.
        node: NodeName = "node",
        /// VM or container.
        kind: GuestKind = "type",
        /// The name; missing for a moment after creation.
        name: Option<String> = "name",
        /// `running`, `stopped`, or `unknown` for a moment after creation.
        status: Option<String> = "status",
        /// The tags.
        tags: Vec<String> = "tags",
        /// The pool.
        pool: Option<String> = "pool",
        /// Which task works on the guest.
        lock: Option<String> = "lock",
        /// Whether the guest is a template.
        template: bool = "template",
    }

    /// Anything in the cluster's list of resources.
    ResourceInfo {
        /// `node/pve-01`, `qemu/104`, `storage/pve-01/local` and so on.
        id: String = "id",
        /// `node`, `qemu`, `lxc`, `storage`, `pool`, `sdn`.
        kind: String = "type",
        /// The node.
        node: Option<NodeName> = "node",
        /// The VM or container.
        vmid: Option<VmId> = "vmid",
        /// The storage.
        storage: Option<String> = "storage",
        /// The pool.
        pool: Option<String> = "pool",
        /// The name of a guest.
        name: Option<String> = "name",
        /// The state in the server's word.
        status: Option<String> = "status",
        /// The tags of a guest.
        tags: Vec<String> = "tags",
        /// Memory in bytes.
        memory_total: Option<u64> = "maxmem",
        /// Used memory in bytes.
        memory_used: Option<u64> = "mem",
        /// Size of the disk or storage in bytes.
        disk_total: Option<u64> = "maxdisk",
        /// Used bytes of the disk or storage.
        disk_used: Option<u64> = "disk",
        /// Processors.
        cpus: Option<f64> = "maxcpu",
        /// Seconds since the start.
        uptime: Option<u64> = "uptime",
    }

    /// The cluster itself, or one of its nodes.
    ClusterMember {
        /// `cluster` or `node`.
        kind: String = "type",
        /// The name.
        name: String = "name",
        /// Whether the cluster has quorum; for the cluster only.
        quorate: Option<bool> = "quorate",
        /// The number of nodes; for the cluster only.
        nodes: Option<u32> = "nodes",
        /// Whether the node is online; for nodes only.
        online: Option<bool> = "online",
        /// Whether the node is the contacted one; for nodes only.
        local: Option<bool> = "local",
        /// The address; for nodes only.
        address: Option<String> = "ip",
        /// The number of the node; for nodes only.
        node_id: Option<u32> = "nodeid",
    }

    /// An entry of the cluster log.
    ClusterLogEntry {
        /// Seconds since 1970.
        time: Option<u64> = "time",
        /// The node.
        node: Option<String> = "node",
        /// The user.
        user: Option<String> = "user",
        /// The program.
        tag: Option<String> = "tag",
        /// The text.
        message: String = "msg",
    }

    /// Options of the datacenter.
    ClusterOptions {
        /// The prefix of generated MAC addresses.
        mac_prefix: Option<String> = "mac_prefix",
        /// The description.
        description: Option<String> = "description",
        /// The HTTP proxy of downloads.
        http_proxy: Option<String> = "http_proxy",
        /// The keyboard layout of consoles.
        keyboard: Option<String> = "keyboard",
        /// Tags that the caller may set.
        allowed_tags: Vec<String> = "allowed-tags",
    }
);
