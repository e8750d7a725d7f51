//! Which request is meant, by method and path.

use http::Method;
use percent_encoding::percent_decode_str;

/// A request that the mock knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `GET /api/version`
    Version,
    /// `POST /api/v1/session`
    Login,
    /// `DELETE /api/v1/session`
    Logout,
    /// `GET /api/v1/session/userinfo`
    UserInfo,
    /// `GET /api/v1/settings`
    Settings,
    /// `GET /api/v1/settings/plugins`
    SettingsPlugins,
    /// `GET /api/v1/account/can-i/{name}/{name}/{object}`
    CanI,
    /// `GET /api/v1/account`
    AccountList,
    /// `PUT /api/v1/account/password`
    AccountPassword,
    /// `GET /api/v1/account/{name}`
    AccountGet,
    /// `POST /api/v1/account/{name}/token`
    TokenCreate,
    /// `DELETE /api/v1/account/{name}/token/{name}`
    TokenDelete,
    /// `GET /api/v1/clusters`
    ClusterList,
    /// `POST /api/v1/clusters`
    ClusterCreate,
    /// `GET /api/v1/clusters/{name}`
    ClusterGet,
    /// `PUT /api/v1/clusters/{name}`
    ClusterUpdate,
    /// `DELETE /api/v1/clusters/{name}`
    ClusterDelete,
    /// `POST /api/v1/clusters/{name}/rotate-auth`
    ClusterRotate,
    /// `POST /api/v1/clusters/{name}/invalidate-cache`
    ClusterInvalidate,
    /// `GET /api/v1/applications`
    ApplicationList,
    /// `POST /api/v1/applications`
    ApplicationCreate,
    /// `GET /api/v1/applications/{name}`
    ApplicationGet,
    /// `PUT /api/v1/applications/{name}`
    ApplicationUpdate,
    /// `PATCH /api/v1/applications/{name}`
    ApplicationPatch,
    /// `DELETE /api/v1/applications/{name}`
    ApplicationDelete,
    /// `PUT /api/v1/applications/{name}/spec`
    ApplicationSpec,
    /// `POST /api/v1/applications/{name}/sync`
    ApplicationSync,
    /// `POST /api/v1/applications/{name}/rollback`
    ApplicationRollback,
    /// `DELETE /api/v1/applications/{name}/operation`
    ApplicationTerminate,
    /// `GET /api/v1/applications/{name}/resource-tree`
    ApplicationTree,
    /// `GET /api/v1/applications/{name}/managed-resources`
    ApplicationResources,
    /// `GET /api/v1/applications/{name}/manifests`
    ApplicationManifests,
    /// `GET /api/v1/applications/{name}/events`
    ApplicationEvents,
    /// `GET /api/v1/applications/{name}/logs`
    ApplicationLogs,
    /// `GET /api/v1/applications/{name}/links`
    ApplicationLinks,
    /// `GET /api/v1/applications/{name}/syncwindows`
    ApplicationSyncWindows,
    /// `GET /api/v1/applications/{name}/revisions/{name}/metadata`
    ApplicationRevision,
    /// `GET /api/v1/applications/{name}/resource`
    ResourceGet,
    /// `POST /api/v1/applications/{name}/resource`
    ResourcePatch,
    /// `DELETE /api/v1/applications/{name}/resource`
    ResourceDelete,
    /// `GET /api/v1/applications/{name}/resource/actions`
    ActionList,
    /// `POST /api/v1/applications/{name}/resource/actions`
    ActionRun,
    /// `POST /api/v1/applications/{name}/resource/actions/v2`
    ActionRunWithParameters,
    /// `GET /api/v1/stream/applications`
    ApplicationWatch,
    /// `GET /api/v1/stream/applications/{name}/resource-tree`
    TreeWatch,
    /// `GET /api/v1/applicationsets`
    SetList,
    /// `POST /api/v1/applicationsets`
    SetCreate,
    /// `POST /api/v1/applicationsets/generate`
    SetGenerate,
    /// `GET /api/v1/applicationsets/{name}`
    SetGet,
    /// `DELETE /api/v1/applicationsets/{name}`
    SetDelete,
    /// `GET /api/v1/applicationsets/{name}/resource-tree`
    SetTree,
    /// `GET /api/v1/applicationsets/{name}/events`
    SetEvents,
    /// `GET /api/v1/stream/applicationsets`
    SetWatch,
    /// `GET /api/v1/projects`
    ProjectList,
    /// `POST /api/v1/projects`
    ProjectCreate,
    /// `GET /api/v1/projects/{name}`
    ProjectGet,
    /// `PUT /api/v1/projects/{name}`
    ProjectUpdate,
    /// `DELETE /api/v1/projects/{name}`
    ProjectDelete,
    /// `GET /api/v1/projects/{name}/detailed`
    ProjectDetailed,
    /// `GET /api/v1/projects/{name}/events`
    ProjectEvents,
    /// `GET /api/v1/projects/{name}/globalprojects`
    ProjectGlobal,
    /// `GET /api/v1/projects/{name}/syncwindows`
    ProjectSyncWindows,
    /// `GET /api/v1/projects/{name}/links`
    ProjectLinks,
    /// `POST /api/v1/projects/{name}/roles/{name}/token`
    RoleTokenCreate,
    /// `DELETE /api/v1/projects/{name}/roles/{name}/token/{name}`
    RoleTokenDelete,
    /// `GET /api/v1/repositories`
    RepositoryList,
    /// `POST /api/v1/repositories`
    RepositoryCreate,
    /// `GET /api/v1/repositories/{name}`
    RepositoryGet,
    /// `PUT /api/v1/repositories/{name}`
    RepositoryUpdate,
    /// `DELETE /api/v1/repositories/{name}`
    RepositoryDelete,
    /// `GET /api/v1/repositories/{name}/refs`
    RepositoryRefs,
    /// `GET /api/v1/repositories/{name}/apps`
    RepositoryApps,
    /// `GET /api/v1/repocreds`
    CredentialsList,
    /// `POST /api/v1/repocreds`
    CredentialsCreate,
    /// `PUT /api/v1/repocreds/{name}`
    CredentialsUpdate,
    /// `DELETE /api/v1/repocreds/{name}`
    CredentialsDelete,
    /// `GET /api/v1/write-repositories`
    WriteRepositories,
    /// `GET /api/v1/certificates`
    CertificateList,
    /// `POST /api/v1/certificates`
    CertificateCreate,
    /// `DELETE /api/v1/certificates`
    CertificateDelete,
    /// `GET /api/v1/gpgkeys`
    KeyList,
    /// `POST /api/v1/gpgkeys`
    KeyCreate,
    /// `DELETE /api/v1/gpgkeys`
    KeyDelete,
    /// `GET /api/v1/gpgkeys/{name}`
    KeyGet,
    /// `GET /api/v1/notifications/services`
    NotificationServices,
    /// `GET /api/v1/notifications/templates`
    NotificationTemplates,
    /// `GET /api/v1/notifications/triggers`
    NotificationTriggers,
}

const TABLE: [(&str, &str, Route); 87] = [
    ("GET", "/api/version", Route::Version),
    ("POST", "/api/v1/session", Route::Login),
    ("DELETE", "/api/v1/session", Route::Logout),
    ("GET", "/api/v1/session/userinfo", Route::UserInfo),
    ("GET", "/api/v1/settings", Route::Settings),
    ("GET", "/api/v1/settings/plugins", Route::SettingsPlugins),
    ("GET", "/api/v1/account/can-i/{}/{}/{**}", Route::CanI),
    ("GET", "/api/v1/account", Route::AccountList),
    ("PUT", "/api/v1/account/password", Route::AccountPassword),
    ("GET", "/api/v1/account/{}", Route::AccountGet),
    ("POST", "/api/v1/account/{}/token", Route::TokenCreate),
    ("DELETE", "/api/v1/account/{}/token/{}", Route::TokenDelete),
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
    ("PUT", "/api/v1/applications/{}", Route::ApplicationUpdate),
    ("PATCH", "/api/v1/applications/{}", Route::ApplicationPatch),
    (
        "DELETE",
        "/api/v1/applications/{}",
        Route::ApplicationDelete,
    ),
    (
        "PUT",
        "/api/v1/applications/{}/spec",
        Route::ApplicationSpec,
    ),
    (
        "POST",
        "/api/v1/applications/{}/sync",
        Route::ApplicationSync,
    ),
    (
        "POST",
        "/api/v1/applications/{}/rollback",
        Route::ApplicationRollback,
    ),
    (
        "DELETE",
        "/api/v1/applications/{}/operation",
        Route::ApplicationTerminate,
    ),
    (
        "GET",
        "/api/v1/applications/{}/resource-tree",
        Route::ApplicationTree,
    ),
    (
        "GET",
        "/api/v1/applications/{}/managed-resources",
        Route::ApplicationResources,
    ),
    (
        "GET",
        "/api/v1/applications/{}/manifests",
        Route::ApplicationManifests,
    ),
    (
        "GET",
        "/api/v1/applications/{}/events",
        Route::ApplicationEvents,
    ),
    (
        "GET",
        "/api/v1/applications/{}/logs",
        Route::ApplicationLogs,
    ),
    (
        "GET",
        "/api/v1/applications/{}/links",
        Route::ApplicationLinks,
    ),
    (
        "GET",
        "/api/v1/applications/{}/syncwindows",
        Route::ApplicationSyncWindows,
    ),
    (
        "GET",
        "/api/v1/applications/{}/revisions/{}/metadata",
        Route::ApplicationRevision,
    ),
    (
        "GET",
        "/api/v1/applications/{}/resource",
        Route::ResourceGet,
    ),
    (
        "POST",
        "/api/v1/applications/{}/resource",
        Route::ResourcePatch,
    ),
    (
        "DELETE",
        "/api/v1/applications/{}/resource",
        Route::ResourceDelete,
    ),
    (
        "GET",
        "/api/v1/applications/{}/resource/actions",
        Route::ActionList,
    ),
    (
        "POST",
        "/api/v1/applications/{}/resource/actions",
        Route::ActionRun,
    ),
    (
        "POST",
        "/api/v1/applications/{}/resource/actions/v2",
        Route::ActionRunWithParameters,
    ),
    (
        "GET",
        "/api/v1/stream/applications",
        Route::ApplicationWatch,
    ),
    (
        "GET",
        "/api/v1/stream/applications/{}/resource-tree",
        Route::TreeWatch,
    ),
    ("GET", "/api/v1/applicationsets", Route::SetList),
    ("POST", "/api/v1/applicationsets", Route::SetCreate),
    (
        "POST",
        "/api/v1/applicationsets/generate",
        Route::SetGenerate,
    ),
    ("GET", "/api/v1/applicationsets/{}", Route::SetGet),
    ("DELETE", "/api/v1/applicationsets/{}", Route::SetDelete),
    (
        "GET",
        "/api/v1/applicationsets/{}/resource-tree",
        Route::SetTree,
    ),
    ("GET", "/api/v1/applicationsets/{}/events", Route::SetEvents),
    ("GET", "/api/v1/stream/applicationsets", Route::SetWatch),
    ("GET", "/api/v1/projects", Route::ProjectList),
    ("POST", "/api/v1/projects", Route::ProjectCreate),
    ("GET", "/api/v1/projects/{}", Route::ProjectGet),
    ("PUT", "/api/v1/projects/{}", Route::ProjectUpdate),
    ("DELETE", "/api/v1/projects/{}", Route::ProjectDelete),
    (
        "GET",
        "/api/v1/projects/{}/detailed",
        Route::ProjectDetailed,
    ),
    ("GET", "/api/v1/projects/{}/events", Route::ProjectEvents),
    (
        "GET",
        "/api/v1/projects/{}/globalprojects",
        Route::ProjectGlobal,
    ),
    (
        "GET",
        "/api/v1/projects/{}/syncwindows",
        Route::ProjectSyncWindows,
    ),
    ("GET", "/api/v1/projects/{}/links", Route::ProjectLinks),
    (
        "POST",
        "/api/v1/projects/{}/roles/{}/token",
        Route::RoleTokenCreate,
    ),
    (
        "DELETE",
        "/api/v1/projects/{}/roles/{}/token/{}",
        Route::RoleTokenDelete,
    ),
    ("GET", "/api/v1/repositories", Route::RepositoryList),
    ("POST", "/api/v1/repositories", Route::RepositoryCreate),
    ("GET", "/api/v1/repositories/{}", Route::RepositoryGet),
    ("PUT", "/api/v1/repositories/{}", Route::RepositoryUpdate),
    ("DELETE", "/api/v1/repositories/{}", Route::RepositoryDelete),
    ("GET", "/api/v1/repositories/{}/refs", Route::RepositoryRefs),
    ("GET", "/api/v1/repositories/{}/apps", Route::RepositoryApps),
    ("GET", "/api/v1/repocreds", Route::CredentialsList),
    ("POST", "/api/v1/repocreds", Route::CredentialsCreate),
    ("PUT", "/api/v1/repocreds/{}", Route::CredentialsUpdate),
    ("DELETE", "/api/v1/repocreds/{}", Route::CredentialsDelete),
    (
        "GET",
        "/api/v1/write-repositories",
        Route::WriteRepositories,
    ),
    ("GET", "/api/v1/certificates", Route::CertificateList),
    ("POST", "/api/v1/certificates", Route::CertificateCreate),
    ("DELETE", "/api/v1/certificates", Route::CertificateDelete),
    ("GET", "/api/v1/gpgkeys", Route::KeyList),
    ("POST", "/api/v1/gpgkeys", Route::KeyCreate),
    ("DELETE", "/api/v1/gpgkeys", Route::KeyDelete),
    ("GET", "/api/v1/gpgkeys/{}", Route::KeyGet),
    (
        "GET",
        "/api/v1/notifications/services",
        Route::NotificationServices,
    ),
    (
        "GET",
        "/api/v1/notifications/templates",
        Route::NotificationTemplates,
    ),
    (
        "GET",
        "/api/v1/notifications/triggers",
        Route::NotificationTriggers,
    ),
];

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

    /// The version of Argo CD that has the endpoint first.
    pub(super) const fn since(self) -> (u64, u64, u64) {
        match self {
            Self::ActionRunWithParameters => (3, 1, 0),
            Self::SetEvents | Self::SetWatch => (3, 4, 0),
            _ => (0, 0, 0),
        }
    }

    /// Whether the response is a stream, whose errors have another shape.
    pub(super) const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::ApplicationWatch | Self::TreeWatch | Self::SetWatch | Self::ApplicationLogs
        )
    }
}

/// What the router makes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Routed {
    /// A known request with its decoded path parameters.
    Known(Route, Vec<String>),
    /// No such endpoint; also a `:` in the last segment, which is a custom verb.
    NotFound,
    /// The endpoint exists with another method.
    MethodNotAllowed,
    /// An empty segment: Go's router redirects to the path without it.
    Cleaned(String),
    /// `/healthz`.
    Health,
    /// Outside `/api/`: the user interface.
    Page,
}

pub(super) fn route(method: &Method, path: &str) -> Routed {
    if path == "/healthz" {
        return Routed::Health;
    }
    if !path.starts_with("/api/") {
        return Routed::Page;
    }
    if path.contains("//") {
        return Routed::Cleaned(path.replace("//", "/"));
    }
    // Only these paths are routed while they are encoded, so that a URL is one segment.
    let encoded = [
        "/api/v1/clusters/",
        "/api/v1/repositories/",
        "/api/v1/repocreds/",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix));
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let path = if encoded { path } else { &decoded };
    let is_verb = |last: &str| last.contains(':') && !path.contains("/can-i/");
    if path.rsplit('/').next().is_some_and(is_verb) {
        return Routed::NotFound;
    }
    let mut exists = false;
    for (verb, template, route) in TABLE {
        let Some(parameters) = parameters(template, path) else {
            continue;
        };
        if verb == method.as_str() {
            return Routed::Known(route, parameters);
        }
        exists = true;
    }
    if exists {
        Routed::MethodNotAllowed
    } else {
        Routed::NotFound
    }
}

fn parameters(template: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some("{**}"), Some(first)) => {
                let rest: Vec<&str> = std::iter::once(first).chain(given).collect();
                parameters.push(rest.join("/"));
                return Some(parameters);
            }
            (Some("{}"), Some(segment)) if !segment.is_empty() => parameters.push(decode(segment)),
            (Some(part), Some(segment)) if part == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_cluster_address_is_one_segment_and_an_unescaped_one_is_cleaned() {
        assert_eq!(
            route(&Method::GET, "/api/v1/clusters/https%3A%2F%2Fh%3A6443"),
            Routed::Known(Route::ClusterGet, vec!["https://h:6443".to_owned()])
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/clusters/https:%2F%2Fh:6443"),
            Routed::NotFound
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/clusters/https://h:6443"),
            Routed::Cleaned("/api/v1/clusters/https:/h:6443".to_owned())
        );
    }

    #[test]
    fn other_paths_are_pages_or_not_found_and_other_methods_are_not_allowed() {
        assert_eq!(route(&Method::GET, "/applications"), Routed::Page);
        assert_eq!(route(&Method::GET, "/api/v1/nonsense"), Routed::NotFound);
        assert_eq!(
            route(&Method::GET, "/api/v1/applications/a%3Ab"),
            Routed::NotFound
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/applications/a%2Fb"),
            Routed::NotFound
        );
        assert_eq!(
            route(&Method::PATCH, "/api/v1/clusters"),
            Routed::MethodNotAllowed
        );
    }

    #[test]
    fn the_object_of_a_right_is_the_rest_of_the_path() {
        let routed = route(
            &Method::GET,
            "/api/v1/account/can-i/applications/sync/default/*",
        );

        let expected = ["applications", "sync", "default/*"].map(str::to_owned);
        assert_eq!(routed, Routed::Known(Route::CanI, expected.to_vec()));
    }

    #[test]
    fn every_route_is_listed_once() {
        let routes: std::collections::HashSet<Route> = Route::ALL.into_iter().collect();

        assert_eq!(routes.len(), Route::ALL.len());
    }
}
