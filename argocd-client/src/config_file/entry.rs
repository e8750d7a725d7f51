//! The entries of a configuration file, as the command line spells them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_yaml::Value;
use url::Url;

use super::failed;
use crate::endpoint::parse_endpoint;
use crate::error::{ErrorKind, Result};
use crate::tls::TlsTrust;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ContextEntry {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) user: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ServerEntry {
    pub(super) server: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) insecure: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) plain_text: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) core: bool,
    #[serde(default)]
    pub(super) grpc_web_root_path: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) certificate_authority_data: String,
    #[serde(flatten)]
    pub(super) other: std::collections::BTreeMap<String, Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct UserEntry {
    pub(super) name: String,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed"
    )]
    pub(super) auth_token: Option<SecretString>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed"
    )]
    pub(super) refresh_token: Option<SecretString>,
}

fn exposed<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.as_ref().map_or("", |secret| secret.expose_secret()))
}

impl ServerEntry {
    /// The command line keeps host and port, and the root path beside them.
    pub(super) fn of(endpoint: &Url, authority: Option<&str>) -> Self {
        let root = endpoint.path().trim_matches('/').to_owned();
        let host = endpoint.host_str().unwrap_or_default();
        let port = endpoint
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        let server = if root.is_empty() {
            format!("{host}{port}")
        } else {
            format!("{host}{port}/{root}")
        };
        Self {
            server,
            plain_text: endpoint.scheme() == "http",
            grpc_web_root_path: root,
            certificate_authority_data: authority
                .map(|pem| STANDARD.encode(pem))
                .unwrap_or_default(),
            ..Self::default()
        }
    }

    pub(super) fn endpoint(&self) -> Result<Url> {
        let scheme = if self.plain_text { "http" } else { "https" };
        let root = self.grpc_web_root_path.trim_matches('/');
        // Contexts with a root path carry it in their address too.
        let address = self
            .server
            .strip_suffix(root)
            .unwrap_or(&self.server)
            .trim_end_matches('/');
        parse_endpoint(&format!("{scheme}://{address}/{root}"))
    }

    pub(super) fn trust(&self) -> Result<Option<TlsTrust>> {
        if self.certificate_authority_data.is_empty() {
            return Ok(None);
        }
        let pem = STANDARD
            .decode(&self.certificate_authority_data)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| {
                failed(ErrorKind::Configuration)
                    .with_target(&self.server)
                    .with_message("certificate-authority-data is not base64")
            })?;
        TlsTrust::from_pem(&pem).map(Some)
    }
}
