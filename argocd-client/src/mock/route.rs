//! Which request is which. Routing works on the encoded path, as the server's does.

use http::Method;
use percent_encoding::percent_decode_str;

/// The requests that the mock understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `GET /api/version`
    Version,
    /// `POST /api/v1/session`
    Login,
    /// `GET /api/v1/session/userinfo`
    UserInfo,
    /// `GET /api/v1/settings`
    Settings,
    /// `GET /api/v1/account/can-i/{resource}/{action}/{object}`
    CanI,
    /// `GET /api/v1/clusters`
    ClusterList,
    /// `POST /api/v1/clusters`
    ClusterCreate,
    /// `GET /api/v1/clusters/{id}`
    ClusterGet,
    /// `PUT /api/v1/clusters/{id}`
    ClusterUpdate,
    /// `DELETE /api/v1/clusters/{id}`
    ClusterDelete,
    /// `POST /api/v1/clusters/{id}/rotate-auth`
    ClusterRotate,
    /// `POST /api/v1/clusters/{id}/invalidate-cache`
    ClusterInvalidate,
    /// `GET /api/v1/applications`
    ApplicationList,
    /// `POST /api/v1/applications`
    ApplicationCreate,
    /// `GET /api/v1/applications/{name}`
    ApplicationGet,
    /// `DELETE /api/v1/applications/{name}`
    ApplicationDelete,
    /// `POST /api/v1/applications/{name}/sync`
    ApplicationSync,
    /// `GET /api/v1/stream/applications`
    ApplicationWatch,
    /// `GET /api/v1/applicationsets`
    SetList,
    /// `POST /api/v1/applicationsets`
    SetCreate,
    /// `GET /api/v1/applicationsets/{name}`
    SetGet,
    /// `POST /api/v1/applicationsets/generate`
    SetGenerate,
    /// `GET /api/v1/projects`
    ProjectList,
    /// `POST /api/v1/projects`
    ProjectCreate,
    /// `GET /api/v1/projects/{name}`
    ProjectGet,
    /// `GET /api/v1/repositories`
    RepositoryList,
    /// `POST /api/v1/repositories`
    RepositoryCreate,
}

impl Route {
    /// Every route.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::Version; TABLE.len()];
        let mut index = 0;
        while index < TABLE.len() {
            all[index] = TABLE[index].2;
            index += 1;
        }
        all
    };
}

/// What the router makes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// A known request with its decoded path parameters.
    Known(Route, Vec<String>),
    /// What the real router does not find either: a `:` in the last segment is a custom verb.
    NotFound,
    /// Outside `/api/`: the user interface.
    Page,
    /// The real server has it, or may have it; the mock has not.
    Unknown,
}

const TABLE: [(&str, &str, Route); 27] = [
    ("GET", "/api/version", Route::Version),
    ("POST", "/api/v1/session", Route::Login),
    ("GET", "/api/v1/session/userinfo", Route::UserInfo),
    ("GET", "/api/v1/settings", Route::Settings),
    ("GET", "/api/v1/account/can-i/{}/{}/{**}", Route::CanI),
    ("GET", "/api/v1/clusters", Route::ClusterList),
    ("POST", "/api/v1/clusters", Route::ClusterCreate),
    ("GET", "/api/v1/clusters/{}", Route::ClusterGet),
    ("PUT", "/api/v1/clusters/{}", Route::ClusterUpdate),
    ("DELETE", "/api/v1/clusters/{}", Route::ClusterDelete),
    (
        "POST",
        "/api/v1/clusters/{}/rotate-auth",
        Route::ClusterRotate,
    ),
    (
        "POST",
        "/api/v1/clusters/{}/invalidate-cache",
        Route::ClusterInvalidate,
    ),
    ("GET", "/api/v1/applications", Route::ApplicationList),
    ("POST", "/api/v1/applications", Route::ApplicationCreate),
    ("GET", "/api/v1/applications/{}", Route::ApplicationGet),
    (
        "DELETE",
        "/api/v1/applications/{}",
        Route::ApplicationDelete,
    ),
    (
        "POST",
        "/api/v1/applications/{}/sync",
        Route::ApplicationSync,
    ),
    (
        "GET",
        "/api/v1/stream/applications",
        Route::ApplicationWatch,
    ),
    ("GET", "/api/v1/applicationsets", Route::SetList),
    ("POST", "/api/v1/applicationsets", Route::SetCreate),
    ("GET", "/api/v1/applicationsets/{}", Route::SetGet),
    (
        "POST",
        "/api/v1/applicationsets/generate",
        Route::SetGenerate,
    ),
    ("GET", "/api/v1/projects", Route::ProjectList),
    ("POST", "/api/v1/projects", Route::ProjectCreate),
    ("GET", "/api/v1/projects/{}", Route::ProjectGet),
    ("GET", "/api/v1/repositories", Route::RepositoryList),
    ("POST", "/api/v1/repositories", Route::RepositoryCreate),
];

pub(super) fn route(method: &Method, path: &str) -> Routed {
    if !path.starts_with("/api/") {
        return Routed::Page;
    }
    if path
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'))
    {
        return Routed::NotFound;
    }
    TABLE
        .iter()
        .filter(|(verb, _, _)| *verb == method.as_str())
        .find_map(|(_, template, route)| Some(Routed::Known(*route, parameters(template, path)?)))
        .unwrap_or(Routed::Unknown)
}

fn parameters(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some("{**}"), Some(first)) => {
                let rest: Vec<&str> = std::iter::once(first).chain(given).collect();
                let rest = rest.join("/");
                parameters.push(percent_decode_str(&rest).decode_utf8_lossy().into_owned());
                return Some(parameters);
            }
            (Some("{}"), Some(segment)) if !segment.is_empty() => {
                parameters.push(percent_decode_str(segment).decode_utf8_lossy().into_owned());
            }
            (Some(part), Some(segment)) if part == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_cluster_address_is_one_segment_and_an_unescaped_one_is_not_found() {
        assert_eq!(
            route(&Method::GET, "/api/v1/clusters/https%3A%2F%2Fh%3A6443"),
            Routed::Known(Route::ClusterGet, vec!["https://h:6443".to_owned()])
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/clusters/https:%2F%2Fh:6443"),
            Routed::NotFound
        );
    }

    #[test]
    fn other_paths_are_pages_or_unknown() {
        assert_eq!(route(&Method::GET, "/applications"), Routed::Page);
        assert_eq!(route(&Method::GET, "/api/v1/gpgkeys"), Routed::Unknown);
        assert_eq!(route(&Method::PATCH, "/api/v1/clusters"), Routed::Unknown);
    }
}
