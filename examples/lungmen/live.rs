//! Clients for the real servers, with credentials from the environment.

use lungmen_bootstrap::openbao;
use lungmen_bootstrap::services;
use lungmen_bootstrap::{ClusterBootstrapBuilder, Spec};
use proxmox_client::credentials::ApiToken;
use url::Url;

use crate::environment::{Environment, variable};
use crate::failure::Failure;

/// The public Image Factory.
const FACTORY: &str = "https://factory.talos.dev";

/// Sets the trust of a client builder: an authority from a file, or the fingerprint of the certificate.
macro_rules! trusted {
    ($environment:expr, $builder:expr, $server:literal, $trust:ty, $file:expr, $fingerprint:expr) => {{
        let mut builder = $builder;
        if let Some(pem) = $environment.file($server, $file)
            && let Some(trust) = $environment.valid($server, <$trust>::from_pem(&pem))
        {
            builder = builder.trust(trust);
        }
        if let Some(pin) = variable($fingerprint)
            && let Some(pin) = $environment.valid($server, pin.parse())
        {
            builder = builder.trust(<$trust>::pinned(pin));
        }
        builder
    }};
}

/// A builder with everything of the specification and a client for each server that it names. Everything that is missing is
/// one failure.
pub(crate) fn bootstrap(
    spec: Spec,
    without_tls: &[String],
) -> Result<ClusterBootstrapBuilder, Failure> {
    let environment = Environment::new(without_tls);
    let factory = factory(&environment, spec.factory.as_ref());
    let proxmox = proxmox(&environment, spec.proxmox_endpoint.as_ref());
    let openbao = spec
        .openbao
        .as_ref()
        .map(|target| openbao(&environment, target.address.as_ref()));
    let argocd = spec
        .argocd
        .as_ref()
        .map(|target| argocd(&environment, target.server.as_deref()));
    environment.check()?;

    let mut builder = spec.bootstrap();
    if let Some(client) = proxmox {
        builder = builder.proxmox(client);
    }
    if let Some(client) = factory {
        builder = builder.factory(client);
    }
    if let Some(client) = openbao.flatten() {
        builder = builder.openbao_client(client);
    }
    if let Some(client) = argocd.flatten() {
        builder = builder.argocd_client(client);
    }
    Ok(builder)
}

fn factory(environment: &Environment, in_spec: Option<&Url>) -> Option<factory_client::Client> {
    let url = match in_spec {
        Some(url) => url.clone(),
        None => environment.valid("factory", Url::parse(FACTORY))?,
    };
    let builder = trusted!(
        environment,
        factory_client::Client::builder(url),
        "factory",
        factory_client::TlsTrust,
        &["IMAGE_FACTORY_CACERT"],
        &["IMAGE_FACTORY_FINGERPRINT"]
    );
    environment.valid("factory", builder.build())
}

/// Proxmox VE usually has a certificate of its own: pin it with `PROXMOX_VE_FINGERPRINT`.
fn proxmox(environment: &Environment, in_spec: Option<&Url>) -> Option<proxmox_client::Client> {
    let endpoint = environment.address(
        "proxmox",
        "proxmox.endpoint",
        in_spec.map(Url::as_str),
        &["PROXMOX_VE_ENDPOINT"],
    );
    let token = environment
        .secret("proxmox", &["PROXMOX_VE_API_TOKEN"])
        .and_then(|text| environment.valid("proxmox", ApiToken::parse(&text)));
    let builder = trusted!(
        environment,
        proxmox_client::Client::builder(endpoint?, token?),
        "proxmox",
        proxmox_client::TlsTrust,
        &["PROXMOX_VE_CACERT"],
        &["PROXMOX_VE_FINGERPRINT"]
    );
    environment.valid("proxmox", builder.build())
}

fn openbao(environment: &Environment, in_spec: Option<&Url>) -> Option<openbao::Client> {
    let address = environment.address(
        "openbao",
        "openbao.address",
        in_spec.map(Url::as_str),
        &["BAO_ADDR", "VAULT_ADDR"],
    );
    let token = environment.secret("openbao", &["BAO_TOKEN", "VAULT_TOKEN"]);
    let mut builder = trusted!(
        environment,
        openbao::Client::builder(address?, openbao::Credentials::token(token?)),
        "openbao",
        services::TlsTrust,
        &["BAO_CACERT", "VAULT_CACERT"],
        &["BAO_FINGERPRINT"]
    );
    if let Some(namespace) = variable(&["BAO_NAMESPACE", "VAULT_NAMESPACE"]) {
        builder = builder.namespace(namespace);
    }
    environment.valid("openbao", builder.build())
}

/// The address of Argo CD may be a host alone, as `argocd login` takes it.
fn argocd(environment: &Environment, in_spec: Option<&str>) -> Option<argocd_client::Client> {
    let server = variable(&["ARGOCD_SERVER"]).or_else(|| in_spec.map(str::to_owned));
    if server.is_none() {
        environment.problem(
            "argocd: the address is missing: set argocd.server in the specification, or ARGOCD_SERVER",
        );
    }
    let url = server
        .and_then(|text| environment.valid("argocd", argocd_client::parse_endpoint(&text)))
        .filter(|url| environment.allow("argocd", url).is_some());
    let token = environment.secret("argocd", &["ARGOCD_AUTH_TOKEN"]);
    let builder = trusted!(
        environment,
        argocd_client::Client::builder(url?, argocd_client::Credentials::Token(token?)),
        "argocd",
        argocd_client::TlsTrust,
        &["ARGOCD_SERVER_CRT", "ARGOCD_CACERT"],
        &["ARGOCD_FINGERPRINT"]
    );
    environment.valid("argocd", builder.build())
}
