//! Rules about several documents at once (v1.14).

use super::Mode;
use super::v1alpha1::Role;
use super::view::View;
use crate::config::{Document, MachineConfig};
use crate::go::text::quoted;
use crate::go::url::Url;

const DEFAULT_DISCOVERY_ENDPOINT: &str = "https://discovery.talos.dev/";

/// Kinds that only a control plane machine has a use for.
const CONTROL_PLANE_KINDS: [&str; 14] = [
    "KubeAPIServerConfig",
    "KubeAdmissionControlConfig",
    "KubeAggregatorCAConfig",
    "KubeAuditPolicyConfig",
    "KubeAuthenticationConfig",
    "KubeAuthorizerConfig",
    "KubeControllerManagerConfig",
    "KubeCoreDNSConfig",
    "KubeEtcdEncryptionConfig",
    "KubeFlannelCNIConfig",
    "KubeProxyConfig",
    "KubeSchedulerConfig",
    "KubeServiceAccountConfig",
    "KubeTalosAPIAccessConfig",
];

/// What is wrong with the configuration as a whole, in the order of the reference.
pub(super) fn check(config: &MachineConfig, mode: Mode) -> Vec<String> {
    let whole = Whole { config };
    let mut errors = Vec::new();
    let host_dns = whole.host_dns();
    if mode == Mode::Container {
        errors.extend(container_mode(host_dns));
    }
    if whole.has_encrypted_resolver() && !host_dns.is_some_and(|it| it.get("enabled").is_true()) {
        errors.push("hostDNS must be enabled when using non-default DNS protocols".to_owned());
    }
    errors.extend(whole.missing_identity());
    errors.extend(whole.container_dependencies());
    if whole.has_kubespan() && !whole.has_discovery() {
        errors.push("KubeSpan requires cluster discovery to be enabled".to_owned());
    }
    errors.extend(whole.control_plane());
    errors
}

fn container_mode(host_dns: Option<View<'_>>) -> Vec<String> {
    let Some(host_dns) = host_dns else {
        return vec!["hostDNS config is required in container mode".to_owned()];
    };
    let mut errors = Vec::new();
    if !host_dns.get("enabled").is_true() {
        errors.push("hostDNS must be enabled in container mode".to_owned());
    }
    if !host_dns.get("forwardKubeDNSToHost").is_true() {
        errors.push("forwardKubeDNSToHost must be enabled in container mode".to_owned());
    }
    errors
}

#[derive(Clone, Copy)]
struct Whole<'a> {
    config: &'a MachineConfig,
}

impl<'a> Whole<'a> {
    fn v1alpha1(self) -> View<'a> {
        View::new(self.config.v1alpha1())
    }

    fn first(self, kind: &str) -> Option<View<'a>> {
        let mut documents = self.config.documents().iter();
        documents
            .find(|document| document.kind() == kind)
            .map(|document| View::new(Some(document.node())))
    }

    fn has(self, kind: &str) -> bool {
        self.first(kind).is_some()
    }

    /// The document of its own where it turns host DNS on, else the old place.
    fn host_dns(self) -> Option<View<'a>> {
        let document = self.first("ResolverConfig").map(|it| it.get("hostDNS"));
        document
            .filter(|it| it.get("enabled").is_true())
            .or_else(|| {
                let legacy = self.v1alpha1().at("machine.features.hostDNS");
                legacy.is_set().then_some(legacy)
            })
    }

    fn has_encrypted_resolver(self) -> bool {
        self.first("ResolverConfig").is_some_and(|document| {
            let mut nameservers = document.get("nameservers").items();
            nameservers.any(|it| matches!(it.get("protocol").text(), "DoT" | "DoH"))
        })
    }

    fn has_legacy_discovery(self) -> bool {
        let discovery = self.v1alpha1().at("cluster.discovery");
        let service = discovery.at("registries.service");
        let endpoint = match service.get("endpoint").text() {
            "" => DEFAULT_DISCOVERY_ENDPOINT,
            endpoint => endpoint,
        };
        discovery.get("enabled").is_true()
            && !service.get("disabled").is_true()
            && Url::parse(endpoint).is_ok()
    }

    fn has_discovery(self) -> bool {
        self.has_legacy_discovery() || self.has("DiscoveryServiceConfig")
    }

    fn missing_identity(self) -> Vec<String> {
        if !self.has_discovery() {
            return Vec::new();
        }
        let cluster = self.v1alpha1().get("cluster");
        let legacy = (cluster.get("id"), cluster.get("secret"));
        let (id, secret) = if legacy.0.has_text() || legacy.1.has_text() {
            legacy
        } else {
            let document = self
                .first("DiscoveryIdentityConfig")
                .unwrap_or(View::new(None));
            (document.get("clusterID"), document.get("clusterSecret"))
        };
        [("ID", "id", id), ("secret", "secret", secret)]
            .into_iter()
            .filter(|(_, _, value)| !value.has_text())
            .map(|(what, key, _)| {
                format!(
                    "cluster {what} (.cluster.{key} or DiscoveryIdentityConfig) should be set when cluster discovery (DiscoveryServiceConfig) is enabled"
                )
            })
            .collect()
    }

    fn has_kubespan(self) -> bool {
        let config = self
            .first("KubeSpanConfig")
            .unwrap_or_else(|| self.v1alpha1().at("machine.network.kubespan"));
        config.get("enabled").is_true()
    }

    fn container_dependencies(self) -> Vec<String> {
        let containers: Vec<Container<'_>> = self
            .config
            .of_kind("ContainerConfig")
            .map(Container::of)
            .collect();
        let mut errors = Vec::new();
        for container in &containers {
            for dependency in &container.depends_on {
                if !containers.iter().any(|other| other.name == *dependency) {
                    errors.push(format!(
                        "container {} depends on container {}, which is not configured",
                        quoted(container.name),
                        quoted(dependency)
                    ));
                }
            }
        }
        let cycles = Walk::cycles(&containers);
        if !cycles.is_empty() {
            errors.push(format!(
                "container dependsOn cycle detected: {}",
                cycles.join(", ")
            ));
        }
        errors
    }

    fn control_plane(self) -> Vec<String> {
        let v1alpha1 = self.v1alpha1();
        let is_control_plane =
            v1alpha1.get("machine").is_set() && Role::of(v1alpha1) == Role::ControlPlane;
        let mut errors = Vec::new();
        let cluster = v1alpha1.get("cluster");
        // The certificate authority tells that the machine runs an API server.
        let has_api_server = self.has("KubeAPIServerCAConfig")
            || cluster.get("ca").is_set()
            || cluster.get("acceptedCAs").is_set();
        let encrypts = self.has("KubeEtcdEncryptionConfig")
            || cluster.get("secretboxEncryptionSecret").has_text()
            || cluster.get("aescbcEncryptionSecret").has_text();
        if is_control_plane && has_api_server && !encrypts {
            errors.push(
                "etcd encryption config is required for control plane machines running kube-apiserver"
                    .to_owned(),
            );
        }
        let mut kinds: Vec<&str> = self
            .config
            .documents()
            .iter()
            .map(Document::kind)
            .filter(|kind| CONTROL_PLANE_KINDS.contains(kind))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.is_empty() && !is_control_plane {
            errors.push(format!(
                "the following document kinds are only allowed on control plane machines: [{}]",
                kinds.join(" ")
            ));
        }
        errors
    }
}

struct Container<'a> {
    name: &'a str,
    depends_on: Vec<&'a str>,
}

impl<'a> Container<'a> {
    fn of(document: &'a Document) -> Self {
        let view = View::new(Some(document.node()));
        Self {
            name: document.name(),
            depends_on: view.at("dependsOn.containers").texts().collect(),
        }
    }
}

/// A walk along dependencies that finds each cycle once.
struct Walk<'w, 'a> {
    containers: &'w [Container<'a>],
    way: Vec<&'a str>,
    finished: Vec<&'a str>,
    cycles: Vec<String>,
}

impl<'a> Walk<'_, 'a> {
    fn cycles(containers: &[Container<'a>]) -> Vec<String> {
        let mut names: Vec<&str> = containers.iter().map(|it| it.name).collect();
        names.sort_unstable();
        let mut walk = Walk {
            containers,
            way: Vec::new(),
            finished: Vec::new(),
            cycles: Vec::new(),
        };
        for name in names {
            walk.visit(name);
        }
        walk.cycles.sort_unstable();
        walk.cycles.dedup();
        walk.cycles
    }

    fn visit(&mut self, name: &'a str) {
        if self.finished.contains(&name) {
            return;
        }
        if let Some(start) = self.way.iter().position(|visited| *visited == name) {
            let mut cycle = self.way[start..].to_vec();
            cycle.push(name);
            self.cycles.push(cycle.join(" -> "));
            return;
        }
        self.way.push(name);
        let container = self.containers.iter().find(|it| it.name == name);
        for dependency in container
            .map(|it| it.depends_on.clone())
            .unwrap_or_default()
        {
            if self.containers.iter().any(|it| it.name == dependency) {
                self.visit(dependency);
            }
        }
        self.way.pop();
        self.finished.push(name);
    }
}
