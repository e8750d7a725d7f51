//! The settings of a server that matter to a client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::nullable;

/// Settings of the server; some are shown only to those that are logged in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Settings {
    /// Address under which people reach the server.
    #[serde(default, deserialize_with = "nullable")]
    pub url: String,
    /// Whether applications may live outside Argo CD's own namespace: names alone do not identify
    /// them then.
    #[serde(default, deserialize_with = "nullable")]
    pub apps_in_any_namespace_enabled: bool,
    /// Whether local accounts cannot log in with a password.
    #[serde(default, deserialize_with = "nullable")]
    pub user_logins_disabled: bool,
    /// The namespace of Argo CD; shown after login.
    #[serde(default, deserialize_with = "nullable")]
    pub controller_namespace: String,
    /// The pattern of new passwords; shown after login.
    #[serde(default, deserialize_with = "nullable")]
    pub password_pattern: String,
    /// How resources are recognised: `annotation`, `label` or `annotation+label`.
    #[serde(default, deserialize_with = "nullable")]
    pub tracking_method: String,
    /// The OIDC provider, when one is configured directly.
    #[serde(default)]
    pub oidc_config: Option<OidcConfig>,
    /// The bundled Dex, when it has connectors.
    #[serde(default)]
    pub dex_config: Option<DexConfig>,
}

/// A directly configured OIDC provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OidcConfig {
    /// Name for people.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Address of the provider.
    #[serde(default, deserialize_with = "nullable")]
    pub issuer: String,
    /// Client of the web interface.
    #[serde(default, rename = "clientID", deserialize_with = "nullable")]
    pub client_id: String,
    /// Public client of command lines; empty means that of the web interface.
    #[serde(default, rename = "cliClientID", deserialize_with = "nullable")]
    pub cli_client_id: String,
    /// Scopes to ask for; empty means the default ones.
    #[serde(default, deserialize_with = "nullable")]
    pub scopes: Vec<String>,
    /// Claims to ask for in the id token.
    #[serde(default, rename = "idTokenClaims", deserialize_with = "nullable")]
    pub id_token_claims: BTreeMap<String, ClaimRequest>,
}

/// A claim that is asked for in the id token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// Whether the login makes no sense without it.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub essential: bool,
    /// The value that it must have.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub value: String,
    /// The values of which it must have one.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub values: Vec<String>,
}

/// The bundled Dex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DexConfig {
    /// The identity providers behind it.
    #[serde(default, deserialize_with = "nullable")]
    pub connectors: Vec<DexConnector>,
}

/// An identity provider behind Dex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DexConnector {
    /// Name for people.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Type, such as `github`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
}
