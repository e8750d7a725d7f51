//! The Argo CD of the lab. It calls a cluster before it registers it, as the real one does.

use std::sync::{Arc, OnceLock, Weak};

use argocd_client::mock::{ApplicationSeed, ArgoCdMock, TargetProbe};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::pace::Delays;
use super::servers::Servers;
use crate::services::kubernetes::{Client, Kubeconfig};
use crate::services::{Error, ErrorKind};

/// The applications that an ApplicationSet creates for every registered cluster.
const APPLICATIONS: [&str; 2] = ["cert-manager", "longhorn"];

pub(super) async fn start(
    delays: &Delays,
    with_applications: bool,
    restoring: bool,
    servers: Arc<OnceLock<Weak<Servers>>>,
) -> ArgoCdMock {
    let mut builder = ArgoCdMock::builder().target_check(move |probe| {
        let servers = servers.get().and_then(Weak::upgrade);
        async move {
            match servers {
                Some(servers) => call(&servers, &probe).await,
                None => Err("no such cluster".into()),
            }
        }
    });
    if with_applications {
        for name in APPLICATIONS {
            let (sync, health) = if restoring {
                Default::default()
            } else {
                (delays.sync, delays.health)
            };
            builder =
                builder.application_per_cluster(ApplicationSeed::new(name).delays(sync, health));
        }
    }
    builder.start().await
}

/// Reads `/version` of the cluster with the credentials of the registration.
async fn call(servers: &Servers, probe: &TargetProbe) -> Result<String, String> {
    let kubernetes = servers
        .kubernetes()
        .ok_or_else(|| format!("Get \"{}/version\": dial tcp: no such host", probe.server))?;
    let kubeconfig =
        Kubeconfig::parse(&kubeconfig(probe).into()).map_err(|error| error.to_string())?;
    let mut builder = Client::builder(kubeconfig).dial(kubernetes.address());
    if let Some(token) = &probe.bearer_token {
        builder = builder.bearer_token(token.clone());
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    match client.version().await {
        Ok(version) => Ok(version.git_version),
        Err(error) => Err(in_words_of_go(&probe.server, &error)),
    }
}

/// The failure as the Kubernetes client of Argo CD puts it; its clients tell the causes apart by these texts.
fn in_words_of_go(server: &str, error: &Error) -> String {
    match error.kind() {
        ErrorKind::Unauthenticated => {
            "the server has asked for the client to provide credentials".into()
        }
        ErrorKind::Certificate => format!(
            "Get \"{server}/version?timeout=32s\": tls: failed to verify certificate: x509: certificate signed by unknown \
             authority"
        ),
        _ => error.to_string(),
    }
}

fn kubeconfig(probe: &TargetProbe) -> String {
    let authority = STANDARD.encode(probe.ca_pem.as_deref().unwrap_or_default());
    let token = probe
        .bearer_token
        .as_ref()
        .map_or("", |token| token.expose_secret());
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {{cluster: a, user: a}}\n\
         clusters:\n- name: a\n  cluster: {{server: \"{}\", certificate-authority-data: \"{authority}\"}}\n\
         users:\n- name: a\n  user: {{token: \"{token}\"}}\n",
        probe.server
    )
}
