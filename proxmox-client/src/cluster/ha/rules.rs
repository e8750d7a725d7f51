//! Rules for the placement of guests (PVE 9 and later).

use crate::cluster::Cluster;
use crate::docs::{read_errors, write_errors};
use crate::error::Result;
use crate::id::VmId;
use crate::params::request;
use crate::request::Request;
use crate::rule;
use crate::vm::text_enum;
use crate::wire::response;

response!(
    /// A rule for the placement of guests (PVE 9 and later).
    HaRule {
        /// The name.
        rule: String = "rule",
        /// `node-affinity` or `resource-affinity`.
        kind: Option<String> = "type",
        /// The guests, `vm:104,vm:105`.
        resources: Vec<String> = "resources",
        /// Nodes with priorities of a node affinity.
        nodes: Option<String> = "nodes",
        /// Whether the guests run on these nodes only.
        strict: bool = "strict",
        /// `positive` or `negative` of a resource affinity.
        affinity: Option<String> = "affinity",
        /// Whether the rule is disabled.
        disabled: bool = "disable",
        /// The comment.
        comment: Option<String> = "comment",
        /// SHA-1 of the configuration.
        digest: Option<String> = "digest",
    }
);

text_enum!(
    /// What a rule is about.
    HaRuleKind {
        /// The nodes on which guests run.
        NodeAffinity = "node-affinity",
        /// Whether guests run on the same node.
        ResourceAffinity = "resource-affinity",
    }
);

text_enum!(
    /// Whether guests run on the same node.
    HaAffinity {
        /// They do.
        Positive = "positive",
        /// Each runs on another node.
        Negative = "negative",
    }
);

request!(
    /// A rule to create; made by [`node_affinity`](Self::node_affinity) and
    /// [`resource_affinity`](Self::resource_affinity).
    HaRuleRequest(kind: HaRuleKind = "type", resources: String = "resources" is HA_RESOURCES) {
        /// The nodes of a node affinity with priorities, such as `pve-01:2,pve-02`.
        nodes: String = "nodes" is HA_NODES,
        /// Whether the guests of a resource affinity run on the same node.
        affinity: HaAffinity = "affinity",
        /// The comment.
        comment: String = "comment" is TEXT_4096,
        ; flags {
            /// Lets the guests of a node affinity run on its nodes only.
            strict = "strict" "1",
            /// Creates the rule without effect.
            disabled = "disable" "1",
        }
    }

    /// Changes to a rule; the kind cannot be changed and must be given.
    HaRuleUpdate(kind: HaRuleKind = "type") {
        /// The guests, such as `vm:104,vm:105`.
        resources: String = "resources" is HA_RESOURCES,
        /// The nodes of a node affinity with priorities, such as `pve-01:2,pve-02`.
        nodes: String = "nodes" is HA_NODES,
        /// Whether the guests of a resource affinity run on the same node.
        affinity: HaAffinity = "affinity",
        /// The comment.
        comment: String = "comment" is TEXT_4096,
        /// The settings that get their defaults back, separated by commas.
        unset: String = "delete" is OPTIONS,
        /// Applies the change only while the configuration has this digest.
        digest: String = "digest" is TEXT_64,
        ; flags {
            /// Lets the guests of a node affinity run on its nodes only.
            strict = "strict" "1",
            /// Lets the guests of a node affinity run on other nodes when none of its nodes is up.
            lenient = "strict" "0",
            /// Takes the effect from the rule. It gets it back by unsetting `disable`.
            disable = "disable" "1",
        }
    }
);

impl HaRuleRequest {
    /// The VMs run on these nodes: names with priorities, such as `pve-01:2,pve-02`.
    pub fn node_affinity(vms: &[VmId], nodes: impl Into<String>) -> Self {
        Self::new(HaRuleKind::NodeAffinity, sids(vms)).nodes(nodes)
    }

    /// The VMs run on the same node, or each on another one.
    pub fn resource_affinity(vms: &[VmId], affinity: HaAffinity) -> Self {
        Self::new(HaRuleKind::ResourceAffinity, sids(vms)).affinity(affinity)
    }
}

/// VMs as the manager names them.
fn sids(vms: &[VmId]) -> String {
    let sids: Vec<String> = vms.iter().map(|vm| format!("vm:{vm}")).collect();
    sids.join(",")
}

const RULES: &str = "/cluster/ha/rules";
const RULE: &str = "/cluster/ha/rules/{rule}";

impl Cluster {
    /// The rules of placement (PVE 9 and later). Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`Unsupported` on PVE 8")]
    pub async fn ha_rules(&self) -> Result<Vec<HaRule>> {
        let request = Request::get("list HA rules", RULES, &[]);
        self.client.call(request).await
    }

    /// One rule with the digest of the configuration (PVE 9 and later). Needs `Sys.Audit` on `/`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when there is no such rule; `Unsupported` on PVE 8")]
    pub async fn ha_rule(&self, name: &str) -> Result<HaRule> {
        let request = Request::get("read HA rule", RULE, &[name])
            .check("rule", name, rule::OPTION)
            .target(format!("HA rule {name}"));
        self.client.call(request).await
    }

    /// Creates a rule (PVE 9 and later). The VMs must be HA resources. Needs `Sys.Console` on `/`.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when the name is taken; `Rejected` for a rule that contradicts others, names a VM without HA or an unknown node; `Unsupported` on PVE 8 and before groups were migrated")]
    pub async fn create_ha_rule(&self, name: &str, rule: &HaRuleRequest) -> Result<()> {
        let request = Request::post("create HA rule", RULES, &[])
            .target(format!("HA rule {name}"))
            .fitting("rule", name, rule::OPTION)
            .with(&rule.params);
        self.client.run(request).await
    }

    /// Changes a rule (PVE 9 and later). Needs `Sys.Console` on `/`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such rule; `Conflict` when the configuration does not have the given digest any more; `Rejected` for a rule that contradicts others; `Unsupported` on PVE 8")]
    pub async fn update_ha_rule(&self, name: &str, update: &HaRuleUpdate) -> Result<()> {
        let request = Request::put("change HA rule", RULE, &[name])
            .check("rule", name, rule::OPTION)
            .target(format!("HA rule {name}"))
            .with(&update.params);
        self.client.run(request).await
    }

    /// Deletes a rule (PVE 9 and later). A rule that does not exist is no error. Needs `Sys.Console` on `/`. May be
    /// repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`Unsupported` on PVE 8")]
    pub async fn delete_ha_rule(&self, name: &str) -> Result<()> {
        let request = Request::delete("delete HA rule", RULE, &[name])
            .check("rule", name, rule::OPTION)
            .target(format!("HA rule {name}"));
        self.client.run(request).await
    }
}
