//! The `v1alpha1` document: `machine` and `cluster`.

use super::machine_type::MachineType;
use super::node::Fields;
use super::plan::{Plan, text};
use crate::go::yaml::Node;
use crate::secrets::CertificateAndKey;

const POD_SUBNET: &str = "10.244.0.0/16";
const SERVICE_SUBNET: &str = "10.96.0.0/12";
const KUBE_PRISM_PORT: i64 = 7445;

impl Plan<'_> {
    pub(super) fn v1alpha1(&self, kind: MachineType) -> Node {
        // talosctl v1.13 dropped the option: from there on the configuration is always persisted.
        let persist = self.input.persist || self.generator.has_kubespan_document();
        Fields::new()
            .text("version", "v1alpha1")
            .flag("debug", false)
            .flag("persist", persist)
            .node("machine", self.machine(kind))
            .node(
                "cluster",
                if kind.is_control_plane() {
                    self.control_plane_cluster()
                } else {
                    self.worker_cluster()
                },
            )
            .into()
    }

    fn machine(&self, kind: MachineType) -> Fields {
        let contract = self.contract;
        let legacy = !contract.has_kubernetes_documents();
        let control_plane = kind.is_control_plane();
        let registries = self.registries();
        Fields::new()
            .text("type", kind.as_str())
            .text("token", text(self.secrets.bundle.trustd_token()))
            .node("ca", authority(self.secrets.os, control_plane))
            .node("certSANs", Node::strings(&self.input.additional_sans))
            .node_if(legacy, "kubelet", || self.kubelet().into())
            .node_if(!contract.has_kubespan_document(), "network", || {
                self.network().into()
            })
            .node_if(legacy, "install", || self.install().into())
            .optional("registries", registries)
            .node("features", self.features())
            .node_if(
                legacy && control_plane && contract.excludes_from_load_balancers(),
                "nodeLabels",
                || {
                    Fields::new()
                        .text(
                            "node.kubernetes.io/exclude-from-external-load-balancers",
                            "",
                        )
                        .into()
                },
            )
    }

    fn kubelet(&self) -> Fields {
        Fields::new()
            .text_or_nothing(
                "image",
                &self.kubernetes_image("ghcr.io/siderolabs/kubelet"),
            )
            .flag_if(
                self.contract.has_default_seccomp_profile(),
                "defaultRuntimeSeccompProfileEnabled",
            )
            .flag_if(
                self.contract.disables_manifests_directory(),
                "disableManifestsDirectory",
            )
    }

    fn network(&self) -> Fields {
        Fields::new().node_if(self.input.kubespan, "kubespan", || {
            Fields::new().flag("enabled", true).into()
        })
    }

    fn install(&self) -> Fields {
        Fields::new()
            .text_or_nothing("disk", &self.input.install_disk)
            .text_or_nothing("image", &self.install_image)
            .flag("wipe", false)
            .flag_if(self.contract.has_network_documents(), "grubUseUKICmdline")
    }

    /// `machine.registries`, where mirrors are no documents yet.
    fn registries(&self) -> Option<Node> {
        let mirrors = &self.input.mirrors;
        (!self.contract.has_network_documents())
            .then(|| mirrors.legacy(self.contract, self.generator))
            .flatten()
    }

    /// Adds the containers that the reference's commented output shows although they are empty.
    ///
    /// `machine.registries` is a value there and not a pointer; from contract v1.12 on only the worker's generator touches it.
    pub(super) fn show_empty_containers(&self, kind: MachineType, root: &mut Node) {
        let mut show = |path: [&str; 2], empty: Node| {
            if root.path(&path).is_none() {
                root.insert_path(&path, empty);
            }
        };
        if !self.contract.has_network_documents() || kind == MachineType::Worker {
            show(["machine", "registries"], Fields::new().into());
        }
        // talosctl v1.14 writes no empty lists.
        if kind.is_control_plane() && !self.generator.has_kubernetes_documents() {
            show(["cluster", "extraManifests"], Node::sequence([]));
            show(["cluster", "inlineManifests"], Node::sequence([]));
        }
    }

    fn features(&self) -> Fields {
        let contract = self.contract;
        let legacy = !contract.has_kubernetes_documents();
        let explicit = !contract.has_network_documents();
        Fields::new()
            .flag_if(explicit, "rbac")
            .flag_if(explicit && contract.has_stable_hostname(), "stableHostname")
            .flag_if(
                explicit && contract.checks_extended_key_usage(),
                "apidCheckExtKeyUsage",
            )
            .flag_if(contract.has_disk_quota(), "diskQuotaSupport")
            .node_if(legacy && contract.has_kube_prism(), "kubePrism", || {
                Fields::new()
                    .flag("enabled", true)
                    .number("port", KUBE_PRISM_PORT)
                    .into()
            })
            .node_if(legacy && contract.has_host_dns(), "hostDNS", || {
                self.host_dns().into()
            })
    }

    pub(super) fn host_dns(&self) -> Fields {
        Fields::new().flag("enabled", true).flag_if(
            self.contract.forwards_kube_dns_to_host(),
            "forwardKubeDNSToHost",
        )
    }

    fn control_plane_cluster(&self) -> Fields {
        let bundle = self.secrets.bundle;
        let with_kubernetes = !self.is_without_kubernetes();
        let token = if with_kubernetes {
            text(bundle.bootstrap_token())
        } else {
            ""
        };
        let etcd = || {
            let authority = authority(self.secrets.etcd, true);
            Fields::new().node("ca", authority).into()
        };
        if self.contract.has_kubernetes_documents() {
            return Fields::new().text_or_nothing("token", token).node_if(
                with_kubernetes,
                "etcd",
                etcd,
            );
        }
        let (encryption_key, encryption_secret) = if self.contract.uses_secretbox_encryption() {
            (
                "secretboxEncryptionSecret",
                bundle.secretbox_encryption_secret(),
            )
        } else {
            ("aescbcEncryptionSecret", bundle.aescbc_encryption_secret())
        };
        let image = |repository: &str| {
            Fields::new().text_or_nothing("image", &self.kubernetes_image(repository))
        };
        self.cluster_identity(true)
            .text_or_nothing("token", token)
            .text_or_nothing(encryption_key, encryption_secret.map_or("", text))
            .node("ca", authority(self.secrets.kubernetes, true))
            .node("aggregatorCA", authority(self.secrets.aggregator, true))
            .node("serviceAccount", service_account(self))
            .node("apiServer", self.api_server())
            .node(
                "controllerManager",
                image("registry.k8s.io/kube-controller-manager"),
            )
            .node("proxy", image("registry.k8s.io/kube-proxy"))
            .node("scheduler", image("registry.k8s.io/kube-scheduler"))
            .node("discovery", self.discovery())
            .node_if(with_kubernetes, "etcd", etcd)
    }

    fn worker_cluster(&self) -> Fields {
        let token = text(self.secrets.bundle.bootstrap_token());
        if self.contract.has_kubernetes_documents() {
            return Fields::new().text("token", token);
        }
        self.cluster_identity(self.contract.names_cluster_on_workers())
            .text("token", token)
            .node("ca", authority(self.secrets.kubernetes, false))
            .node("discovery", self.discovery())
    }

    /// What both types have at the start of `cluster`.
    fn cluster_identity(&self, named: bool) -> Fields {
        let bundle = self.secrets.bundle;
        Fields::new()
            .text("id", bundle.cluster_id())
            .text("secret", text(bundle.cluster_secret()))
            .node(
                "controlPlane",
                Fields::new().text("endpoint", &self.input.endpoint.url),
            )
            .node_if(named, "clusterName", || {
                Node::string(self.input.cluster_name.as_str())
            })
            .node("network", self.subnets())
    }

    pub(super) fn subnets(&self) -> Fields {
        self.add_subnets(Fields::new())
    }

    pub(super) fn add_subnets(&self, fields: Fields) -> Fields {
        fields
            .text("dnsDomain", &self.input.dns_domain)
            .node("podSubnets", Node::strings([POD_SUBNET]))
            .node("serviceSubnets", Node::strings([SERVICE_SUBNET]))
    }

    fn api_server(&self) -> Fields {
        let contract = self.contract;
        // From contract v1.12 on the node adds the endpoint's host itself.
        let endpoint = (!contract.has_network_documents()).then_some(&self.input.endpoint.host);
        let names: Vec<&String> = endpoint
            .into_iter()
            .chain(&self.input.additional_sans)
            .collect();
        Fields::new()
            .text_or_nothing(
                "image",
                &self.kubernetes_image("registry.k8s.io/kube-apiserver"),
            )
            .node_if(!names.is_empty(), "certSANs", || Node::strings(names))
            .flag_if(
                !contract.has_network_documents(),
                "disablePodSecurityPolicy",
            )
            .node_if(
                contract.has_pod_security_admission(),
                "admissionControl",
                || {
                    let plugin = Fields::new()
                        .text("name", "PodSecurity")
                        .node("configuration", pod_security());
                    Node::sequence([plugin.into()])
                },
            )
            .node_if(contract.has_audit_policy(), "auditPolicy", || {
                audit_policy().into()
            })
    }

    fn discovery(&self) -> Fields {
        let kubernetes =
            Fields::new().flag_if(self.contract.disables_kubernetes_discovery(), "disabled");
        let registries = Fields::new()
            .node("kubernetes", kubernetes)
            .node("service", Fields::new());
        Fields::new()
            .flag("enabled", self.input.cluster_discovery)
            .node("registries", registries)
    }
}

/// `{crt, key}` in base64; the key is empty on workers.
fn authority(pair: &CertificateAndKey, with_key: bool) -> Fields {
    let key = if with_key {
        pair.encoded_key()
    } else {
        zeroize::Zeroizing::default()
    };
    Fields::new()
        .text("crt", &pair.encoded_certificate())
        .text("key", &key)
}

fn service_account(plan: &Plan<'_>) -> Fields {
    Fields::new().text(
        "key",
        &crate::secrets::encode_key(plan.secrets.service_account),
    )
}

/// The default configuration of the PodSecurity admission plugin; its keys are sorted as those of any free-form object.
pub(super) fn pod_security() -> Fields {
    let defaults = Fields::new()
        .text("audit", "restricted")
        .text("audit-version", "latest")
        .text("enforce", "baseline")
        .text("enforce-version", "latest")
        .text("warn", "restricted")
        .text("warn-version", "latest");
    let exemptions = Fields::new()
        .node("namespaces", Node::strings(["kube-system"]))
        .node("runtimeClasses", Node::sequence([]))
        .node("usernames", Node::sequence([]));
    Fields::new()
        .text(
            "apiVersion",
            "pod-security.admission.config.k8s.io/v1alpha1",
        )
        .node("defaults", defaults)
        .node("exemptions", exemptions)
        .text("kind", "PodSecurityConfiguration")
}

/// The default audit policy: metadata of everything.
pub(super) fn audit_policy() -> Fields {
    Fields::new()
        .text("apiVersion", "audit.k8s.io/v1")
        .text("kind", "Policy")
        .node(
            "rules",
            Node::sequence([Fields::new().text("level", "Metadata").into()]),
        )
}
