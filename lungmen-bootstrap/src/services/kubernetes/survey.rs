//! What runs in the whole cluster: pods by namespace, Services and Ingresses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::CheckState;
use super::client::Client;
use super::request::ApiRequest;
use crate::services::Result;

/// What runs in the cluster, at the end of its checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterSurvey {
    /// The pods of every namespace.
    pub namespaces: BTreeMap<String, PodCount>,
    /// The Services, by namespace and name.
    pub services: Vec<ServiceSummary>,
    /// The Ingresses, by namespace and name.
    pub ingresses: Vec<IngressSummary>,
}

/// The pods of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PodCount {
    /// Pods that are Ready.
    pub ready: usize,
    /// Pods that have finished: jobs.
    pub finished: usize,
    /// Names of the others.
    pub unready: Vec<String>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceSummary {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: String,
    /// The addresses of a load balancer.
    pub addresses: Vec<String>,
    /// How many Ready pods it selects; none for a Service without a selector.
    pub ready_pods: Option<usize>,
}

/// An Ingress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IngressSummary {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The host names of its rules.
    pub hosts: Vec<String>,
    /// The addresses that its controller gave it.
    pub addresses: Vec<String>,
}

impl ClusterSurvey {
    /// Whether every pod is Ready or has finished.
    pub(super) fn pods(&self) -> CheckState {
        let unready = self.namespaces.iter().flat_map(|(namespace, count)| {
            count
                .unready
                .iter()
                .map(move |pod| format!("{namespace}/{pod}"))
        });
        warned("not ready", unready.collect())
    }

    /// Whether every Service selects a Ready pod, and every load balancer has an address.
    pub(super) fn services(&self) -> CheckState {
        let idle = self.services.iter().filter_map(|service| {
            let name = format!("{}/{}", service.namespace, service.name);
            if service.ready_pods == Some(0) {
                return Some(format!("{name} (no ready pod)"));
            }
            let waits = service.kind == "LoadBalancer" && service.addresses.is_empty();
            waits.then(|| format!("{name} (no address)"))
        });
        warned("not usable", idle.collect())
    }

    /// Whether every Ingress has an address.
    pub(super) fn ingresses(&self) -> CheckState {
        let waiting = self
            .ingresses
            .iter()
            .filter(|ingress| ingress.addresses.is_empty());
        let names = waiting.map(|ingress| format!("{}/{}", ingress.namespace, ingress.name));
        warned("without an address", names.collect())
    }
}

/// Passed, or the names that are not as they should be.
pub(super) fn warned(what: &str, names: Vec<String>) -> CheckState {
    if names.is_empty() {
        CheckState::Passed
    } else {
        CheckState::Warned(format!("{what}: {}", names.join(", ")))
    }
}

impl Client {
    /// Reads what runs in the cluster: pods of all namespaces, Services and Ingresses. Changes nothing; may be repeated.
    ///
    /// # Errors
    ///
    /// `Forbidden` without the right to list them in all namespaces; `Unauthenticated`, `Connect`, `Certificate`,
    /// `NotReady`, `Timeout`, `Interrupted`, `Decode`.
    pub async fn survey(&self) -> Result<ClusterSurvey> {
        let list = async |path: &'static str| {
            let listed = self
                .send_repeatable(ApiRequest::get("survey cluster", path))
                .await?;
            Ok::<_, crate::services::Error>(listed["items"].as_array().cloned().unwrap_or_default())
        };
        let (pods, services, ingresses) = (
            list("/api/v1/pods").await?,
            list("/api/v1/services").await?,
            list("/apis/networking.k8s.io/v1/ingresses").await?,
        );
        let mut namespaces: BTreeMap<String, PodCount> = BTreeMap::new();
        for pod in &pods {
            let count = namespaces
                .entry(text(&pod["metadata"]["namespace"]))
                .or_default();
            match pod["status"]["phase"].as_str() {
                Some("Succeeded") => count.finished += 1,
                _ if is_ready(pod) => count.ready += 1,
                _ => count.unready.push(text(&pod["metadata"]["name"])),
            }
        }
        Ok(ClusterSurvey {
            namespaces,
            services: services
                .iter()
                .map(|object| service(object, &pods))
                .collect(),
            ingresses: ingresses.iter().map(ingress).collect(),
        })
    }
}

fn service(object: &Value, pods: &[Value]) -> ServiceSummary {
    let namespace = &object["metadata"]["namespace"];
    let selector = object["spec"]["selector"].as_object();
    let ready_pods = selector.filter(|labels| !labels.is_empty()).map(|labels| {
        let selected = pods.iter().filter(|pod| {
            let metadata = &pod["metadata"];
            metadata["namespace"] == *namespace
                && labels
                    .iter()
                    .all(|(key, value)| metadata["labels"][key] == *value)
        });
        selected.filter(|pod| is_ready(pod)).count()
    });
    ServiceSummary {
        namespace: text(namespace),
        name: text(&object["metadata"]["name"]),
        kind: text(&object["spec"]["type"]),
        addresses: balancer(object),
        ready_pods,
    }
}

fn ingress(object: &Value) -> IngressSummary {
    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
    IngressSummary {
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]),
        hosts: rules
            .filter_map(|rule| rule["host"].as_str().map(str::to_owned))
            .collect(),
        addresses: balancer(object),
    }
}

fn balancer(object: &Value) -> Vec<String> {
    let given = object["status"]["loadBalancer"]["ingress"].as_array();
    let address = |entry: &Value| {
        entry["ip"]
            .as_str()
            .or(entry["hostname"].as_str())
            .map(str::to_owned)
    };
    given.into_iter().flatten().filter_map(address).collect()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, ready: &str) -> Value {
        json!({"metadata": {"namespace": "web", "name": name, "labels": {"app": name}},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
    }

    fn of(selector: &Value, kind: &str, status: &Value) -> Value {
        json!({"metadata": {"namespace": "web", "name": "s"}, "spec": {"selector": selector, "type": kind},
            "status": status})
    }

    #[test]
    fn services_without_pods_or_address_are_named() {
        let pods = [pod("a", "True"), pod("b", "False")];
        let balancer = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}});
        for (selector, kind, status, expected) in [
            (json!({"app": "a"}), "ClusterIP", json!({}), None),
            (
                json!({"app": "b"}),
                "ClusterIP",
                json!({}),
                Some("web/s (no ready pod)"),
            ),
            (Value::Null, "ClusterIP", json!({}), None),
            (
                json!({"app": "a"}),
                "LoadBalancer",
                json!({}),
                Some("web/s (no address)"),
            ),
            (json!({"app": "a"}), "LoadBalancer", balancer, None),
        ] {
            let survey = ClusterSurvey {
                services: vec![service(&of(&selector, kind, &status), &pods)],
                ..ClusterSurvey::default()
            };

            let expected = expected.map_or(CheckState::Passed, |text| {
                CheckState::Warned(format!("not usable: {text}"))
            });
            assert_eq!(survey.services(), expected, "{selector} {kind}");
        }
    }

    #[test]
    fn an_ingress_without_an_address_is_named() {
        let object = json!({"metadata": {"namespace": "web", "name": "i"},
            "spec": {"rules": [{"host": "a.example.org"}]}});
        let survey = ClusterSurvey {
            ingresses: vec![ingress(&object)],
            ..ClusterSurvey::default()
        };

        assert_eq!(survey.ingresses[0].hosts, ["a.example.org"]);
        assert_eq!(
            survey.ingresses(),
            CheckState::Warned("without an address: web/i".to_owned())
        );
    }
}
