//! Clients for the real servers, with credentials from the command line, the environment or files.

use lungmen_bootstrap::openbao;
use lungmen_bootstrap::services;
use lungmen_bootstrap::{ClusterBootstrapBuilder, Spec};
use proxmox_client::credentials::ApiToken;
use url::Url;

use crate::arguments::Servers;
use crate::environment::{ARGOCD, Environment, FACTORY, OPENBAO, PROXMOX, variable};
use crate::failure::Failure;

/// The public Image Factory.
const PUBLIC_FACTORY: &str = "https://factory.talos.dev";

/// Sets the trust of a client builder: an authority from a file, or the fingerprint of the certificate.
macro_rules! trusted {
    ($environment:expr, $names:expr, $builder:expr, $trust:ty) => {{
        let mut builder = $builder;
        if let Some(pem) = $environment.authority($names)
            && let Some(trust) = $environment.valid($names.server, <$trust>::from_pem(&pem))
        {
            builder = builder.trust(trust);
        }
        if let Some(pin) = $environment.fingerprint($names)
            && let Some(pin) = $environment.valid($names.server, pin.parse())
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
    flags: &Servers,
    asks_proxmox: bool,
) -> Result<ClusterBootstrapBuilder, Failure> {
    let environment = Environment::new(flags);
    let factory = factory(&environment, spec.factory.as_ref());
    let proxmox = match asks_proxmox {
        true => proxmox(&environment, spec.proxmox_endpoint.as_ref()),
        false => nobody(&environment),
    };
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

fn factory(environment: &Environment<'_>, in_spec: Option<&Url>) -> Option<factory_client::Client> {
    let address = in_spec.map_or(PUBLIC_FACTORY, Url::as_str);
    let url = environment.valid("factory", Url::parse(address))?;
    let url = environment.url(&FACTORY, Some(&url))?;
    let builder = trusted!(
        environment,
        &FACTORY,
        factory_client::Client::builder(url),
        factory_client::TlsTrust
    );
    environment.valid("factory", builder.build())
}

/// Proxmox VE usually has a certificate of its own: pin it with `PROXMOX_VE_FINGERPRINT`.
fn proxmox(environment: &Environment<'_>, in_spec: Option<&Url>) -> Option<proxmox_client::Client> {
    let endpoint = environment.url(&PROXMOX, in_spec);
    let token = environment
        .token(&PROXMOX)
        .and_then(|text| environment.valid("proxmox", ApiToken::parse(&text)));
    let mut builder = proxmox_client::Client::builder(endpoint?, token?);
    if environment.is_without_tls(&PROXMOX) {
        builder = builder.danger_allow_plain_http();
    }
    let builder = trusted!(environment, &PROXMOX, builder, proxmox_client::TlsTrust);
    environment.valid("proxmox", builder.build())
}

/// A client for a command that asks Proxmox VE nothing, so that nobody has to have a token for it. Its address does not exist.
fn nobody(environment: &Environment<'_>) -> Option<proxmox_client::Client> {
    let address = environment.valid("proxmox", Url::parse("https://proxmox.invalid"))?;
    let token = "nobody@pve!none=00000000-0000-0000-0000-000000000000";
    let token = environment.valid("proxmox", ApiToken::parse(&token.into()))?;
    let builder = proxmox_client::Client::builder(address, token);
    environment.valid("proxmox", builder.build())
}

fn openbao(environment: &Environment<'_>, in_spec: Option<&Url>) -> Option<openbao::Client> {
    let address = environment.url(&OPENBAO, in_spec);
    let token = environment.token(&OPENBAO);
    let mut builder = trusted!(
        environment,
        &OPENBAO,
        openbao::Client::builder(address?, openbao::Credentials::token(token?)),
        services::TlsTrust
    );
    if let Some(namespace) = variable(&["BAO_NAMESPACE", "VAULT_NAMESPACE"]) {
        builder = builder.namespace(namespace);
    }
    environment.valid("openbao", builder.build())
}

/// The address of Argo CD may be a host alone, as `argocd login` takes it.
fn argocd(environment: &Environment<'_>, in_spec: Option<&str>) -> Option<argocd_client::Client> {
    let url = environment
        .address(&ARGOCD, in_spec)
        .and_then(|text| environment.valid("argocd", argocd_client::parse_endpoint(&text)))
        .and_then(|url| environment.allowed(&ARGOCD, url));
    let token = environment.token(&ARGOCD);
    let builder = trusted!(
        environment,
        &ARGOCD,
        argocd_client::Client::builder(url?, argocd_client::Credentials::Token(token?)),
        argocd_client::TlsTrust
    );
    environment.valid("argocd", builder.build())
}
