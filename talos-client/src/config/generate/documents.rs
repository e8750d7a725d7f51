//! The documents beside `v1alpha1` that do not configure Kubernetes, and the order of all of them.

use super::endpoint::Endpoint;
use super::machine_type::MachineType;
use super::node::Fields;
use super::plan::{Plan, text};
use crate::config::{Document, MachineConfig};
use crate::error::Result;
use crate::go::text::quoted;
use crate::go::yaml::Node;

impl Plan<'_> {
    /// The configuration before patches.
    pub(super) fn config(&self, kind: MachineType) -> Result<MachineConfig> {
        let mut nodes = vec![self.v1alpha1(kind)];
        if self.contract.has_kubernetes_documents() {
            nodes.extend(self.machine_documents().into_iter().map(Node::from));
        }
        if self.contract.has_network_documents() {
            nodes.extend(self.input.mirrors.documents(self.generator)?);
            nodes.push(
                Fields::document("HostnameConfig")
                    .text("auto", "stable")
                    .into(),
            );
        }
        if self.contract.has_kubespan_document() && self.input.kubespan {
            nodes.push(
                Fields::document("KubeSpanConfig")
                    .flag("enabled", true)
                    .into(),
            );
        }
        if self.contract.has_kubernetes_documents() && !self.is_without_kubernetes() {
            nodes.extend(self.kubernetes_documents(kind).into_iter().map(Node::from));
        }
        Ok(MachineConfig::from_documents(
            nodes.into_iter().map(Document::new),
        ))
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.input.endpoint
    }

    /// What v1.14 moved out of `machine` and `cluster` apart from Kubernetes.
    fn machine_documents(&self) -> Vec<Fields> {
        let mut documents = Vec::new();
        if self.input.cluster_discovery {
            documents.push(
                Fields::document("DiscoveryServiceConfig")
                    .text("name", "default")
                    .text("endpoint", "https://discovery.talos.dev/"),
            );
        }
        let bundle = self.secrets.bundle;
        documents.push(
            Fields::document("DiscoveryIdentityConfig")
                .text("clusterID", bundle.cluster_id())
                .text("clusterSecret", text(bundle.cluster_secret())),
        );
        documents.extend(self.unattended_install());
        documents.push(Fields::document("ResolverConfig").node("hostDNS", self.host_dns()));
        documents.push(
            Fields::document("VolumeConfig")
                .text("name", "EPHEMERAL")
                .node("mount", Fields::new().flag("secure", true)),
        );
        documents.push(Fields::document("FilesystemTrimConfig").text("interval", "168h0m0s"));
        documents.push(Fields::document("SecurityProfileConfig").flag("workloadIsolation", true));
        documents
    }

    /// Only with a disk, because the document needs a selector.
    fn unattended_install(&self) -> Option<Fields> {
        let disk = &self.input.install_disk;
        let selector = Fields::new().text("match", &format!("disk.dev_path == {}", quoted(disk)));
        let provisioning = Fields::new()
            .node("diskSelector", selector)
            .flag("wipe", false);
        (!disk.is_empty()).then(|| {
            Fields::document("UnattendedInstallConfig")
                .node(
                    "installer",
                    Fields::new().text_or_nothing("image", &self.install_image),
                )
                .node("provisioning", provisioning)
        })
    }
}
