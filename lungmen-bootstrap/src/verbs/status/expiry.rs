//! When certificates end.

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use talos_client::secrets::SecretsBundle;
use talos_client::talosconfig::Talosconfig;

use super::Expiry;
use crate::run::context::Context;
use crate::services::Validity;
use crate::services::kubernetes::Kubeconfig;
use crate::state::artifacts::Artifact;
use crate::state::record::ClusterRecord;

/// Everything whose end is known, the earliest first. A file that cannot be read has none here: the plan reports it.
pub(super) fn all(
    context: &Context,
    record: Option<&ClusterRecord>,
    now: Timestamp,
) -> Vec<Expiry> {
    let mut ends: Vec<(String, Timestamp)> = Vec::new();
    if let Some(record) = record {
        ends.extend(authorities(&record.bundle));
    }
    let artifacts = context.artifacts();
    if let Ok(Some(text)) = artifacts.read(&Artifact::Talosconfig)
        && let Ok(config) = Talosconfig::parse(text.expose_secret())
        && let Ok(Some(end)) = config
            .current_context()
            .and_then(|context| context.not_after())
    {
        ends.push(("admin certificate in talosconfig".to_owned(), end));
    }
    if let Ok(Some(text)) = artifacts.read(&Artifact::Kubeconfig)
        && let Ok(config) = Kubeconfig::parse(&text)
        && let Some(end) = config.expires()
    {
        ends.push(("admin certificate in kubeconfig".to_owned(), end));
    }
    let mut expiries: Vec<Expiry> = ends
        .into_iter()
        .map(|(what, at)| Expiry::new(what, at, now))
        .collect();
    expiries.sort_by_key(|expiry| expiry.at);
    expiries
}

fn authorities(bundle: &SecretsBundle) -> Vec<(String, Timestamp)> {
    [
        ("Talos", bundle.os_ca()),
        ("Kubernetes", bundle.kubernetes_ca()),
        ("aggregator", bundle.aggregator_ca()),
        ("etcd", bundle.etcd_ca()),
    ]
    .into_iter()
    .filter_map(|(name, authority)| {
        let validity = Validity::of(authority?.certificate_pem()).ok()??;
        let what = format!("certificate authority of {name}");
        Some((what, validity.end))
    })
    .collect()
}
