//! A node that goes away on purpose.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::KubernetesMock;

impl KubernetesMock {
    /// Cordons the node with this address and evicts its pods, as Talos does before a graceful reset or shutdown. Pods of a
    /// DaemonSet and static pods stay; a pod of a Deployment gets a successor on another node that takes pods. Returns whether
    /// there is such a node.
    pub fn drain(&self, address: IpAddr) -> bool {
        let Some(mut node) = self.node_at(address) else {
            return false;
        };
        let name = name(&node).to_owned();
        node["spec"]["unschedulable"] = json!(true);
        let _ = self.put(&node);
        for pod in self.all("pods") {
            let is_here = pod["spec"]["nodeName"].as_str() == Some(&name);
            if is_here && !is_static(&pod) && !self.belongs_to("daemonsets", &pod) {
                self.evict(&pod);
            }
        }
        true
    }

    fn evict(&self, pod: &Value) {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
        self.delete("pods", namespace, name(pod));
        let Some(place) = self.place_for_pods() else {
            return;
        };
        if !self.belongs_to("deployments", pod) {
            return;
        }
        let mut successor = pod.clone();
        successor["metadata"]["name"] = json!(format!("{}-2", name(pod)));
        for key in ["uid", "resourceVersion"] {
            if let Some(metadata) = successor["metadata"].as_object_mut() {
                metadata.remove(key);
            }
        }
        successor["spec"]["nodeName"] = json!(place);
        let _ = self.put(&successor);
    }

    /// Whether a controller of this resource selects the pod.
    fn belongs_to(&self, plural: &str, pod: &Value) -> bool {
        let labels = &pod["metadata"]["labels"];
        self.all(plural).iter().any(|controller| {
            let wanted = controller["spec"]["selector"]["matchLabels"].as_object();
            controller["metadata"]["namespace"] == pod["metadata"]["namespace"]
                && wanted.is_some_and(|wanted| {
                    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
                })
        })
    }

    fn node_at(&self, address: IpAddr) -> Option<Value> {
        let address = address.to_string();
        self.all("nodes").into_iter().find(|node| {
            let addresses = node["status"]["addresses"].as_array();
            addresses.is_some_and(|all| all.iter().any(|it| it["address"] == address))
        })
    }

    /// The first node that takes pods.
    fn place_for_pods(&self) -> Option<String> {
        let mut nodes = self.all("nodes").into_iter();
        let node = nodes.find(|node| node["spec"]["unschedulable"] != true)?;
        Some(name(&node).to_owned())
    }

    /// The objects of a resource in all namespaces.
    fn all(&self, plural: &str) -> Vec<Value> {
        let resource = self.cluster.resource(plural);
        resource.map_or_else(Vec::new, |resource| {
            self.cluster.store.list(resource, None).1
        })
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The kubelet starts it from a file, and again wherever it is deleted.
fn is_static(pod: &Value) -> bool {
    pod["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"
}
