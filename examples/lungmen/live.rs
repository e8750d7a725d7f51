//! Clients for the real servers, with credentials from the environment.

use std::env;

use lungmen_bootstrap::openbao;
use lungmen_bootstrap::services::TlsTrust as ServiceTrust;
use lungmen_bootstrap::{ClusterBootstrapBuilder, Spec};
use proxmox_client::credentials::ApiToken;
use secrecy::SecretString;
use url::Url;

use crate::failure::Failure;

/// The public Image Factory.
const FACTORY: &str = "https://factory.talos.dev";

/// A builder with everything of the specification and a client for each server that it names.
pub(crate) fn bootstrap(spec: Spec) -> Result<ClusterBootstrapBuilder, Failure> {
    let factory = match &spec.factory {
        Some(url) => url.clone(),
        None => url("the Image Factory", FACTORY)?,
    };
    let proxmox = proxmox(spec.proxmox_endpoint.as_ref())?;
    let openbao = spec
        .openbao
        .as_ref()
        .map(|target| openbao(target.address.as_ref()))
        .transpose()?;
    let argocd = spec
        .argocd
        .as_ref()
        .map(|target| argocd(target.server.as_deref()))
        .transpose()?;

    let mut builder = spec
        .bootstrap()
        .proxmox(proxmox)
        .factory(factory_client::Client::builder(factory).build()?);
    if let Some(client) = openbao {
        builder = builder.openbao_client(client);
    }
    if let Some(client) = argocd {
        builder = builder.argocd_client(client);
    }
    Ok(builder)
}

/// Proxmox VE usually has a certificate of its own: pin it with `PROXMOX_VE_FINGERPRINT`.
fn proxmox(endpoint: Option<&Url>) -> Result<proxmox_client::Client, Failure> {
    let endpoint = address(
        "proxmox.endpoint",
        endpoint.map(Url::as_str),
        &["PROXMOX_VE_ENDPOINT"],
    )?;
    let token = ApiToken::parse(&secret(&["PROXMOX_VE_API_TOKEN"])?)?;
    let mut builder = proxmox_client::Client::builder(endpoint, token);
    if let Some(pin) = variable(&["PROXMOX_VE_FINGERPRINT"]) {
        builder = builder.trust(proxmox_client::TlsTrust::pinned(pin.parse()?));
    }
    Ok(builder.build()?)
}

fn openbao(address_in_spec: Option<&Url>) -> Result<openbao::Client, Failure> {
    let address = address(
        "openbao.address",
        address_in_spec.map(Url::as_str),
        &["BAO_ADDR", "VAULT_ADDR"],
    )?;
    let token = secret(&["BAO_TOKEN", "VAULT_TOKEN"])?;
    let mut builder = openbao::Client::builder(address, openbao::Credentials::token(token));
    if let Some(file) = variable(&["BAO_CACERT", "VAULT_CACERT"]) {
        builder = builder.trust(ServiceTrust::from_pem(&read(&file)?)?);
    }
    if let Some(namespace) = variable(&["BAO_NAMESPACE", "VAULT_NAMESPACE"]) {
        builder = builder.namespace(namespace);
    }
    Ok(builder.build()?)
}

fn argocd(server_in_spec: Option<&str>) -> Result<argocd_client::Client, Failure> {
    let server = variable(&["ARGOCD_SERVER"])
        .or_else(|| server_in_spec.map(str::to_owned))
        .ok_or_else(|| Failure::missing("argocd.server", &["ARGOCD_SERVER"]))?;
    let token = secret(&["ARGOCD_AUTH_TOKEN"])?;
    let mut builder = argocd_client::Client::builder(
        argocd_client::parse_endpoint(&server)?,
        argocd_client::Credentials::Token(token),
    );
    if let Some(file) = variable(&["ARGOCD_SERVER_CRT"]) {
        builder = builder.trust(argocd_client::TlsTrust::from_pem(&read(&file)?)?);
    }
    Ok(builder.build()?)
}

/// The environment wins over the specification, so that one file serves several places.
fn address(field: &str, in_spec: Option<&str>, names: &[&str]) -> Result<Url, Failure> {
    let text = variable(names)
        .or_else(|| in_spec.map(str::to_owned))
        .ok_or_else(|| Failure::missing(field, names))?;
    url(names[0], &text)
}

fn url(what: &str, text: &str) -> Result<Url, Failure> {
    Url::parse(text)
        .map_err(|error| Failure::message(format!("{what}: {text:?} is no URL: {error}")))
}

fn secret(names: &[&str]) -> Result<SecretString, Failure> {
    variable(names)
        .map(SecretString::from)
        .ok_or_else(|| Failure::missing("a credential", names))
}

/// The first of the variables that is set and not empty.
fn variable(names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
}

fn read(file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::message(format!("{file}: {error}")))
}
