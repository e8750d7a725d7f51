//! Which request is meant, by method and path.

use http::Method;
use percent_encoding::percent_decode_str;

use super::request::Origin;

/// The enumeration of the routes and their table, from one list.
macro_rules! routes {
    ($($route:ident = $method:literal $path:literal,)+) => {
        /// A request that the mock knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Route {
            $(#[doc = concat!("`", $method, " ", $path, "`")] $route,)+
        }

        const TABLE: &[(&str, &str, Route)] = &[$(($method, $path, Route::$route),)+];

        impl Route {
            /// Every route.
            pub const ALL: [Self; TABLE.len()] = [$(Self::$route,)+];
        }
    };
}

routes! {
    Version = "GET" "/api/version",
    Login = "POST" "/api/v1/session",
    Logout = "DELETE" "/api/v1/session",
    UserInfo = "GET" "/api/v1/session/userinfo",
    Settings = "GET" "/api/v1/settings",
    SettingsPlugins = "GET" "/api/v1/settings/plugins",
    CanI = "GET" "/api/v1/account/can-i/{name}/{name}/{**}",
    AccountList = "GET" "/api/v1/account",
    AccountPassword = "PUT" "/api/v1/account/password",
    AccountGet = "GET" "/api/v1/account/{name}",
    TokenCreate = "POST" "/api/v1/account/{name}/token",
    TokenDelete = "DELETE" "/api/v1/account/{name}/token/{name}",
    ClusterList = "GET" "/api/v1/clusters",
    ClusterCreate = "POST" "/api/v1/clusters",
    ClusterGet = "GET" "/api/v1/clusters/{name}",
    ClusterUpdate = "PUT" "/api/v1/clusters/{name}",
    ClusterDelete = "DELETE" "/api/v1/clusters/{name}",
    ClusterRotate = "POST" "/api/v1/clusters/{name}/rotate-auth",
    ClusterInvalidate = "POST" "/api/v1/clusters/{name}/invalidate-cache",
    ApplicationList = "GET" "/api/v1/applications",
    ApplicationCreate = "POST" "/api/v1/applications",
    ApplicationGet = "GET" "/api/v1/applications/{name}",
    ApplicationUpdate = "PUT" "/api/v1/applications/{name}",
    ApplicationPatch = "PATCH" "/api/v1/applications/{name}",
    ApplicationDelete = "DELETE" "/api/v1/applications/{name}",
    ApplicationSpec = "PUT" "/api/v1/applications/{name}/spec",
    ApplicationSync = "POST" "/api/v1/applications/{name}/sync",
    ApplicationRollback = "POST" "/api/v1/applications/{name}/rollback",
    ApplicationTerminate = "DELETE" "/api/v1/applications/{name}/operation",
    ApplicationTree = "GET" "/api/v1/applications/{name}/resource-tree",
    ApplicationResources = "GET" "/api/v1/applications/{name}/managed-resources",
    ApplicationManifestsWithFiles = "POST" "/api/v1/applications/manifestsWithFiles",
    ApplicationServerSideDiff = "GET" "/api/v1/applications/{name}/server-side-diff",
    ApplicationManifests = "GET" "/api/v1/applications/{name}/manifests",
    ApplicationEvents = "GET" "/api/v1/applications/{name}/events",
    ApplicationLogs = "GET" "/api/v1/applications/{name}/logs",
    ApplicationLinks = "GET" "/api/v1/applications/{name}/links",
    ApplicationSyncWindows = "GET" "/api/v1/applications/{name}/syncwindows",
    ApplicationRevision = "GET" "/api/v1/applications/{name}/revisions/{name}/metadata",
    ResourceGet = "GET" "/api/v1/applications/{name}/resource",
    ResourcePatch = "POST" "/api/v1/applications/{name}/resource",
    ResourceDelete = "DELETE" "/api/v1/applications/{name}/resource",
    ActionList = "GET" "/api/v1/applications/{name}/resource/actions",
    ActionRun = "POST" "/api/v1/applications/{name}/resource/actions",
    ActionRunWithParameters = "POST" "/api/v1/applications/{name}/resource/actions/v2",
    ApplicationWatch = "GET" "/api/v1/stream/applications",
    TreeWatch = "GET" "/api/v1/stream/applications/{name}/resource-tree",
    SetList = "GET" "/api/v1/applicationsets",
    SetCreate = "POST" "/api/v1/applicationsets",
    SetGenerate = "POST" "/api/v1/applicationsets/generate",
    SetGet = "GET" "/api/v1/applicationsets/{name}",
    SetDelete = "DELETE" "/api/v1/applicationsets/{name}",
    SetTree = "GET" "/api/v1/applicationsets/{name}/resource-tree",
    SetEvents = "GET" "/api/v1/applicationsets/{name}/events",
    SetWatch = "GET" "/api/v1/stream/applicationsets",
    ProjectList = "GET" "/api/v1/projects",
    ProjectCreate = "POST" "/api/v1/projects",
    ProjectGet = "GET" "/api/v1/projects/{name}",
    ProjectUpdate = "PUT" "/api/v1/projects/{name}",
    ProjectDelete = "DELETE" "/api/v1/projects/{name}",
    ProjectDetailed = "GET" "/api/v1/projects/{name}/detailed",
    ProjectEvents = "GET" "/api/v1/projects/{name}/events",
    ProjectGlobal = "GET" "/api/v1/projects/{name}/globalprojects",
    ProjectSyncWindows = "GET" "/api/v1/projects/{name}/syncwindows",
    ProjectLinks = "GET" "/api/v1/projects/{name}/links",
    RoleTokenCreate = "POST" "/api/v1/projects/{name}/roles/{name}/token",
    RoleTokenDelete = "DELETE" "/api/v1/projects/{name}/roles/{name}/token/{name}",
    RepositoryList = "GET" "/api/v1/repositories",
    RepositoryCreate = "POST" "/api/v1/repositories",
    RepositoryGet = "GET" "/api/v1/repositories/{name}",
    RepositoryUpdate = "PUT" "/api/v1/repositories/{name}",
    RepositoryDelete = "DELETE" "/api/v1/repositories/{name}",
    RepositoryValidate = "POST" "/api/v1/repositories/{name}/validate",
    RepositoryRefs = "GET" "/api/v1/repositories/{name}/refs",
    RepositoryApps = "GET" "/api/v1/repositories/{name}/apps",
    CredentialsList = "GET" "/api/v1/repocreds",
    CredentialsCreate = "POST" "/api/v1/repocreds",
    CredentialsUpdate = "PUT" "/api/v1/repocreds/{name}",
    CredentialsDelete = "DELETE" "/api/v1/repocreds/{name}",
    WriteRepositories = "GET" "/api/v1/write-repositories",
    CertificateList = "GET" "/api/v1/certificates",
    CertificateCreate = "POST" "/api/v1/certificates",
    CertificateDelete = "DELETE" "/api/v1/certificates",
    KeyList = "GET" "/api/v1/gpgkeys",
    KeyCreate = "POST" "/api/v1/gpgkeys",
    KeyDelete = "DELETE" "/api/v1/gpgkeys",
    KeyGet = "GET" "/api/v1/gpgkeys/{name}",
    NotificationServices = "GET" "/api/v1/notifications/services",
    NotificationTemplates = "GET" "/api/v1/notifications/templates",
    NotificationTriggers = "GET" "/api/v1/notifications/triggers",
}

impl Route {
    /// The version of Argo CD that has the endpoint first.
    pub(super) const fn since(self) -> (u64, u64, u64) {
        match self {
            Self::ActionRunWithParameters => (3, 1, 0),
            Self::ApplicationServerSideDiff => (3, 2, 0),
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

pub(super) fn route(method: &Method, path: &str, origin: Origin) -> Routed {
    if path == "/healthz" {
        return Routed::Health;
    }
    if !path.starts_with("/api/") {
        return Routed::Page;
    }
    if origin == Origin::Path && path.contains("//") {
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
    let last = path.rsplit('/').next().unwrap_or_default();
    if origin == Origin::Path && last.contains(':') {
        return Routed::NotFound;
    }
    let mut exists = false;
    for (verb, template, route) in TABLE {
        let Some(parameters) = parameters(template, path) else {
            continue;
        };
        if *verb == method.as_str() {
            return Routed::Known(*route, parameters);
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
            (Some("{name}"), Some(segment)) if !segment.is_empty() => {
                parameters.push(decode(segment));
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
    fn an_escaped_cluster_address_is_one_segment_and_an_unescaped_one_is_cleaned() {
        assert_eq!(
            route(
                &Method::GET,
                "/api/v1/clusters/https%3A%2F%2Fh%3A6443",
                Origin::Path
            ),
            Routed::Known(Route::ClusterGet, vec!["https://h:6443".to_owned()])
        );
        assert_eq!(
            route(
                &Method::GET,
                "/api/v1/clusters/https:%2F%2Fh:6443",
                Origin::Path
            ),
            Routed::NotFound
        );
        assert_eq!(
            route(
                &Method::GET,
                "/api/v1/clusters/https://h:6443",
                Origin::Path
            ),
            Routed::Cleaned("/api/v1/clusters/https:/h:6443".to_owned())
        );
    }

    #[test]
    fn other_paths_are_pages_or_not_found_and_other_methods_are_not_allowed() {
        assert_eq!(
            route(&Method::GET, "/applications", Origin::Path),
            Routed::Page
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/nonsense", Origin::Path),
            Routed::NotFound
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/applications/a%3Ab", Origin::Path),
            Routed::NotFound
        );
        assert_eq!(
            route(&Method::GET, "/api/v1/applications/a%2Fb", Origin::Path),
            Routed::NotFound
        );
        assert_eq!(
            route(&Method::PATCH, "/api/v1/clusters", Origin::Path),
            Routed::MethodNotAllowed
        );
    }

    #[test]
    fn the_object_of_a_right_is_the_rest_of_the_path() {
        let routed = route(
            &Method::GET,
            "/api/v1/account/can-i/applications/sync/default/*",
            Origin::Path,
        );

        let expected = ["applications", "sync", "default/*"].map(str::to_owned);
        assert_eq!(routed, Routed::Known(Route::CanI, expected.to_vec()));
        let address = "/api/v1/account/can-i/clusters/get/h:6443";
        assert_eq!(route(&Method::GET, address, Origin::Path), Routed::NotFound);
    }

    #[test]
    fn every_route_is_listed_once() {
        let routes: std::collections::HashSet<Route> = Route::ALL.into_iter().collect();

        assert_eq!(routes.len(), Route::ALL.len());
    }
}
