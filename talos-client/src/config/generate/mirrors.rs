//! Mirrors of container registries.

use std::fmt;

use indexmap::IndexMap;

use super::node::Fields;
use crate::config::VersionContract;
use crate::error::{Error, ErrorKind, Result};
use crate::go::text::quoted;
use crate::go::url::Url;
use crate::go::yaml::Node;

/// Registry host to the URLs asked instead, as given: the generating release decides what a repeated host means.
///
/// `Debug` shows hosts only: a URL may carry a password.
#[derive(Clone, Default)]
pub(super) struct Mirrors(Vec<(String, String)>);

impl fmt::Debug for Mirrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(host, _)| host))
            .finish()
    }
}

impl Mirrors {
    pub(super) fn push(&mut self, host: String, url: String) {
        self.0.push((host, url));
    }

    /// Splits `host=url`.
    pub(super) fn split(specification: &str) -> Result<(String, String)> {
        let (host, url) = specification.split_once('=').ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "read registry mirror").with_message(format!(
                "invalid registry mirror spec: {}",
                quoted(specification)
            ))
        })?;
        Ok((host.to_owned(), url.to_owned()))
    }

    /// Hosts in order with their URLs, as this release reads the option.
    fn resolve(&self, generator: VersionContract) -> IndexMap<&str, Vec<&str>> {
        let mut mirrors = IndexMap::<&str, Vec<&str>>::new();
        for (host, url) in &self.0 {
            let urls = mirrors.entry(host).or_default();
            // Up to talosctl v1.11 a repeated host replaces the former one.
            if !generator.has_network_documents() {
                urls.clear();
            }
            urls.push(url);
        }
        mirrors.sort_unstable_keys();
        mirrors
    }

    /// The value of `machine.registries`, if there is anything in it.
    pub(super) fn legacy(
        &self,
        contract: VersionContract,
        generator: VersionContract,
    ) -> Option<Node> {
        let mut mirrors = self.resolve(generator);
        if contract.mirrors_legacy_kubernetes_registry() {
            mirrors
                .entry("k8s.gcr.io")
                .or_insert_with(|| vec!["https://registry.k8s.io", "https://k8s.gcr.io"]);
            mirrors.sort_unstable_keys();
        }
        let entries = mirrors.into_iter().map(|(host, urls)| {
            (
                host,
                Node::from(Fields::new().node("endpoints", Node::strings(urls))),
            )
        });
        let mirrors = Node::mapping(entries);
        let is_empty = mirrors
            .as_mapping()
            .is_none_or(crate::go::yaml::Mapping::is_empty);
        (!is_empty).then(|| Fields::new().node("mirrors", mirrors).into())
    }

    /// One document a host.
    pub(super) fn documents(&self, generator: VersionContract) -> Result<Vec<Node>> {
        let document = |(host, urls): (&str, Vec<&str>)| {
            let mut endpoints = Vec::new();
            for url in urls {
                Url::parse(url).map_err(|cause| {
                    Error::new(ErrorKind::InvalidInput, "generate registry mirrors").with_message(format!(
                        "failed to generate config bundle: failed to generate registry configs: failed to parse registry mirror endpoint {}: {cause}", quoted(url)
                    ))
                })?;
                endpoints.push(Fields::new().text("url", url).into());
            }
            let fields = Fields::document("RegistryMirrorConfig").text("name", host);
            Ok(fields.node("endpoints", Node::sequence(endpoints)).into())
        };
        self.resolve(generator).into_iter().map(document).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors() -> Mirrors {
        let mut mirrors = Mirrors::default();
        for (host, url) in [
            ("docker.io", "https://a"),
            ("b.io", "https://b"),
            ("docker.io", "https://c"),
        ] {
            mirrors.push(host.to_owned(), url.to_owned());
        }
        mirrors
    }

    #[test]
    fn a_repeated_host_replaces_in_old_releases_and_adds_in_new_ones() {
        let yaml = |generator| {
            mirrors()
                .legacy(VersionContract::V1_10, generator)
                .unwrap()
                .to_yaml()
        };

        let old = yaml(VersionContract::V1_11);
        assert!(
            !old.contains("https://a") && old.contains("https://c"),
            "{old}"
        );
        let new = yaml(VersionContract::V1_12);
        assert!(
            new.contains("https://a") && new.contains("https://c"),
            "{new}"
        );
        assert!(new.find("b.io") < new.find("docker.io"));
    }

    #[test]
    fn contract_v1_2_mirrors_the_old_kubernetes_registry_unless_it_is_given() {
        let contract = VersionContract::new(1, 2);
        let yaml = Mirrors::default()
            .legacy(contract, VersionContract::V1_10)
            .unwrap()
            .to_yaml();
        assert!(yaml.contains("https://registry.k8s.io"), "{yaml}");

        let mut own = Mirrors::default();
        own.push("k8s.gcr.io".to_owned(), "https://mirror".to_owned());
        let yaml = own
            .legacy(contract, VersionContract::V1_10)
            .unwrap()
            .to_yaml();
        assert!(!yaml.contains("registry.k8s.io"), "{yaml}");
    }

    #[test]
    fn a_mirror_needs_an_equals_sign() {
        assert_eq!(
            Mirrors::split("a=b=c").unwrap(),
            ("a".to_owned(), "b=c".to_owned())
        );
        assert_eq!(
            Mirrors::split("x").unwrap_err().message(),
            r#"invalid registry mirror spec: "x""#
        );
    }
}
