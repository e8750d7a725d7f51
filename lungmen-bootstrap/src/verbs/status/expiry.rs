//! When certificates and tokens end.

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use talos_client::secrets::SecretsBundle;
use talos_client::talosconfig::Talosconfig;

use super::Expiry;
use crate::run::context::Context;
use crate::services::Validity;
use crate::services::kubernetes::Kubeconfig;
use crate::state::artifacts::Artifact;
use crate::state::credentials::{self, Found};
use crate::state::record::ClusterRecord;
use crate::state::talosconfig;

/// What ends, and when.
type End = (String, Validity);

/// Everything whose end is known, the earliest first. A file that cannot be read has none here: the plan reports it.
pub(super) async fn all(
    context: &Context,
    record: Option<&ClusterRecord>,
    kubeconfig: Option<&Found>,
    now: Timestamp,
) -> Vec<Expiry> {
    let (mut ends, talosconfig) = tokio::join!(tokens(context), admin_of_talosconfig(context));
    if let Some(record) = record {
        ends.extend(authorities(&record.bundle));
    }
    ends.extend(talosconfig);
    ends.extend(kubeconfig.and_then(admin_of_kubeconfig));
    let mut expiries: Vec<Expiry> = ends
        .into_iter()
        .map(|(what, validity)| Expiry::new(what, validity, now))
        .collect();
    expiries.sort_by_key(|expiry| expiry.at);
    expiries
}

async fn admin_of_talosconfig(context: &Context) -> Option<End> {
    let found = credentials::find(context, &Artifact::Talosconfig).await;
    let config = Talosconfig::parse(found.ok()??.text.expose_secret()).ok()?;
    let validity = talosconfig::validity(&config)?;
    Some(("admin certificate in talosconfig".to_owned(), validity))
}

fn admin_of_kubeconfig(found: &Found) -> Option<End> {
    let validity = Kubeconfig::parse(&found.text).ok()?.validity()?;
    Some(("admin certificate in kubeconfig".to_owned(), validity))
}

fn authorities(bundle: &SecretsBundle) -> Vec<End> {
    [
        ("Talos", bundle.os_ca()),
        ("Kubernetes", bundle.kubernetes_ca()),
        ("aggregator", bundle.aggregator_ca()),
        ("etcd", bundle.etcd_ca()),
    ]
    .into_iter()
    .filter_map(|(name, authority)| {
        let validity = Validity::of(authority?.certificate_pem()).ok()??;
        Some((format!("certificate authority of {name}"), validity))
    })
    .collect()
}

/// The tokens that were given for the servers, as far as they have an end and may read it. A client that logs in by itself
/// has no token that could be missed.
async fn tokens(context: &Context) -> Vec<End> {
    let (proxmox, store) = tokio::join!(proxmox(context), store(context));
    [proxmox, store, argocd(context)]
        .into_iter()
        .flatten()
        .collect()
}

async fn proxmox(context: &Context) -> Option<End> {
    let client = &context.clients().proxmox;
    let id = client.token_id()?;
    let (user, name) = id.split_once('!')?;
    let tokens = client.access().tokens(user).await.ok()?;
    let token = tokens
        .into_iter()
        .find(|token| token.name.as_deref() == Some(name))?;
    let end = i64::try_from(token.expires_at.filter(|end| *end > 0)?).ok()?;
    let end = Timestamp::from_second(end).ok()?;
    Some((format!("token {id} of Proxmox VE"), without_begin(end)))
}

async fn store(context: &Context) -> Option<End> {
    let store = context.store();
    let validity = store.token_validity().await.ok()??;
    Some((format!("token for {}", store.describe()), validity))
}

fn argocd(context: &Context) -> Option<End> {
    let end = context.clients().argocd.as_ref()?.token_expires_at()?;
    Some(("token of Argo CD".to_owned(), without_begin(end)))
}

/// Nobody says since when it is valid: long enough that the last month counts.
const fn without_begin(end: Timestamp) -> Validity {
    Validity {
        begin: Timestamp::UNIX_EPOCH,
        end,
    }
}
