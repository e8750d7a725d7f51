//! How Argo CD logs in to a cluster.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::wire::nullable;

/// Version of the protocol between Kubernetes clients and login programs, as Argo CD documents it.
const EXEC_API_VERSION: &str = "client.authentication.k8s.io/v1beta1";
/// The login program that the images of Argo CD contain.
const K8S_AUTH: &str = "argocd-k8s-auth";

/// A login by the identity of AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AwsAuth {
    /// Name of the cluster in AWS.
    #[serde(default, rename = "clusterName", deserialize_with = "nullable")]
    pub cluster_name: String,
    /// The role that is assumed; empty for none.
    #[serde(default, rename = "roleARN", deserialize_with = "nullable")]
    pub role_arn: String,
    /// The profile that is used; empty for the default.
    #[serde(default, deserialize_with = "nullable")]
    pub profile: String,
}

impl AwsAuth {
    /// The identity of Argo CD itself, for the cluster of this name in AWS.
    #[must_use]
    pub fn new(cluster_name: impl Into<String>) -> Self {
        Self {
            cluster_name: cluster_name.into(),
            ..Self::default()
        }
    }

    /// Assumes this role first.
    #[must_use]
    pub fn role_arn(mut self, role: impl Into<String>) -> Self {
        self.role_arn = role.into();
        self
    }

    /// Uses this profile.
    #[must_use]
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = profile.into();
        self
    }

    fn config(&self) -> Value {
        let fields = [
            ("clusterName", &self.cluster_name),
            ("roleARN", &self.role_arn),
            ("profile", &self.profile),
        ];
        let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Value::Object(
            given
                .map(|(name, text)| (name.to_owned(), json!(text)))
                .collect(),
        )
    }
}

/// A program that Argo CD runs to log in to a cluster; it must exist in the image of Argo CD. The server never shows it
/// again.
#[derive(Debug, Clone)]
#[must_use = "a program does nothing until a cluster is registered with it"]
pub struct ExecProvider {
    command: String,
    args: Vec<String>,
    env: BTreeMap<String, SecretString>,
    api_version: String,
    install_hint: Option<String>,
    provide_cluster_info: bool,
}

impl ExecProvider {
    /// A program of the path of Argo CD's image.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            api_version: EXEC_API_VERSION.to_owned(),
            install_hint: None,
            provide_cluster_info: false,
        }
    }

    /// The login of Google Kubernetes Engine, by the workload identity of Argo CD.
    pub fn gcp() -> Self {
        Self::new(K8S_AUTH).arg("gcp")
    }

    /// The login of Azure Kubernetes Service; its variables, such as `AAD_LOGIN_METHOD`, choose how.
    pub fn azure() -> Self {
        Self::new(K8S_AUTH).arg("azure")
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.args.push(argument.into());
        self
    }

    /// Sets a variable of the environment of the program. Its value is treated as a secret.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets the version of the protocol. Defaults to `client.authentication.k8s.io/v1beta1`.
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// Says what to do where the program is missing.
    pub fn install_hint(mut self, hint: impl Into<String>) -> Self {
        self.install_hint = Some(hint.into());
        self
    }

    /// Gives the program the address and CA of the cluster (3.5 and later).
    pub fn provide_cluster_info(mut self) -> Self {
        self.provide_cluster_info = true;
        self
    }

    fn config(&self) -> Value {
        let env: Map<String, Value> = self
            .env
            .iter()
            .map(|(name, value)| (name.clone(), json!(value.expose_secret())))
            .collect();
        let fields = [
            ("command", json!(self.command)),
            ("args", json!(self.args)),
            ("env", env.into()),
            ("apiVersion", json!(self.api_version)),
            (
                "installHint",
                json!(self.install_hint.as_deref().unwrap_or_default()),
            ),
            ("provideClusterInfo", json!(self.provide_cluster_info)),
        ];
        // The server tells empty values from absent ones.
        let given = fields
            .into_iter()
            .filter(|(_, value)| !crate::wire::is_empty(value));
        Value::Object(
            given
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

/// The ways to log in that can be written.
#[derive(Debug, Clone)]
pub(super) enum ClusterAuth {
    Token(SecretString),
    Aws(AwsAuth),
    Exec(ExecProvider),
}

impl ClusterAuth {
    /// The field of the connection settings and its value.
    pub(super) fn field(&self) -> (&'static str, Value) {
        match self {
            Self::Token(token) => ("bearerToken", json!(token.expose_secret())),
            Self::Aws(aws) => ("awsAuthConfig", aws.config()),
            Self::Exec(exec) => ("execProviderConfig", exec.config()),
        }
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        let blank = |text: &str| {
            text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        match self {
            Self::Token(token) if blank(token.expose_secret()) => {
                Some("bearer token: empty, or with white space in it")
            }
            Self::Aws(aws) if blank(&aws.cluster_name) => {
                Some("AWS: the name of the cluster is empty, or has white space in it")
            }
            Self::Exec(exec) if exec.command.trim().is_empty() => {
                Some("exec: the command must not be empty")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_written_as_the_server_reads_it_and_its_variables_stay_secret() {
        let exec = ExecProvider::azure().env("AZURE_CLIENT_SECRET", "canary");

        assert_eq!(
            exec.config(),
            json!({
                "command": "argocd-k8s-auth", "args": ["azure"], "env": {"AZURE_CLIENT_SECRET": "canary"},
                "apiVersion": "client.authentication.k8s.io/v1beta1",
            })
        );
        assert!(!format!("{exec:?}").contains("canary"));
    }

    #[test]
    fn a_login_without_its_essentials_is_a_problem() {
        let token = |text: &str| ClusterAuth::Token(SecretString::from(text));

        assert!(token("").problem().is_some());
        assert!(token("a b").problem().is_some());
        assert!(token("a").problem().is_none());
        assert!(ClusterAuth::Aws(AwsAuth::new("")).problem().is_some());
        assert!(ClusterAuth::Aws(AwsAuth::new("eks")).problem().is_none());
        assert!(
            ClusterAuth::Exec(ExecProvider::new(" "))
                .problem()
                .is_some()
        );
    }
}
