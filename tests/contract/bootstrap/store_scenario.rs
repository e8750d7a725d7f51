//! What every store promises, whatever keeps the documents.

use lungmen_bootstrap::Error;
use lungmen_bootstrap::claim::{
    Origin, Wanted, choose_bootstrap, claim, find, record_bootstrapped,
};
use lungmen_bootstrap::lease::{Lease, LeaseOptions};
use lungmen_bootstrap::services::ErrorKind;
use lungmen_bootstrap::store::{Document, Entries, Revision, SecretStore};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use talos_client::config::VersionContract;
use talos_client::secrets::SecretsBundle;

const CONTRACT: VersionContract = VersionContract::new(1, 6);

pub(super) fn wanted(cluster: &str) -> Wanted {
    let endpoint = format!("https://kubernetes.{cluster}:6443");
    Wanted::new(cluster, endpoint.parse().unwrap(), CONTRACT, "376567988a")
}

/// Contract v1.6 has no RSA key, which takes a second to make.
pub(super) async fn bundle() -> Result<SecretsBundle, Error> {
    Ok(SecretsBundle::generate_blocking(CONTRACT)?)
}

pub(super) fn entries(pairs: &[(&str, &str)]) -> Entries {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).into()))
        .collect()
}

pub(super) fn text(entries: &Entries, name: &str) -> String {
    entries[name].expose_secret().to_owned()
}

/// Everything below, for an empty store.
pub(super) async fn holds(store: Arc<dyn SecretStore>) {
    store.preflight().await.unwrap();
    leases(&store).await;
    claims_race(&store).await;
    refuses_another_cluster(&store).await;
    records_the_bootstrap(&store).await;
    replaces_only_the_named_revision(&store).await;
}

/// Of several runs one gets the lease, and the next one gets it after the release.
async fn leases(store: &Arc<dyn SecretStore>) {
    let acquire = || Lease::acquire(Arc::clone(store), LeaseOptions::default(), |_| {});
    let attempts = futures_util::future::join_all((0..4).map(|_| acquire())).await;
    let mut held: Vec<Lease> = attempts.into_iter().filter_map(Result::ok).collect();
    assert_eq!(held.len(), 1, "{}", store.describe());
    let lease = held.remove(0);
    let token = lease.guard().token();
    lease.guard().check().await.unwrap();
    lease.release().await.unwrap();

    let next = acquire().await.unwrap();
    assert_eq!(next.guard().token(), token + 1);
    next.release().await.unwrap();
}

/// Of several claims one creates the record, and all end with it.
async fn claims_race(store: &Arc<dyn SecretStore>) {
    assert!(store.read(Document::Record).await.unwrap().is_none());
    let wanted = wanted("lungmen.akn");
    let claims = (0..4).map(|_| claim(store.as_ref(), &wanted, bundle));
    let claims = futures_util::future::try_join_all(claims).await.unwrap();

    let created = claims
        .iter()
        .filter(|claimed| claimed.origin == Origin::Created)
        .count();
    assert_eq!(created, 1, "{}", store.describe());
    let kept = find(store.as_ref(), &wanted).await.unwrap().unwrap();
    assert!(claims.iter().all(|claimed| claimed.record == kept.record));
}

async fn refuses_another_cluster(store: &Arc<dyn SecretStore>) {
    let error = claim(store.as_ref(), &wanted("other.akn"), bundle)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), lungmen_bootstrap::ErrorKind::NotOurs);
    assert_eq!(error.target(), store.describe());
}

/// Several runs choose at the same time; all of them get the same machine.
async fn records_the_bootstrap(store: &Arc<dyn SecretStore>) {
    let choices = ["tal01", "tal02", "tal03"].map(|name| choose_bootstrap(store.as_ref(), name, 1));
    let chosen = futures_util::future::try_join_all(choices).await.unwrap();
    let machines: Vec<&str> = chosen
        .iter()
        .map(|(_, decision)| decision.machine.as_str())
        .collect();
    assert!(
        machines.iter().all(|machine| *machine == machines[0]),
        "{machines:?}"
    );
    let recorded = record_bootstrapped(store.as_ref(), machines[0], Some("8ae44a1b"), 1).await;
    let kept = find(store.as_ref(), &wanted("lungmen.akn"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(recorded.unwrap(), kept.record);
}

async fn replaces_only_the_named_revision(store: &Arc<dyn SecretStore>) {
    let found = store.read(Document::Record).await.unwrap().unwrap();
    let exists = store
        .create(Document::Record, &found.entries)
        .await
        .unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::AlreadyExists);

    let more = entries(&[("note", "x")]);
    let mut all = found.entries.clone();
    all.extend(more);
    let newer = store
        .replace(Document::Record, &all, &found.revision)
        .await
        .unwrap();
    let stale = store
        .replace(Document::Record, &found.entries, &found.revision)
        .await
        .unwrap_err();

    assert_eq!(stale.kind(), ErrorKind::Conflict);
    let kept = store.read(Document::Record).await.unwrap().unwrap();
    assert_eq!(kept.revision, newer);
    assert_eq!(text(&kept.entries, "note"), "x");
    let unknown = Revision::new("7777777");
    let missing = store
        .replace(Document::Record, &found.entries, &unknown)
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Conflict);
}
