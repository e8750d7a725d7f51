//! What a bootstrapper reads and sets, wherever a release keeps it.
//!
//! Talos v1.14 moved the Kubernetes and installation settings of the `v1alpha1` document to documents of their own; both places
//! are looked at, `v1alpha1` first, as Talos does.

use super::{Document, MachineConfig};
use crate::go::base64;
use crate::go::yaml::Node;

/// Reading.
impl MachineConfig {
    /// The role: `controlplane`, `worker` or `init`.
    #[must_use]
    pub fn machine_type(&self) -> Option<&str> {
        self.text(&["machine", "type"], None)
    }

    /// The name of the cluster.
    #[must_use]
    pub fn cluster_name(&self) -> Option<&str> {
        self.text(
            &["cluster", "clusterName"],
            Some(("KubeClusterConfig", &["clusterName"])),
        )
    }

    /// The DNS domain of the cluster, such as `cluster.local`.
    #[must_use]
    pub fn dns_domain(&self) -> Option<&str> {
        self.text(
            &["cluster", "network", "dnsDomain"],
            Some(("KubeNetworkConfig", &["dnsDomain"])),
        )
    }

    /// The URL of the Kubernetes API that all nodes use.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.text(
            &["cluster", "controlPlane", "endpoint"],
            Some(("KubeClusterConfig", &["endpoint"])),
        )
    }

    /// The static hostname.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        self.text(
            &["machine", "network", "hostname"],
            Some(("HostnameConfig", &["hostname"])),
        )
    }

    /// The disk to install to; nothing when a selector chooses it.
    #[must_use]
    pub fn install_disk(&self) -> Option<&str> {
        self.text(&["machine", "install", "disk"], None)
    }

    /// The installer image.
    #[must_use]
    pub fn install_image(&self) -> Option<&str> {
        self.text(
            &["machine", "install", "image"],
            Some(("UnattendedInstallConfig", &["installer", "image"])),
        )
    }

    /// The names and addresses that the certificate of the machine API is valid for, besides those of the node.
    #[must_use]
    pub fn cert_sans(&self) -> Vec<&str> {
        self.machine(&["certSANs"])
            .into_iter()
            .flat_map(texts)
            .collect()
    }

    /// The certificate of the machine API's authority, as PEM; nothing when there is none or it is no base64.
    #[must_use]
    pub fn ca_certificate(&self) -> Option<String> {
        let encoded = self.text(&["machine", "ca", "crt"], None)?;
        let bytes = base64::decode(encoded).ok()?;
        std::str::from_utf8(&bytes).ok().map(str::to_owned)
    }

    /// The static addresses of all interfaces and VLANs, as they are written (mostly with a prefix length).
    #[must_use]
    pub fn static_addresses(&self) -> Vec<&str> {
        let mut addresses = Vec::new();
        for interface in self
            .machine(&["network", "interfaces"])
            .into_iter()
            .flat_map(items)
        {
            addresses.extend(own_addresses(interface));
            let vlans = interface.get("vlans").into_iter().flat_map(items);
            addresses.extend(vlans.flat_map(own_addresses));
        }
        // Documents of links list mappings instead of texts.
        for document in self
            .documents()
            .iter()
            .filter(|document| !document.is_v1alpha1())
        {
            let listed = document.node().get("addresses").into_iter().flat_map(items);
            addresses.extend(listed.filter_map(|address| address.get("address")?.as_str()));
        }
        addresses
    }

    /// Whether control plane nodes run ordinary workloads.
    #[must_use]
    pub fn allows_scheduling_on_control_planes(&self) -> bool {
        const TAINT: &[&str] = &["taints", "node-role.kubernetes.io/control-plane"];
        let set = |key| self.cluster(&[key]).and_then(Node::as_bool);
        if let Some(allowed) =
            set("allowSchedulingOnControlPlanes").or_else(|| set("allowSchedulingOnMasters"))
        {
            return allowed;
        }
        self.document("KubeNodeConfig", "")
            .is_some_and(|document| document.node().path(TAINT).is_none())
    }

    /// The network plugin: `flannel`, `custom` or `none`.
    #[must_use]
    pub fn cni_name(&self) -> &str {
        let moved = self.document("KubeNetworkConfig", "").is_some()
            && self.document("KubeFlannelCNIConfig", "").is_none();
        let default = if moved { "none" } else { "flannel" };
        self.text(&["cluster", "network", "cni", "name"], None)
            .unwrap_or(default)
    }

    /// Whether kube-proxy is not run.
    #[must_use]
    pub fn is_proxy_disabled(&self) -> bool {
        let moved = self.document("KubeClusterConfig", "").is_some()
            && self.document("KubeProxyConfig", "").is_none();
        let disabled = self.cluster(&["proxy", "disabled"]).and_then(Node::as_bool);
        disabled.unwrap_or(moved)
    }

    /// Whether CoreDNS is not run.
    #[must_use]
    pub fn is_coredns_disabled(&self) -> bool {
        let document = self
            .document("KubeCoreDNSConfig", "")
            .and_then(|document| document.node().get("enabled")?.as_bool());
        let disabled = self
            .cluster(&["coreDNS", "disabled"])
            .and_then(Node::as_bool);
        disabled.unwrap_or(document == Some(false))
    }

    /// The version of Kubernetes, without `v`: the tag of the kubelet's image.
    #[must_use]
    pub fn kubernetes_version(&self) -> Option<&str> {
        let image = self.text(
            &["machine", "kubelet", "image"],
            Some(("KubeletConfig", &["image"])),
        )?;
        let (_, tag) = image.rsplit_once(":v")?;
        Some(tag.split('@').next().unwrap_or(tag))
    }

    fn machine(&self, path: &[&str]) -> Option<&Node> {
        self.v1alpha1()?.get("machine")?.path(path)
    }

    fn cluster(&self, path: &[&str]) -> Option<&Node> {
        self.v1alpha1()?.get("cluster")?.path(path)
    }

    /// A text of the `v1alpha1` document, or of a document that has taken over the setting; empty counts as not set.
    fn text(&self, path: &[&str], moved: Option<(&str, &[&str])>) -> Option<&str> {
        let set = |text: &&str| !text.is_empty();
        let first = self
            .v1alpha1()
            .and_then(|node| node.path(path)?.as_str())
            .filter(set);
        first.or_else(|| {
            let (kind, path) = moved?;
            self.document(kind, "")?
                .node()
                .path(path)?
                .as_str()
                .filter(set)
        })
    }
}

/// Setting.
impl MachineConfig {
    /// Sets the installer image where the configuration keeps it.
    pub fn set_install_image(&mut self, image: &str) {
        match self.unattended_install() {
            Some(node) => node.insert_path(&["installer", "image"], Node::string(image)),
            None => self.set_machine(&["machine", "install", "image"], image),
        }
    }

    /// Sets the disk to install to, where the configuration keeps it: by its path (`/dev/sda`).
    pub fn set_install_disk(&mut self, disk: &str) {
        match self.unattended_install() {
            Some(node) => {
                let selector = format!("disk.dev_path == {disk:?}");
                node.insert_path(
                    &["provisioning", "diskSelector", "match"],
                    Node::string(selector),
                );
            }
            None => self.set_machine(&["machine", "install", "disk"], disk),
        }
    }

    /// The document that has taken over the installation, unless `v1alpha1` has it too.
    fn unattended_install(&mut self) -> Option<&mut Node> {
        if self.machine(&["install"]).is_some() {
            return None;
        }
        let document = self
            .documents_mut()
            .iter_mut()
            .find(|document| document.kind() == "UnattendedInstallConfig");
        document.map(Document::node_mut)
    }

    fn set_machine(&mut self, path: &[&str], text: &str) {
        if let Some(node) = self.v1alpha1_mut() {
            node.insert_path(path, Node::string(text));
        }
    }
}

fn items(node: &Node) -> impl Iterator<Item = &Node> {
    node.as_sequence().unwrap_or_default().iter()
}

fn texts(node: &Node) -> impl Iterator<Item = &str> {
    items(node).filter_map(Node::as_str)
}

fn own_addresses(interface: &Node) -> impl Iterator<Item = &str> {
    let listed = interface.get("addresses").into_iter().flat_map(texts);
    listed.chain(
        interface
            .get("cidr")
            .and_then(Node::as_str)
            .filter(|cidr| !cidr.is_empty()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1_10: &str = "
machine:
  type: controlplane
  ca: {crt: Y2VydA==}
  certSANs: [a, 10.0.0.1]
  kubelet: {image: 'ghcr.io/siderolabs/kubelet:v1.33.4@sha256:00'}
  network:
    hostname: tal01
    interfaces:
    - {interface: eth0, addresses: [10.0.2.10/24], vlans: [{vlanId: 5, addresses: [10.0.5.1/24]}]}
  install: {disk: /dev/sda, image: 'installer:v1.10.7'}
cluster:
  clusterName: lungmen
  controlPlane: {endpoint: 'https://a:6443'}
  network: {cni: {name: custom}}
  proxy: {disabled: true}
  coreDNS: {disabled: true}
  allowSchedulingOnControlPlanes: true
";

    const V1_14: &str = "
machine: {type: worker}
---
apiVersion: v1alpha1
kind: UnattendedInstallConfig
installer: {image: 'installer:v1.14.0'}
---
apiVersion: v1alpha1
kind: KubeClusterConfig
clusterName: lungmen
endpoint: https://a:6443
---
apiVersion: v1alpha1
kind: KubeNodeConfig
taints: {node-role.kubernetes.io/control-plane: NoSchedule}
---
apiVersion: v1alpha1
kind: KubeletConfig
image: ghcr.io/siderolabs/kubelet:v1.37.0-rc.0
---
apiVersion: v1alpha1
kind: LinkConfig
name: eth0
addresses: [{address: 10.0.2.11/24}]
";

    #[test]
    fn settings_are_found_in_the_v1alpha1_document() {
        let config = MachineConfig::parse(V1_10).unwrap();

        assert_eq!(config.machine_type(), Some("controlplane"));
        assert_eq!(config.cluster_name(), Some("lungmen"));
        assert_eq!(config.endpoint(), Some("https://a:6443"));
        assert_eq!(config.hostname(), Some("tal01"));
        assert_eq!(config.install_disk(), Some("/dev/sda"));
        assert_eq!(config.install_image(), Some("installer:v1.10.7"));
        assert_eq!(config.cert_sans(), ["a", "10.0.0.1"]);
        assert_eq!(config.ca_certificate().as_deref(), Some("cert"));
        assert_eq!(config.static_addresses(), ["10.0.2.10/24", "10.0.5.1/24"]);
        assert_eq!(config.kubernetes_version(), Some("1.33.4"));
        assert_eq!(config.cni_name(), "custom");
        assert!(config.is_proxy_disabled() && config.is_coredns_disabled());
        assert!(config.allows_scheduling_on_control_planes());
    }

    #[test]
    fn settings_are_found_in_documents_of_their_own() {
        let config = MachineConfig::parse(V1_14).unwrap();

        assert_eq!(config.cluster_name(), Some("lungmen"));
        assert_eq!(config.endpoint(), Some("https://a:6443"));
        assert_eq!(config.install_image(), Some("installer:v1.14.0"));
        assert_eq!(config.kubernetes_version(), Some("1.37.0-rc.0"));
        assert_eq!(config.static_addresses(), ["10.0.2.11/24"]);
        assert!(!config.allows_scheduling_on_control_planes());
        assert!(config.is_proxy_disabled());
        assert!(!config.is_coredns_disabled());
    }

    #[test]
    fn the_installation_is_set_where_the_configuration_keeps_it() {
        for text in [V1_10, V1_14] {
            let mut config = MachineConfig::parse(text).unwrap();

            config.set_install_image("installer:new");
            config.set_install_disk("/dev/vda");

            assert_eq!(config.install_image(), Some("installer:new"));
        }
        let mut config = MachineConfig::parse(V1_14).unwrap();
        config.set_install_disk("/dev/vda");
        let document = config
            .document("UnattendedInstallConfig", "")
            .unwrap()
            .node();
        let selector = document
            .path(&["provisioning", "diskSelector", "match"])
            .and_then(Node::as_str);
        assert_eq!(selector, Some("disk.dev_path == \"/dev/vda\""));
    }
}
