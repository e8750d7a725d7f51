//! The container images of a mock node.

use std::io::Read as _;

use serde_json::Value;
use tonic::Status;

use super::node::Node;
use super::statistics::hex_digest;
use crate::api::pb::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};

/// The size that every image has.
pub(super) const SIZE: i64 = 1024;

/// A namespace of a container runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    driver: ContainerDriver,
    namespace: ContainerdNamespace,
}

/// The images that a node has.
#[derive(Debug, Clone, Default)]
pub(super) struct Images(Vec<(Place, String)>);

impl Images {
    pub(super) fn of(node: &Node) -> Self {
        node.state().images.clone()
    }

    /// The names of the images in one place.
    pub(super) fn names(self, place: Place) -> impl Iterator<Item = String> {
        let of = move |(at, name): (Place, String)| (at == place).then_some(name);
        self.0.into_iter().filter_map(of)
    }
}

/// The machine service knows one runtime only, that of Kubernetes.
pub(super) fn of_machine_service(namespace: i32) -> Result<Place, Status> {
    let namespace = ContainerdNamespace::try_from(namespace).unwrap_or_default();
    if namespace == ContainerdNamespace::NsUnknown {
        return Err(Status::invalid_argument("invalid namespace NS_UNKNOWN"));
    }
    Ok(Place {
        driver: ContainerDriver::Cri,
        namespace,
    })
}

/// What the services of v1.13 and later address.
pub(super) fn of_instance(instance: Option<ContainerdInstance>) -> Result<Place, Status> {
    let instance = instance.unwrap_or_default();
    let (driver, namespace) = (instance.driver(), instance.namespace());
    if namespace == ContainerdNamespace::NsUnknown {
        return Err(Status::invalid_argument(
            "invalid containerd namespace NS_UNKNOWN",
        ));
    }
    if (driver, namespace) == (ContainerDriver::Containerd, ContainerdNamespace::NsCri) {
        return Err(Status::invalid_argument(
            "cannot use CRI namespace with containerd driver",
        ));
    }
    Ok(Place { driver, namespace })
}

/// Adds an image; tells whether it was there already.
pub(super) fn add(node: &Node, place: Place, name: &str) -> bool {
    node.update(|state| {
        let image = (place, name.to_owned());
        let is_there = state.images.0.contains(&image);
        if !is_there {
            state.images.0.push(image);
        }
        is_there
    })
}

/// Removes an image; tells whether it was there.
pub(super) fn remove(node: &Node, place: Place, name: &str) -> bool {
    node.update(|state| {
        let before = state.images.0.len();
        state
            .images
            .0
            .retain(|(at, of)| (*at, of.as_str()) != (place, name));
        state.images.0.len() < before
    })
}

/// Whether the node has the image, by its name or with its digest.
pub(super) fn has(node: &Node, place: Place, name: &str) -> bool {
    Images::of(node)
        .names(place)
        .any(|known| known == name || with_digest(&known) == name)
}

/// A digest that follows from the name: the mock has no content.
pub(super) fn digest(name: &str) -> String {
    format!("sha256:{}", hex_digest(name))
}

/// The reference by digest instead of tag, as a node answers a pull.
pub(super) fn with_digest(reference: &str) -> String {
    if reference.contains('@') {
        return reference.to_owned();
    }
    let name = match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    };
    format!("{name}@{}", digest(reference))
}

/// The names in an archive of `docker save` or of the OCI layout. Layers are not looked at.
pub(super) fn names_in(archive: &[u8]) -> Result<Vec<String>, Status> {
    let failed = |text: &str| Status::internal(format!("failed to import image: {text}"));
    let mut names = Vec::new();
    let mut is_known = false;
    let mut entries = tar::Archive::new(archive);
    for entry in entries
        .entries()
        .map_err(|error| failed(&error.to_string()))?
    {
        let mut entry = entry.map_err(|error| failed(&error.to_string()))?;
        let path = entry.path().map(|path| path.display().to_string());
        let read = match path.as_deref() {
            Ok("manifest.json") => of_docker,
            Ok("index.json") => of_oci,
            _ => continue,
        };
        is_known = true;
        let mut text = String::new();
        entry
            .read_to_string(&mut text)
            .map_err(|error| failed(&error.to_string()))?;
        let content = serde_json::from_str(&text).map_err(|error| failed(&error.to_string()))?;
        for name in read(&content) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    match (is_known, names.is_empty()) {
        (false, _) => Err(failed("unrecognized image format")),
        (true, true) => Err(Status::invalid_argument("no images imported from archive")),
        (true, false) => Ok(names),
    }
}

/// `manifest.json` of `docker save`, whose tags leave the registry out.
fn of_docker(manifest: &Value) -> Vec<String> {
    let images = manifest.as_array().into_iter().flatten();
    let tags = images.flat_map(|image| image["RepoTags"].as_array().into_iter().flatten());
    tags.filter_map(Value::as_str).map(qualified).collect()
}

/// `index.json` of the OCI layout.
fn of_oci(index: &Value) -> Vec<String> {
    let manifests = index["manifests"].as_array().into_iter().flatten();
    manifests
        .filter_map(|manifest| manifest["annotations"]["io.containerd.image.name"].as_str())
        .map(ToOwned::to_owned)
        .collect()
}

fn qualified(tag: &str) -> String {
    match tag.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => tag.to_owned(),
        Some(_) => format!("docker.io/{tag}"),
        None => format!("docker.io/library/{tag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(file: &str, content: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, file, content.as_bytes())
            .unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn both_forms_of_archives_name_their_images() {
        let docker = archive("manifest.json", r#"[{"RepoTags":["alpine:3","a.b/c:1"]}]"#);
        let oci = archive(
            "index.json",
            r#"{"manifests":[{"annotations":{"io.containerd.image.name":"a.b/c:2"}}]}"#,
        );

        assert_eq!(
            names_in(&docker).unwrap(),
            ["docker.io/library/alpine:3", "a.b/c:1"]
        );
        assert_eq!(names_in(&oci).unwrap(), ["a.b/c:2"]);
        let other = names_in(&archive("etc/passwd", "root")).unwrap_err();
        assert_eq!(other.code(), tonic::Code::Internal);
        let empty = names_in(&archive("manifest.json", "[]")).unwrap_err();
        assert_eq!(empty.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn a_digest_takes_the_place_of_the_tag() {
        let name = with_digest("localhost:5000/a/b:v1");

        assert!(name.starts_with("localhost:5000/a/b@sha256:"), "{name}");
        assert_eq!(with_digest(&name), name);
    }
}
