//! The Kubernetes documents of v1.14.

use super::machine_type::MachineType;
use super::node::Fields;
use super::plan::{Plan, text};
use super::v1alpha1::{audit_policy, pod_security};
use crate::go::yaml::Node;
use crate::secrets::CertificateAndKey;

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const EXCLUDE_FROM_LOAD_BALANCERS: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

impl Plan<'_> {
    pub(super) fn kubernetes_documents(&self, kind: MachineType) -> Vec<Fields> {
        let control_plane = kind.is_control_plane();
        let mut documents = vec![
            Fields::document("KubeClusterConfig")
                .text("clusterName", &self.input.cluster_name)
                .text("endpoint", &self.endpoint().url),
            node_config(control_plane),
            self.image("KubeletConfig", "ghcr.io/siderolabs/kubelet")
                .node("config", Fields::new())
                .flag("defaultRuntimeSeccompProfileEnabled", true),
            self.add_subnets(Fields::document("KubeNetworkConfig")),
            self.api_server_ca(control_plane),
            Fields::document("KubePrismConfig").number("port", 7445),
        ];
        if control_plane {
            documents.extend(self.control_plane_documents());
        }
        documents
    }

    fn control_plane_documents(&self) -> Vec<Fields> {
        let authorizer = |name, kind| {
            Fields::document("KubeAuthorizerConfig")
                .text("name", name)
                .text("type", kind)
        };
        let issuer = Fields::new()
            .text("privateKey", text(self.secrets.service_account))
            .text("issuerURL", &self.endpoint().url);
        let sans = &self.input.additional_sans;
        vec![
            Fields::document("KubeAggregatorCAConfig")
                .node("issuingCA", issuing_ca(self.secrets.aggregator)),
            Fields::document("KubeAdmissionControlConfig")
                .text("name", "PodSecurity")
                .node("configuration", pod_security()),
            Fields::document("KubeAuditPolicyConfig").node("configuration", audit_policy()),
            Fields::document("KubeAuthenticationConfig").node("configuration", authentication()),
            authorizer("node", "Node"),
            authorizer("rbac", "RBAC"),
            Fields::document("KubeEtcdEncryptionConfig").node("config", self.etcd_encryption()),
            Fields::document("KubeServiceAccountConfig").node("issuer", issuer),
            self.image("KubeAPIServerConfig", "registry.k8s.io/kube-apiserver")
                .node_if(!sans.is_empty(), "certExtraSANs", || Node::strings(sans)),
            self.image(
                "KubeControllerManagerConfig",
                "registry.k8s.io/kube-controller-manager",
            ),
            self.image("KubeSchedulerConfig", "registry.k8s.io/kube-scheduler")
                .node("config", Fields::new()),
            self.image("KubeProxyConfig", "registry.k8s.io/kube-proxy")
                .node("config", Fields::new()),
            Fields::document("KubeFlannelCNIConfig")
                .text("backendType", "vxlan")
                .number("backendPort", 4789),
            Fields::document("KubeCoreDNSConfig").flag("enabled", true),
        ]
    }

    fn image(&self, kind: &str, repository: &str) -> Fields {
        Fields::document(kind).text("image", &self.kubernetes_image(repository))
    }

    fn api_server_ca(&self, control_plane: bool) -> Fields {
        let document = Fields::document("KubeAPIServerCAConfig");
        if control_plane {
            document.node("issuingCA", issuing_ca(self.secrets.kubernetes))
        } else {
            document.node(
                "acceptedCAs",
                Node::strings([self.secrets.kubernetes.certificate_pem()]),
            )
        }
    }

    /// v1.14.0-rc.1 writes an AES-CBC secret under `secretbox` as well.
    fn etcd_encryption(&self) -> Fields {
        let bundle = self.secrets.bundle;
        let secrets = [
            ("key2", bundle.secretbox_encryption_secret()),
            ("key1", bundle.aescbc_encryption_secret()),
        ];
        let providers = secrets.into_iter().filter_map(|(name, secret)| {
            let key = Fields::new()
                .text("name", name)
                .text("secret", text(secret?));
            let secretbox = Fields::new().node("keys", Node::sequence([key.into()]));
            Some(Fields::new().node("secretbox", secretbox).into())
        });
        let resource = Fields::new()
            .node("providers", Node::sequence(providers))
            .node("resources", Node::strings(["secrets"]));
        Fields::new().node("resources", Node::sequence([resource.into()]))
    }
}

fn node_config(control_plane: bool) -> Fields {
    Fields::document("KubeNodeConfig")
        .node("nodeIP", Fields::new())
        .node_if(control_plane, "labels", || {
            Fields::new()
                .text(CONTROL_PLANE, "")
                .text(EXCLUDE_FROM_LOAD_BALANCERS, "")
                .into()
        })
        .node_if(control_plane, "taints", || {
            Fields::new().text(CONTROL_PLANE, "NoSchedule").into()
        })
}

/// Plain PEM text, unlike the base64 of the `v1alpha1` document.
fn issuing_ca(pair: &CertificateAndKey) -> Fields {
    Fields::new()
        .text("cert", pair.certificate_pem())
        .text("key", text(pair.key_pem()))
}

/// Health checks without a login.
fn authentication() -> Fields {
    let paths =
        ["/livez", "/readyz", "/healthz"].map(|path| Fields::new().text("path", path).into());
    let anonymous = Fields::new()
        .node("conditions", Node::sequence(paths))
        .flag("enabled", true);
    Fields::new()
        .node("anonymous", anonymous)
        .node("jwt", Node::sequence([]))
}
