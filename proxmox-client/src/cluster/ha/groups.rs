//! Groups of nodes on which guests run (PVE 8; rules have taken their place in PVE 9).

use crate::cluster::Cluster;
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::params::request;
use crate::request::Request;
use crate::rule;
use crate::wire::response;

response!(
    /// A group of nodes; replaced by rules in PVE 9.
    HaGroup {
        /// The name.
        group: String = "group",
        /// Nodes with priorities, `pve-01:2,pve-02`.
        nodes: Option<String> = "nodes",
        /// Whether the guests run on these nodes only.
        restricted: bool = "restricted",
        /// Whether the guests stay where they are when a better node comes back.
        no_failback: bool = "nofailback",
        /// The comment.
        comment: Option<String> = "comment",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
    }
);

request!(
    /// A group to create; `nodes` are node names with priorities, such as `pve-01:2,pve-02`.
    HaGroupRequest(nodes: String = "nodes" is HA_NODES) {
        /// The comment.
        comment: String = "comment" is TEXT_4096,
        ; flags {
            /// Lets the guests run on these nodes only.
            restricted = "restricted" "1",
            /// Leaves the guests where they are when a better node comes back.
            no_failback = "nofailback" "1",
        }
    }

    /// Changes to a group.
    HaGroupUpdate() {
        /// The nodes with priorities, such as `pve-01:2,pve-02`.
        nodes: String = "nodes" is HA_NODES,
        /// The comment.
        comment: String = "comment" is TEXT_4096,
        /// The settings that get their defaults back, separated by commas.
        unset: String = "delete" is OPTIONS,
        /// Applies the change only while the configuration has this digest.
        digest: String = "digest" is TEXT_64,
        ; flags {
            /// Lets the guests run on these nodes only.
            restricted = "restricted" "1",
            /// Lets the guests run on other nodes when none of these is up.
            unrestricted = "restricted" "0",
            /// Leaves the guests where they are when a better node comes back.
            no_failback = "nofailback" "1",
            /// Moves the guests back when a better node comes back.
            fail_back = "nofailback" "0",
        }
    }
);

const GROUPS: &str = "/cluster/ha/groups";
const GROUP: &str = "/cluster/ha/groups/{group}";

impl Cluster {
    /// The groups of nodes (PVE 8). Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`Unsupported` on PVE 9 after the groups were migrated to rules")]
    pub async fn ha_groups(&self) -> Result<Vec<HaGroup>> {
        let request = Request::get("list HA groups", GROUPS, &[]);
        self.client.call(request).await
    }

    /// One group with the digest of the configuration (PVE 8). Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when there is no such group; `Unsupported` on PVE 9 after the groups were migrated to rules")]
    pub async fn ha_group(&self, name: &str) -> Result<HaGroup> {
        let request = Request::get("read HA group", GROUP, &[name])
            .check("group", name, rule::OPTION)
            .target(format!("HA group {name}"));
        self.client.call(request).await
    }

    /// Creates a group (PVE 8). Needs `Sys.Console` on `/`.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the name is taken; `Unsupported` on PVE 9 after the groups were migrated to rules")]
    pub async fn create_ha_group(&self, name: &str, group: &HaGroupRequest) -> Result<()> {
        let request = Request::post("create HA group", GROUPS, &[])
            .target(format!("HA group {name}"))
            .fitting("group", name, rule::OPTION)
            .with(&group.params);
        self.client.run(request).await
    }

    /// Changes a group (PVE 8). Needs `Sys.Console` on `/`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such group; `Conflict` when the configuration does not have the given digest any more; `Unsupported` on PVE 9 after the groups were migrated to rules")]
    pub async fn update_ha_group(&self, name: &str, update: &HaGroupUpdate) -> Result<()> {
        let request = Request::put("change HA group", GROUP, &[name])
            .check("group", name, rule::OPTION)
            .target(format!("HA group {name}"))
            .with(&update.params);
        self.client.run(request).await
    }

    /// Deletes a group (PVE 8). A group that does not exist is no error. Needs `Sys.Console` on `/`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when a guest uses the group; `Unsupported` on PVE 9 after the groups were migrated to rules")]
    pub async fn delete_ha_group(&self, name: &str) -> Result<()> {
        let request = Request::delete("delete HA group", GROUP, &[name])
            .check("group", name, rule::OPTION)
            .target(format!("HA group {name}"));
        self.client.run(request).await
    }
}
