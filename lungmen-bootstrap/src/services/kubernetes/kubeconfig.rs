//! Reads one context of a kubeconfig: everything inline, nothing from files or programs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig as Document, KubeconfigError};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::Zeroizing;

use crate::services::{Error, ErrorKind, Result, Validity};

const OPERATION: &str = "read kubeconfig";

/// One context of a kubeconfig: server, trust and credentials.
///
/// Talos writes exactly one context, `admin@<cluster name>`, and a new client certificate on every call.
/// `Debug` shows no key and no token.
#[derive(Clone)]
pub struct Kubeconfig {
    context: String,
    cluster: String,
    user: String,
    server: Url,
    server_name: Option<String>,
    authority: Option<String>,
    identity: Option<Identity>,
    token: Option<SecretString>,
}

/// A client certificate chain and its key, both PEM.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: SecretString,
    validity: Option<Validity>,
}

impl Kubeconfig {
    /// Reads the current context of `text`.
    ///
    /// # Errors
    ///
    /// `Configuration` when the text is not a kubeconfig, or its context, cluster or user is missing; the message has the
    /// position, never the text. `Unsupported` when it refers to files, programs, a proxy or a password, or disables
    /// verification.
    pub fn parse(text: &SecretString) -> Result<Self> {
        let document =
            Document::from_yaml(text.expose_secret()).map_err(|error| unreadable(&error))?;
        let context = document
            .current_context
            .clone()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| bad("current-context is not set"))?;
        Self::select(&document, &context)
    }

    /// Reads the context `context` of `text`.
    ///
    /// # Errors
    ///
    /// `Configuration` and `Unsupported`, as for [`Kubeconfig::parse`].
    pub fn parse_context(text: &SecretString, context: &str) -> Result<Self> {
        let document =
            Document::from_yaml(text.expose_secret()).map_err(|error| unreadable(&error))?;
        Self::select(&document, context)
    }

    fn select(document: &Document, name: &str) -> Result<Self> {
        let context = find_context(document, name)?;
        let user = context.user.clone().unwrap_or_default();
        let cluster = find_cluster(document, &context.cluster)?;
        let auth = find_user(document, &user)?;
        reject_cluster(cluster)?;
        reject_user(auth)?;
        Ok(Self {
            context: name.to_owned(),
            server: server(cluster)?,
            server_name: cluster.tls_server_name.clone(),
            authority: authority(cluster)?,
            identity: identity(auth)?,
            token: auth.token.clone(),
            cluster: context.cluster,
            user,
        })
    }

    /// Name of the context, for example `admin@lungmen.akn`.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }

    /// Name of the cluster entry; Talos uses the name of the cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Name of the user entry.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Address of the API server; Talos uses the control plane endpoint.
    #[must_use]
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// The name to verify the server's certificate against, when it is not the host of the address.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The certificate authorities of the cluster as PEM; Talos writes the accepted ones and then the issuing one.
    #[must_use]
    pub fn certificate_authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// When the client certificate expires; `None` without one. Talos issues it for a year, unless
    /// `cluster.adminKubeconfig.certLifetime` says otherwise.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.validity().map(|validity| validity.end)
    }

    /// From when until when the client certificate is accepted; `None` without one.
    pub(crate) fn validity(&self) -> Option<Validity> {
        self.identity.as_ref()?.validity
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(super) fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }
}

impl std::fmt::Debug for Kubeconfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubeconfig")
            .field("context", &self.context)
            .field("server", &self.server.as_str())
            .field("expires", &self.expires())
            .finish_non_exhaustive()
    }
}

fn find_context(document: &Document, name: &str) -> Result<Context> {
    document
        .contexts
        .iter()
        .find(|entry| entry.name == name)
        .and_then(|entry| entry.context.clone())
        .ok_or_else(|| bad(format!("there is no context {name:?}")))
}

fn find_cluster<'a>(document: &'a Document, name: &str) -> Result<&'a Cluster> {
    document
        .clusters
        .iter()
        .find(|entry| entry.name == name)
        .and_then(|entry| entry.cluster.as_ref())
        .ok_or_else(|| bad(format!("there is no cluster {name:?}")))
}

fn find_user<'a>(document: &'a Document, name: &str) -> Result<&'a AuthInfo> {
    document
        .auth_infos
        .iter()
        .find(|entry| entry.name == name)
        .and_then(|entry| entry.auth_info.as_ref())
        .ok_or_else(|| bad(format!("there is no user {name:?}")))
}

fn reject_cluster(cluster: &Cluster) -> Result<()> {
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err(unsupported("insecure-skip-tls-verify"));
    }
    if cluster.certificate_authority.is_some() && cluster.certificate_authority_data.is_none() {
        return Err(unsupported("certificate-authority as a file"));
    }
    if cluster.proxy_url.is_some() {
        return Err(unsupported("proxy-url"));
    }
    Ok(())
}

fn reject_user(user: &AuthInfo) -> Result<()> {
    let rejected = [
        (user.exec.is_some(), "exec"),
        (user.auth_provider.is_some(), "auth-provider"),
        (
            user.username.is_some() || user.password.is_some(),
            "username and password",
        ),
        (
            user.token_file.is_some() && user.token.is_none(),
            "tokenFile",
        ),
        (
            user.client_certificate.is_some() && user.client_certificate_data.is_none(),
            "client-certificate as a file",
        ),
        (
            user.client_key.is_some() && user.client_key_data.is_none(),
            "client-key as a file",
        ),
        (user.impersonate.is_some(), "as (impersonation)"),
    ];
    match rejected.into_iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(unsupported(what)),
        None => Ok(()),
    }
}

fn server(cluster: &Cluster) -> Result<Url> {
    let text = cluster
        .server
        .as_deref()
        .ok_or_else(|| bad("the cluster has no server"))?;
    let url = Url::parse(text).map_err(|error| bad(format!("server {text:?}: {error}")))?;
    match url.scheme() {
        "https" | "http" if url.has_host() => Ok(url),
        _ => Err(bad(format!("server {text:?} is no https address"))),
    }
}

fn authority(cluster: &Cluster) -> Result<Option<String>> {
    let Some(encoded) = &cluster.certificate_authority_data else {
        return Ok(None);
    };
    let pem = text_of("certificate-authority-data", encoded)?;
    crate::services::certificates(&pem)?;
    Ok(Some(pem))
}

fn identity(user: &AuthInfo) -> Result<Option<Identity>> {
    match (&user.client_certificate_data, &user.client_key_data) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let certificate = text_of("client-certificate-data", certificate)?;
            let key = SecretString::from(text_of("client-key-data", key.expose_secret())?);
            let validity = Validity::of(&certificate)
                .map_err(|error| bad(format!("client-certificate-data: {}", error.message())))?;
            Ok(Some(Identity {
                certificate,
                key,
                validity,
            }))
        }
        _ => Err(bad(
            "client-certificate-data and client-key-data belong together",
        )),
    }
}

fn text_of(field: &str, encoded: &str) -> Result<String> {
    // The error of the decoder names the byte, which can belong to a key.
    let not_base64 = || bad(format!("{field} is not base64 text"));
    // `base64` of coreutils breaks lines, and Go's decoder, which kubectl uses, skips line breaks.
    let compact: Zeroizing<String> = Zeroizing::new(
        encoded
            .trim()
            .chars()
            .filter(|c| !matches!(c, '\r' | '\n'))
            .collect(),
    );
    let bytes = STANDARD
        .decode(compact.as_bytes())
        .map_err(|_| not_base64())?;
    String::from_utf8(bytes).map_err(|_| not_base64())
}

/// The position where parsing stopped. The parser's message quotes the lines around it, keys included.
fn unreadable(error: &KubeconfigError) -> Error {
    match error {
        KubeconfigError::Parse(cause) => match cause.location() {
            Some(at) => bad(format!(
                "cannot be parsed at line {}, column {}",
                at.line(),
                at.column()
            )),
            None => bad("cannot be parsed"),
        },
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            bad("its documents differ in kind or apiVersion")
        }
        _ => bad("cannot be read"),
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, OPERATION).with_message(message)
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, OPERATION).with_message(format!(
        "{what} is not supported; use inline data and verification"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cluster: &str, user: &str) -> SecretString {
        SecretString::from(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: admin@lungmen.akn\n\
             clusters:\n- name: lungmen.akn\n  cluster:\n{cluster}\n\
             users:\n- name: admin@lungmen.akn\n  user:\n{user}\n\
             contexts:\n- name: admin@lungmen.akn\n  context: {{cluster: lungmen.akn, user: admin@lungmen.akn}}\n"
        ))
    }

    const SERVER: &str = "    server: https://kubernetes.lungmen.akn.chezmoi.sh:6443";

    #[test]
    fn the_current_context_is_followed_to_its_cluster_and_user() {
        let config = Kubeconfig::parse(&text(SERVER, "    token: abc")).unwrap();

        assert_eq!(config.context(), "admin@lungmen.akn");
        assert_eq!(config.cluster(), "lungmen.akn");
        assert_eq!(config.server().port(), Some(6443));
        assert_eq!(config.expires(), None);
    }

    #[test]
    fn a_text_that_does_not_parse_is_described_by_position_only() {
        let broken =
            SecretString::from("users:\n- name: a\n  user: {token: hunter2\n  x: [hunter2\n");

        let error = Kubeconfig::parse(&broken).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.message().contains("line"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn base64_may_be_broken_into_lines() {
        for encoded in ["YWJjZA==", " YWJj\nZA==\n", "YWJj\r\nZA=\r\n=\r\n"] {
            assert_eq!(text_of("key", encoded).unwrap(), "abcd", "{encoded:?}");
        }
        assert!(text_of("key", "YW Jj").is_err());
    }

    #[test]
    fn keys_that_are_not_base64_are_not_quoted() {
        let user = "    client-certificate-data: aGk=\n    client-key-data: hunter2!";

        let error = Kubeconfig::parse(&text(SERVER, user)).unwrap_err();

        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn references_to_files_programs_and_disabled_checks_are_rejected() {
        let refused = [
            (
                format!("{SERVER}\n    certificate-authority: /ca.pem"),
                "    token: abc",
            ),
            (
                format!("{SERVER}\n    insecure-skip-tls-verify: true"),
                "    token: abc",
            ),
            (SERVER.to_owned(), "    tokenFile: /token"),
            (
                SERVER.to_owned(),
                "    exec: {command: aws, apiVersion: v1}",
            ),
        ];

        for (cluster, user) in refused {
            let error = Kubeconfig::parse(&text(&cluster, user)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{cluster} {user}");
        }
    }

    #[test]
    fn a_missing_context_is_named() {
        let error =
            Kubeconfig::parse_context(&text(SERVER, "    token: abc"), "other").unwrap_err();

        assert!(error.message().contains("\"other\""));
    }

    #[test]
    fn debug_shows_no_token() {
        let config = Kubeconfig::parse(&text(SERVER, "    token: hunter2")).unwrap();

        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
