//! Fields that make a node a member of this cluster. Only the cluster record decides about them.

use std::collections::BTreeSet;

use talos_client::config::{Diff, MachineConfig, diff};

use super::findings::Problem;

/// The fields by their documents. Talos v1.14 has documents for what was in `v1alpha1` before.
const IDENTITY: [(&str, &[&str]); 7] = [
    (
        "v1alpha1",
        &[
            "machine.type",
            "machine.token",
            "machine.ca",
            "cluster.id",
            "cluster.secret",
            "cluster.token",
            "cluster.clusterName",
            "cluster.controlPlane.endpoint",
            "cluster.ca",
            "cluster.aggregatorCA",
            "cluster.serviceAccount",
            "cluster.secretboxEncryptionSecret",
            "cluster.aescbcEncryptionSecret",
            "cluster.etcd.ca",
        ],
    ),
    ("DiscoveryIdentityConfig", &["clusterID", "clusterSecret"]),
    ("KubeClusterConfig", &["clusterName", "endpoint"]),
    ("KubeAPIServerCAConfig", &["issuingCA"]),
    ("KubeAggregatorCAConfig", &["issuingCA"]),
    ("KubeServiceAccountConfig", &["issuer"]),
    ("KubeEtcdEncryptionConfig", &["config"]),
];

/// What patches change of the identity: the node would be a stranger to its cluster. Each field is one problem.
pub(super) fn changes(unpatched: &MachineConfig, config: &MachineConfig) -> Vec<Problem> {
    let changes = diff(unpatched, config);
    let changed: BTreeSet<_> = changes.iter().filter_map(identity_field).collect();
    let problems = changed.into_iter().map(|(document, field)| Problem {
        field: match document {
            "v1alpha1" => field.to_owned(),
            document => format!("{document}: {field}"),
        },
        message: "a patch must not change the identity of the cluster".to_owned(),
        help: Some(
            "leave the field out: name, endpoint and secrets come from the specification and the cluster record"
                .to_owned(),
        ),
    });
    problems.collect()
}

/// The field of the identity that was changed, or a part of it.
fn identity_field(change: &Diff) -> Option<(&'static str, &'static str)> {
    let is_below = |field: &str| {
        let rest = change.path.strip_prefix(field);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let document = change.document.as_str();
    let (document, fields) = IDENTITY.iter().find(|(kind, _)| *kind == document)?;
    let field = fields.iter().find(|field| is_below(field))?;
    Some((document, field))
}
