//! What the bootstrap does with OpenBao, told once and played against the fake and against a real server: where the two
//! would differ, one of the tests fails.

use lungmen_bootstrap::openbao::{Client, MetadataSpec, SecretMap, Stored};
use lungmen_bootstrap::services::ErrorKind;
use secrecy::{ExposeSecret, SecretString};

pub(super) fn values(pairs: &[(&str, &str)]) -> SecretMap {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)))
        .collect()
}

/// Storing, finding it again, and never overwriting.
pub(super) async fn stores_once(client: &Client) {
    let kv = client.kv("secret");
    let path = "talos/lungmen.akn";
    let mine = values(&[
        ("secrets.yaml", "cluster:\n  id: x\n"),
        ("talosconfig", "context: a\n"),
    ]);
    kv.preflight(path).await.unwrap();

    let first = kv.store(path, &mine).await.unwrap();
    assert!(
        matches!(&first, Stored::Created(version) if version.version == 1),
        "{first:?}"
    );
    let second = kv.store(path, &mine).await.unwrap();
    assert!(
        matches!(&second, Stored::Identical(version) if version.version == 1),
        "{second:?}"
    );

    let mut other = mine.clone();
    other.insert("talosconfig".to_owned(), "context: b\n".into());
    let third = kv.store(path, &other).await.unwrap();
    assert!(
        matches!(&third, Stored::Different { version, names } if version.version == 1 && names == &["talosconfig"]),
        "{third:?}"
    );
    let found = kv.read(path).await.unwrap();
    assert_eq!(found.data["talosconfig"].expose_secret(), "context: a\n");
    assert!(
        kv.create(path, &other)
            .await
            .unwrap_err()
            .is_already_exists()
    );
    assert_eq!(
        kv.update(path, &other, 7).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}

/// Adding values to a secret without touching the ones it has.
pub(super) async fn adds_without_replacing(client: &Client) {
    let kv = client.kv("secret");
    let path = "talos/growing";
    kv.add(path, &values(&[("secrets.yaml", "1")]))
        .await
        .unwrap();

    let grown = kv.add(path, &values(&[("kubeconfig", "2")])).await.unwrap();
    assert!(
        matches!(&grown, Stored::Created(version) if version.version == 2),
        "{grown:?}"
    );
    let again = kv.add(path, &values(&[("kubeconfig", "2")])).await.unwrap();
    assert!(matches!(again, Stored::Identical(_)), "{again:?}");
    let clash = kv
        .add(path, &values(&[("kubeconfig", "3"), ("new", "4")]))
        .await
        .unwrap();
    assert!(
        matches!(&clash, Stored::Different { names, .. } if names == &["kubeconfig"]),
        "{clash:?}"
    );

    let names: Vec<String> = kv.read(path).await.unwrap().data.into_keys().collect();
    assert_eq!(names, ["kubeconfig", "secrets.yaml"]);
}

/// Deleted versions are neither absent nor overwritten.
pub(super) async fn respects_deleted_versions(client: &Client) {
    let kv = client.kv("secret");
    let (path, mine) = ("talos/deleted", values(&[("k", "v")]));
    kv.store(path, &mine).await.unwrap();

    assert!(kv.delete_latest(path).await.unwrap());
    assert!(!kv.delete_latest(path).await.unwrap());
    assert_eq!(kv.read(path).await.unwrap_err().kind(), ErrorKind::Deleted);
    assert_eq!(
        kv.store(path, &mine).await.unwrap_err().kind(),
        ErrorKind::Deleted
    );
    assert!(
        kv.create(path, &mine)
            .await
            .unwrap_err()
            .is_already_exists()
    );
    assert!(
        !kv.metadata(path).await.unwrap().versions[&1]
            .deletion_time
            .is_empty()
    );

    kv.undelete_versions(path, &[1]).await.unwrap();
    assert!(matches!(
        kv.store(path, &mine).await.unwrap(),
        Stored::Identical(_)
    ));
    kv.destroy_versions(path, &[1]).await.unwrap();
    assert!(kv.metadata(path).await.unwrap().versions[&1].destroyed);
    assert_eq!(kv.read(path).await.unwrap_err().kind(), ErrorKind::Deleted);

    assert!(kv.delete_all(path).await.unwrap());
    assert!(!kv.delete_all(path).await.unwrap());
    assert!(kv.find(path).await.unwrap().is_none());
    assert!(kv.read(path).await.unwrap_err().is_not_found());
    assert!(matches!(
        kv.store(path, &mine).await.unwrap(),
        Stored::Created(_)
    ));
}

/// Metadata, versions and lists.
pub(super) async fn keeps_metadata(client: &Client) {
    let kv = client.kv("secret");
    let path = "notes/a b#c";
    kv.store(path, &values(&[("k", "1")])).await.unwrap();
    kv.update(path, &values(&[("k", "2")]), 1).await.unwrap();
    let notes = [("talos".to_owned(), "1.10.7".to_owned())].into();
    let spec = MetadataSpec::new()
        .max_versions(20)
        .require_check_and_set()
        .custom_metadata(notes);

    kv.write_metadata(path, &spec).await.unwrap();

    let metadata = kv.metadata(path).await.unwrap();
    assert_eq!((metadata.current_version, metadata.max_versions), (2, 20));
    assert!(metadata.cas_required);
    assert_eq!(metadata.custom_metadata["talos"], "1.10.7");
    let first = kv.read_version(path, 1).await.unwrap();
    assert_eq!(first.data["k"].expose_secret(), "1");
    assert_eq!(first.version.custom_metadata["talos"], "1.10.7");
    assert!(kv.read_version(path, 9).await.unwrap_err().is_not_found());
    assert_eq!(kv.list("notes").await.unwrap(), ["a b#c"]);
    assert!(kv.list("").await.unwrap().contains(&"notes/".to_owned()));
    let long = [("note".to_owned(), "x".repeat(513))].into();
    let refused = kv
        .write_metadata(path, &MetadataSpec::new().custom_metadata(long))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rejected);
}

/// Wrong mounts are not mistaken for absent secrets.
pub(super) async fn knows_mounts(client: &Client) {
    let elsewhere = client.kv("nomount");
    let error = elsewhere
        .store("a", &values(&[("k", "v")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchMount, "{error}");
    assert!(elsewhere.preflight("a").await.is_err());

    let health = client.health().await.unwrap();
    assert!(health.is_usable() && !health.standby);
    assert!(!client.seal_status().await.unwrap().sealed);
}

/// `limited` may create and read below `talos/` and nothing else; `stranger` is nobody.
pub(super) async fn respects_policies(limited: &Client, stranger: &Client) {
    let kv = limited.kv("secret");
    kv.preflight("talos/limited").await.unwrap();
    let stored = kv
        .store("talos/limited", &values(&[("k", "v")]))
        .await
        .unwrap();
    assert!(matches!(stored, Stored::Created(_)));

    let elsewhere = kv
        .store("other/limited", &values(&[("k", "v")]))
        .await
        .unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::Forbidden);
    assert_eq!(elsewhere.message(), "permission denied");
    let lacking = kv.preflight("other/limited").await.unwrap_err();
    assert_eq!(lacking.kind(), ErrorKind::Forbidden);
    let update = kv
        .update("talos/limited", &values(&[("k", "w")]), 1)
        .await
        .unwrap_err();
    assert_eq!(update.kind(), ErrorKind::Forbidden);

    let info = limited.token_info().await.unwrap();
    assert!(
        info.policies.contains(&"talos-create".to_owned()),
        "{info:?}"
    );
    let nobody = stranger
        .kv("secret")
        .read("talos/limited")
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Forbidden);
}

/// Namespaces have their own secrets; one that does not exist is not an absent secret.
pub(super) async fn keeps_namespaces_apart(root: &Client, team: &Client, nowhere: &Client) {
    let path = "talos/team";
    team.kv("secret")
        .store(path, &values(&[("k", "v")]))
        .await
        .unwrap();

    assert!(team.kv("secret").read(path).await.is_ok());
    assert!(
        root.kv("secret")
            .read(path)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let error = nowhere.kv("secret").read(path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchMount, "{error}");
}

/// A sealed server tells so, whatever it is asked.
pub(super) async fn says_when_it_is_sealed(client: &Client) {
    let kv = client.kv("secret");

    assert!(!client.health().await.unwrap().is_usable());
    assert!(client.seal_status().await.unwrap().sealed);
    assert_eq!(kv.read("a").await.unwrap_err().kind(), ErrorKind::Sealed);
    assert_eq!(
        kv.preflight("a").await.unwrap_err().kind(),
        ErrorKind::Sealed
    );
    let store = kv.store("a", &values(&[("k", "v")])).await.unwrap_err();
    assert_eq!(store.kind(), ErrorKind::Sealed);
}
