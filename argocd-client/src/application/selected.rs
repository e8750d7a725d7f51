//! Which resources of an application a wait is about: `--resource` of `argocd app wait`.

use std::str::FromStr;

use super::status::ResourceStatus;
use crate::error::{Error, ErrorKind};

/// Selects resources by group, kind and name: `apps:Deployment:web`, `:ConfigMap:default/settings`, `*:*:web`; with `!` in
/// front everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSelector {
    group: String,
    kind: String,
    namespace: Option<String>,
    name: String,
    excludes: bool,
}

impl ResourceSelector {
    /// Whether this selector names the resource, before `!`.
    fn names(&self, resource: &ResourceStatus) -> bool {
        let fits = |wanted: &str, found: &str| wanted == "*" || wanted == found;
        fits(&self.group, &resource.group)
            && fits(&self.kind, &resource.kind)
            && fits(&self.name, &resource.name)
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| fits(namespace, &resource.namespace))
    }
}

/// Whether any of the selectors selects the resource and none excludes it, as `argocd` does.
pub(super) fn is_selected(selectors: &[ResourceSelector], resource: &ResourceStatus) -> bool {
    let (excluding, including): (Vec<_>, Vec<_>) =
        selectors.iter().partition(|selector| selector.excludes);
    let is_included =
        including.is_empty() || including.iter().any(|selector| selector.names(resource));
    is_included && !excluding.iter().any(|selector| selector.names(resource))
}

impl FromStr for ResourceSelector {
    type Err = Error;

    /// Reads `[!]GROUP:KIND:NAME` or `[!]GROUP:KIND:NAMESPACE/NAME`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (excludes, rest) = text
            .strip_prefix('!')
            .map_or((false, text), |rest| (true, rest));
        let mut parts = rest.splitn(3, ':');
        let (Some(group), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(
                Error::new(ErrorKind::InvalidInput, "parse resource selector")
                    .with_target(text)
                    .with_message("expected GROUP:KIND:NAME or GROUP:KIND:NAMESPACE/NAME"),
            );
        };
        let (namespace, name) = name
            .split_once('/')
            .map_or((None, name), |(namespace, name)| (Some(namespace), name));
        Ok(Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            excludes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(kind: &str, name: &str) -> ResourceStatus {
        ResourceStatus {
            group: "apps".to_owned(),
            kind: kind.to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
            ..ResourceStatus::default()
        }
    }

    #[test]
    fn selectors_include_and_exclude() {
        let web = resource("Deployment", "web");
        for (selectors, expected) in [
            (vec!["apps:Deployment:web"], true),
            (vec!["apps:Deployment:default/web"], true),
            (vec!["apps:Deployment:other/web"], false),
            (vec!["*:*:web"], true),
            (vec!["apps:StatefulSet:web"], false),
            (vec!["!apps:Deployment:web"], false),
            (vec!["!apps:Deployment:db"], true),
            (vec!["apps:Deployment:*", "!apps:Deployment:web"], false),
        ] {
            let parsed: Vec<ResourceSelector> =
                selectors.iter().map(|text| text.parse().unwrap()).collect();

            assert_eq!(is_selected(&parsed, &web), expected, "{selectors:?}");
        }
    }

    #[test]
    fn a_selector_without_three_parts_is_refused() {
        let error = "Deployment:web".parse::<ResourceSelector>().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("GROUP:KIND:NAME"), "{error}");
    }
}
