//! What the server offers: the documents by which clients find resources.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::resource::{RESOURCES, Resource, SHORT_NAMES, group_version};
use crate::mock::serve::IncomingRequest;

const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// The verbs of custom resources, in the order that the server gives them.
const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Whether the client prefers one document with all groups.
pub(super) fn wants_aggregated(request: &IncomingRequest) -> bool {
    let accept = request.header("accept").unwrap_or_default();
    let first = accept.split(',').next().unwrap_or_default();
    first.contains("as=APIGroupDiscoveryList")
        && first.contains("v=v2")
        && !first.contains("v2beta1")
}

pub(super) const fn aggregated_type() -> &'static str {
    AGGREGATED
}

/// `/`
pub(super) fn root(custom: &[&'static Resource]) -> Value {
    let mut paths: Vec<String> = [
        "/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/readyz", "/version",
    ]
    .map(str::to_owned)
    .into();
    for (group, versions) in groups(custom) {
        paths.push(format!("/apis/{group}"));
        paths.extend(
            versions
                .iter()
                .map(|version| format!("/apis/{group}/{version}")),
        );
    }
    paths.sort();
    json!({"paths": paths})
}

/// `/api`
pub(super) fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`
pub(super) fn group_list(custom: &[&'static Resource]) -> Value {
    let groups: Vec<Value> = groups(custom)
        .into_iter()
        .map(|(group, versions)| describe_group(group, &versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(super) fn group(name: &str, custom: &[&'static Resource]) -> Value {
    let found = groups(custom).into_iter().find(|(group, _)| *group == name);
    let mut document = found.map_or_else(
        || json!({}),
        |(group, versions)| describe_group(group, &versions),
    );
    document["kind"] = "APIGroup".into();
    document["apiVersion"] = "v1".into();
    document
}

/// `/api/v1`, `/apis/GROUP/VERSION`
pub(super) fn resource_list(group: &str, version: &str, custom: &[&'static Resource]) -> Value {
    let mut resources = Vec::new();
    for resource in of_group(group, version, custom) {
        resources.push(describe(resource));
        let part = |name: &str, kind: &str| {
            json!({"name": format!("{}/{name}", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": kind, "verbs": PART_VERBS})
        };
        if resource.has_scale() {
            let mut scale = part("scale", "Scale");
            scale["group"] = "autoscaling".into();
            scale["version"] = "v1".into();
            resources.push(scale);
        }
        if resource.has_status {
            resources.push(part("status", resource.kind));
        }
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(group, version),
        "resources": resources,
    })
}

/// All groups of `/apis`, or the core group of `/api`, in one document.
pub(super) fn aggregated(is_core: bool, custom: &[&'static Resource]) -> Value {
    let groups = if is_core {
        vec![("", vec!["v1"])]
    } else {
        groups(custom)
    };
    let items = groups.into_iter().map(|(group, versions)| {
        let versions: Vec<Value> = versions
            .into_iter()
            .map(|version| {
                let resources: Vec<Value> = of_group(group, version, custom)
                    .map(aggregated_resource)
                    .collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let mut item = json!({"metadata": {}, "versions": versions});
        if !group.is_empty() {
            item["metadata"]["name"] = group.into();
        }
        item
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.collect::<Vec<_>>(),
    })
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = |kind: &str| json!({"group": "", "version": "", "kind": kind});
    let mut document = json!({
        "resource": resource.plural,
        "responseKind": kind(resource.kind),
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": singular(resource),
        "verbs": verbs(resource),
    });
    names(resource, &mut document);
    let mut parts = Vec::new();
    if resource.has_scale() {
        let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        parts.push(json!({"subresource": "scale", "responseKind": scale, "verbs": PART_VERBS}));
    }
    if resource.has_status {
        parts.push(
            json!({"subresource": "status", "responseKind": kind(resource.kind),
            "verbs": PART_VERBS}),
        );
    }
    if !parts.is_empty() {
        document["subresources"] = parts.into();
    }
    document
}

fn describe(resource: &Resource) -> Value {
    let mut document = json!({
        "name": resource.plural,
        "singularName": singular(resource),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs(resource),
    });
    names(resource, &mut document);
    document["storageVersionHash"] = storage_version_hash(resource).into();
    document
}

/// The short name and the category.
fn names(resource: &Resource, document: &mut Value) {
    if let Some(short) = short_name(resource) {
        document["shortNames"] = json!([short]);
    }
    if let Some(category) = resource.category() {
        document["categories"] = json!([category]);
    }
}

fn verbs(resource: &Resource) -> [&'static str; 8] {
    if resource.is_custom {
        CUSTOM_VERBS
    } else {
        VERBS
    }
}

/// The hash of group, version and kind, as the server computes it (kube-apiserver 1.36.3).
fn storage_version_hash(resource: &Resource) -> String {
    let Resource {
        group,
        version,
        kind,
        ..
    } = resource;
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    STANDARD.encode(&digest[..8])
}

fn singular(resource: &Resource) -> String {
    resource.kind.to_lowercase()
}

fn short_name(resource: &Resource) -> Option<&'static str> {
    let found = SHORT_NAMES
        .iter()
        .find(|(plural, _)| *plural == resource.plural);
    found
        .filter(|_| !resource.is_custom)
        .map(|(_, short)| *short)
}

fn describe_group(group: &str, versions: &[&'static str]) -> Value {
    let describe =
        |version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(|version| describe(version)).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(|version| describe(version)),
    })
}

/// The named groups with their versions.
fn groups(custom: &[&'static Resource]) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for resource in all(custom).filter(|resource| !resource.group.is_empty()) {
        match groups
            .iter_mut()
            .find(|(group, _)| *group == resource.group)
        {
            Some((_, versions)) if versions.contains(&resource.version) => {}
            Some((_, versions)) => versions.push(resource.version),
            None => groups.push((resource.group, vec![resource.version])),
        }
    }
    groups
}

fn of_group<'a>(
    group: &'a str,
    version: &'a str,
    custom: &'a [&'static Resource],
) -> impl Iterator<Item = &'static Resource> + 'a {
    all(custom).filter(move |resource| resource.group == group && resource.version == version)
}

fn all<'a>(custom: &'a [&'static Resource]) -> impl Iterator<Item = &'static Resource> + 'a {
    RESOURCES.iter().chain(custom.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::kubernetes::resource::by_plural;

    #[test]
    fn hashes_of_storage_versions_are_those_of_the_server() {
        let hash = |plural| storage_version_hash(by_plural(plural).unwrap());

        assert_eq!(hash("clusterrolebindings"), "48tpQ8gZHFc=");
        assert_eq!(hash("pods"), "xPOwRZ+Yhw8=");
    }
}
