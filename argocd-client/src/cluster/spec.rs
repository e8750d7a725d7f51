//! What is registered.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::auth::{AwsAuth, ClusterAuth, ExecProvider};
use super::on_existing::OnExisting;
use super::rule::{check_label, check_name};
use super::server_url::ServerUrl;
use crate::error::{Error, ErrorKind, Result};
use crate::tls;

/// Annotation that [`ClusterSpec::remember_credentials`] writes.
pub const CREDENTIALS_ANNOTATION: &str = "lungmen.chezmoi.sh/credentials-sha256";

/// A cluster to register: its name and address, a service account's token or another login, and its CA.
///
/// There is no way to give a client certificate. The `argocd` command line stores the
/// administrator's certificate of the kubeconfig when it finds one; Argo CD then loses the
/// cluster when that certificate expires.
#[derive(Debug, Clone)]
#[must_use = "a specification does nothing until it is registered"]
pub struct ClusterSpec {
    pub(super) name: String,
    pub(super) server: ServerUrl,
    pub(super) auth: ClusterAuth,
    pub(super) ca_pem: String,
    pub(super) tls_server_name: Option<String>,
    pub(super) proxy_url: Option<SecretString>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) namespaces: Option<Vec<String>>,
    pub(super) cluster_resources: Option<bool>,
    pub(super) project: Option<String>,
    pub(super) shard: Option<i64>,
    pub(crate) on_existing: OnExisting,
    pub(crate) rename: bool,
    loopback: bool,
    remember: bool,
}

impl ClusterSpec {
    /// A cluster with a long-lived service account token and the PEM text of its CA.
    pub fn new(
        name: impl Into<String>,
        server: ServerUrl,
        bearer_token: SecretString,
        ca_pem: impl Into<String>,
    ) -> Self {
        Self::with_auth(name, server, ClusterAuth::Token(bearer_token), ca_pem)
    }

    /// A cluster that Argo CD logs in to with the identity of AWS. No service account is needed.
    pub fn with_aws(
        name: impl Into<String>,
        server: ServerUrl,
        aws: AwsAuth,
        ca_pem: impl Into<String>,
    ) -> Self {
        Self::with_auth(name, server, ClusterAuth::Aws(aws), ca_pem)
    }

    /// A cluster that Argo CD logs in to with a program, as for GCP and Azure.
    pub fn with_exec(
        name: impl Into<String>,
        server: ServerUrl,
        program: ExecProvider,
        ca_pem: impl Into<String>,
    ) -> Self {
        Self::with_auth(name, server, ClusterAuth::Exec(program), ca_pem)
    }

    fn with_auth(
        name: impl Into<String>,
        server: ServerUrl,
        auth: ClusterAuth,
        ca_pem: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            server,
            auth,
            ca_pem: ca_pem.into(),
            tls_server_name: None,
            proxy_url: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            namespaces: None,
            cluster_resources: None,
            project: None,
            shard: None,
            on_existing: OnExisting::default(),
            rename: false,
            loopback: false,
            remember: false,
        }
    }

    /// Name expected in the certificate of the cluster, when it is not the host of the address.
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls_server_name = Some(name.into());
        self
    }

    /// Proxy between Argo CD and the cluster: `http`, `https` or `socks5`.
    pub fn proxy_url(mut self, url: SecretString) -> Self {
        self.proxy_url = Some(url);
        self
    }

    /// Adds a label. Cluster generators decide by labels what is deployed, so give them here:
    /// applications appear within seconds of the registration.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Limits Argo CD to these namespaces.
    pub fn namespaces<T: Into<String>>(mut self, namespaces: impl IntoIterator<Item = T>) -> Self {
        self.namespaces = Some(namespaces.into_iter().map(Into::into).collect());
        self
    }

    /// Also manages cluster-wide resources although the namespaces are limited.
    pub fn cluster_resources(mut self) -> Self {
        self.cluster_resources = Some(true);
        self
    }

    /// Scopes the cluster to a project. The server does not check that the project exists.
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// Pins the cluster to a shard of the controller.
    pub fn shard(mut self, shard: i64) -> Self {
        self.shard = Some(shard);
        self
    }

    /// What to do when the address is registered already; [`OnExisting::Update`] by default.
    pub fn on_existing(mut self, policy: OnExisting) -> Self {
        self.on_existing = policy;
        self
    }

    /// Renames an entry that has the address under another name, instead of returning an error.
    ///
    /// Application sets that use the name in templates will replace their applications.
    pub fn allow_rename(mut self) -> Self {
        self.rename = true;
        self
    }

    /// Accepts a loopback address. It means another machine to Argo CD, unless both run on one.
    pub fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Keeps a SHA-256 of the connection settings in the annotation [`CREDENTIALS_ANNOTATION`].
    ///
    /// The server never gives credentials back, so without it an update has to send them every
    /// time; with it a second registration of the same credentials changes nothing and says so.
    pub fn remember_credentials(mut self) -> Self {
        self.remember = true;
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Checks what can be checked without the server, all problems at once.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) naming every field that is wrong.
    pub fn check(&self) -> Result<()> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::InvalidInput, "check cluster specification")
                .with_target(self.server.as_str())
                .with_message(problems.join("; ")),
        )
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(rule) = check_name(&self.name) {
            problems.push(format!("name {:?}: {rule}", self.name));
        }
        for (key, value) in &self.labels {
            if let Err(rule) = check_label(key, value) {
                problems.push(format!("label {key}={value}: {rule}"));
            }
        }
        if self.server.is_loopback() && !self.loopback {
            problems.push(format!(
                "server {}: a loopback address is another machine for Argo CD; give the address that it can reach",
                self.server
            ));
        }
        problems.extend(self.auth.problem().map(str::to_owned));
        if let Err(why) = tls::certificates(&self.ca_pem) {
            problems.push(format!("CA: {why}"));
        }
        if self.tls_server_name.as_deref() == Some("") {
            problems.push("TLS server name: must not be empty".to_owned());
        }
        if let Some(proxy) = &self.proxy_url
            && !["http://", "https://", "socks5://"]
                .iter()
                .any(|scheme| proxy.expose_secret().starts_with(scheme))
        {
            problems.push("proxy URL: the scheme must be http, https or socks5".to_owned());
        }
        if self.cluster_resources.is_some() && self.namespaces.as_ref().is_none_or(Vec::is_empty) {
            problems.push("cluster resources: only meaningful with limited namespaces".to_owned());
        }
        problems
    }

    pub(super) fn remembers(&self) -> bool {
        self.remember
    }

    /// The annotations to write: the given ones and, if wanted, the hash of the credentials.
    pub(super) fn wanted_annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = self.annotations.clone();
        if self.remember {
            annotations.insert(CREDENTIALS_ANNOTATION.to_owned(), self.fingerprint());
        }
        annotations
    }

    /// A hash of everything in the connection settings. A service account token is a signed
    /// document of more than 500 bytes, so its hash can be public.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.config().to_string());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;

    const CA: &str = include_str!("../../testdata/ca.pem");

    fn spec() -> ClusterSpec {
        let server = ServerUrl::parse("https://10.5.0.2:6443").unwrap();
        ClusterSpec::new("lungmen", server, SecretString::from("canary-token"), CA)
    }

    #[test]
    fn the_body_has_the_token_and_the_ca_and_no_client_certificate() {
        let body = spec().label("environment", "prod").body();

        assert_eq!(body["config"]["bearerToken"], "canary-token");
        assert_eq!(
            body["config"]["tlsClientConfig"]["caData"],
            STANDARD.encode(CA)
        );
        assert_eq!(
            body["config"]["tlsClientConfig"].as_object().unwrap().len(),
            2
        );
        assert_eq!(body["labels"]["environment"], "prod");
        assert_eq!(
            body.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["server", "name", "config", "labels"]
        );
    }

    #[test]
    fn other_logins_replace_the_token() {
        let server = ServerUrl::parse("https://eks.example.test").unwrap();
        let aws = AwsAuth::new("eks").role_arn("arn:aws:iam::1:role/argocd");
        let aws = ClusterSpec::with_aws("eks", server.clone(), aws, CA);
        let gcp = ClusterSpec::with_exec("gke", server, ExecProvider::gcp(), CA);

        assert_eq!(
            aws.body()["config"]["awsAuthConfig"],
            json!({"clusterName": "eks", "roleARN": "arn:aws:iam::1:role/argocd"})
        );
        assert_eq!(
            gcp.body()["config"]["execProviderConfig"]["args"],
            json!(["gcp"])
        );
        for spec in [aws, gcp] {
            assert!(spec.check().is_ok());
            assert!(spec.body()["config"].get("bearerToken").is_none());
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let server = ServerUrl::parse("https://localhost:6443").unwrap();
        let error = ClusterSpec::new("a/b", server, SecretString::from(""), "nothing")
            .cluster_resources()
            .check()
            .unwrap_err();

        for part in [
            "name",
            "loopback",
            "bearer token",
            "CA",
            "cluster resources",
        ] {
            assert!(
                error.message().contains(part),
                "{part}: {}",
                error.message()
            );
        }
    }

    #[test]
    fn a_loopback_address_can_be_allowed() {
        let server = ServerUrl::parse("https://127.0.0.1:6443").unwrap();
        let spec = ClusterSpec::new("lab", server, SecretString::from("t"), CA);

        assert!(spec.check().is_err());
        assert!(spec.allow_loopback().check().is_ok());
    }

    #[test]
    fn the_fingerprint_follows_the_credentials_and_debug_hides_them() {
        let spec = spec().remember_credentials();
        let other = ClusterSpec::new(
            "lungmen",
            spec.server.clone(),
            SecretString::from("another"),
            CA,
        );

        assert_ne!(spec.fingerprint(), other.fingerprint());
        assert_eq!(
            spec.wanted_annotations()[CREDENTIALS_ANNOTATION],
            spec.fingerprint()
        );
        assert!(!format!("{spec:?}").contains("canary"));
    }
}
