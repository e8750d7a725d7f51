//! Whether a user may do what a request asks for.

use http::Method;
use serde_json::json;

use super::access::{Attributes, User, allowed};
use super::cluster_state::ClusterState;
use super::resource::with_group;
use super::status::{Rejection, details};
use super::target::Target;
use crate::mock::serve::IncomingRequest;

/// # Errors
///
/// 403 in the words of the API server.
pub(super) fn authorize(
    cluster: &ClusterState,
    request: &IncomingRequest,
    target: &Target,
    user: &User,
) -> Result<(), Rejection> {
    let asked = Asked::of(request, target);
    if allowed(user, &asked.attributes, &cluster.store) {
        return Ok(());
    }
    let Attributes {
        verb,
        group,
        resource,
        path,
    } = asked.attributes;
    if let Some(path) = path {
        let message = format!(
            "forbidden: User \"{}\" cannot {verb} path \"{path}\"",
            user.name
        );
        return Err(Rejection::new(403, "Forbidden", message).with_details(json!({})));
    }
    let scope = match asked.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let plural = resource.split('/').next().unwrap_or(resource);
    let subject = match asked.name {
        "" => with_group(plural, group),
        name => format!("{} \"{name}\"", with_group(plural, group)),
    };
    let message = format!(
        "{subject} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {scope}",
        user.name
    );
    let details = details(asked.name, group, plural);
    Err(Rejection::new(403, "Forbidden", message).with_details(details))
}

/// What a request asks for, as the authorizer sees it.
struct Asked<'a> {
    attributes: Attributes<'a>,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Asked<'a> {
    fn of(request: &'a IncomingRequest, target: &'a Target) -> Self {
        let (group, resource, namespace, name) = match target {
            Target::Collection {
                resource,
                namespace,
            } => (
                resource.group,
                resource.plural,
                namespace.as_deref().unwrap_or_default(),
                "",
            ),
            Target::Object {
                resource,
                namespace,
                name,
            }
            | Target::Status {
                resource,
                namespace,
                name,
            } => (
                resource.group,
                resource.plural,
                namespace.as_str(),
                name.as_str(),
            ),
            Target::TokenRequest { namespace, name } => (
                "",
                "serviceaccounts/token",
                namespace.as_str(),
                name.as_str(),
            ),
            Target::AccessReview => ("authorization.k8s.io", "selfsubjectaccessreviews", "", ""),
            Target::RulesReview => ("authorization.k8s.io", "selfsubjectrulesreviews", "", ""),
            Target::Scale {
                resource,
                namespace,
                name,
            } => (
                resource.group,
                resource.plural,
                namespace.as_str(),
                name.as_str(),
            ),
            Target::PortForward { namespace, name } => {
                ("", "pods/portforward", namespace.as_str(), name.as_str())
            }
            Target::NoSubresource { resource, name } => {
                (resource.group, resource.plural, "", name.as_str())
            }
            Target::SelfReview => ("authentication.k8s.io", "selfsubjectreviews", "", ""),
            Target::TokenReview => ("authentication.k8s.io", "tokenreviews", "", ""),
            _ => ("", "", "", ""),
        };
        let path = resource.is_empty().then(|| request.uri.path());
        let watching = request
            .query()
            .iter()
            .any(|(key, value)| key == "watch" && value == "true");
        let verb = match (&request.method, name.is_empty()) {
            (&Method::GET, _) if path.is_some() => "get",
            (&Method::GET, false) => "get",
            (&Method::GET, true) if watching => "watch",
            (&Method::GET, true) => "list",
            (&Method::POST, _) => "create",
            (&Method::PATCH, _) => "patch",
            (&Method::PUT, _) => "update",
            (&Method::DELETE, false) => "delete",
            _ => "deletecollection",
        };
        Self {
            attributes: Attributes {
                verb,
                group,
                resource,
                path,
            },
            namespace,
            name,
        }
    }
}
