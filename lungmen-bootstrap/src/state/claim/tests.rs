use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::state::record::{BootstrapState, RECORD_ENTRY};
use crate::state::store::flaky::{FlakyStore, Trouble};
use crate::state::store::{Document, MemoryStore};

const CONTRACT: VersionContract = VersionContract::new(1, 6);

fn wanted() -> Wanted {
    let endpoint = "https://kubernetes.lungmen.akn:6443".parse().unwrap();
    Wanted::new("lungmen.akn", endpoint, CONTRACT, "376567988a")
}

async fn bundle() -> Result<SecretsBundle> {
    Ok(SecretsBundle::generate_blocking(CONTRACT)?)
}

#[tokio::test]
async fn a_new_cluster_is_created_once_and_adopted_afterwards() {
    let store = MemoryStore::new();

    let first = claim(&store, &wanted(), bundle).await.unwrap();
    let second = claim(&store, &wanted(), async || panic!("a second bundle"))
        .await
        .unwrap();

    assert_eq!(first.origin, Origin::Created);
    assert_eq!(second.origin, Origin::Adopted);
    assert_eq!(first.record, second.record);
}

#[tokio::test]
async fn whatever_happens_to_the_write_there_is_one_bundle() {
    use Trouble::{Late, LostRequest, LostResponse, None};
    for troubles in [
        vec![LostRequest],
        vec![LostResponse],
        vec![Late],
        vec![Late, LostRequest, None],
        vec![LostRequest, Late, Late],
        vec![Late, Late, LostResponse],
    ] {
        let store = FlakyStore::new(troubles.clone());
        let generated = AtomicUsize::new(0);

        let claimed = claim(&store, &wanted(), async || {
            generated.fetch_add(1, Ordering::Relaxed);
            bundle().await
        })
        .await
        .unwrap();

        let kept = find(&store, &wanted()).await.unwrap().unwrap();
        assert_eq!(claimed.origin, Origin::Created, "{troubles:?}");
        assert_eq!(claimed.record, kept.record, "{troubles:?}");
        assert_eq!(generated.load(Ordering::Relaxed), 1, "{troubles:?}");
    }
}

#[tokio::test]
async fn a_store_that_keeps_nothing_ends_the_claim() {
    let store = FlakyStore::new([Trouble::LostRequest; 9]);

    let error = claim(&store, &wanted(), bundle).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn a_certain_refusal_keeps_its_kind() {
    let store = FlakyStore::new([Trouble::Forbidden]);

    let error = claim(&store, &wanted(), bundle).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn the_loser_of_a_race_adopts_the_record_of_the_winner() {
    let store = MemoryStore::new();
    let other = store.clone();
    // The other run claims while this one generates its bundle.
    let late = async || {
        claim(&other, &wanted(), bundle).await?;
        bundle().await
    };

    let claimed = claim(&store, &wanted(), late).await.unwrap();

    let kept = find(&store, &wanted()).await.unwrap().unwrap();
    assert_eq!(claimed.origin, Origin::Adopted);
    assert_eq!(claimed.record, kept.record);
}

#[tokio::test]
async fn a_record_of_another_cluster_is_refused_with_both_names() {
    let store = MemoryStore::new();
    claim(&store, &wanted(), bundle).await.unwrap();
    for other in [
        Wanted {
            cluster: "other.akn".to_owned(),
            ..wanted()
        },
        Wanted {
            endpoint: "https://10.0.2.10:6443".parse().unwrap(),
            ..wanted()
        },
    ] {
        for error in [
            claim(&store, &other, bundle).await.unwrap_err(),
            find(&store, &other).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotOurs);
            let text = error.to_string();
            assert!(
                text.contains("lungmen.akn at https://kubernetes.lungmen.akn:6443"),
                "{text}"
            );
            assert!(
                text.contains(&title(&other.cluster, &other.endpoint)),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn contract_and_schematic_stay_and_their_differences_are_reported() {
    let store = MemoryStore::new();
    let first = claim(&store, &wanted(), bundle).await.unwrap();
    let newer = Wanted {
        contract: VersionContract::V1_13,
        schematic: "another".to_owned(),
        ..wanted()
    };

    let second = claim(&store, &newer, bundle).await.unwrap();

    assert_eq!(second.record, first.record);
    let paths: Vec<&str> = second.diffs.iter().map(|diff| diff.path).collect();
    assert_eq!(paths, ["contract", "schematic"]);
    assert_eq!(second.diffs[0].from, "v1.6");
    assert_eq!(second.diffs[0].to, "v1.13");
}

#[tokio::test]
async fn the_first_bootstrap_decision_stays_whatever_happens_to_its_write() {
    use Trouble::{Late, LostRequest, LostResponse};
    for trouble in [Trouble::None, LostRequest, LostResponse, Late] {
        let store = FlakyStore::default();
        claim(&store, &wanted(), bundle).await.unwrap();
        store.fail_next([trouble]);

        let (_, first) = choose_bootstrap(&store, "tal01", 1).await.unwrap();
        let (_, second) = choose_bootstrap(&store, "tal02", 2).await.unwrap();

        assert_eq!(first.machine, "tal01", "{trouble:?}");
        assert_eq!(second.machine, "tal01", "{trouble:?}");
    }
}

#[tokio::test]
async fn a_run_with_an_older_token_cannot_decide_any_more() {
    let store = MemoryStore::new();
    claim(&store, &wanted(), bundle).await.unwrap();
    choose_bootstrap(&store, "tal01", 7).await.unwrap();

    let chosen = choose_bootstrap(&store, "tal01", 6).await.unwrap_err();
    let recorded = record_bootstrapped(&store, "tal01", None, 6)
        .await
        .unwrap_err();

    assert_eq!(chosen.kind(), ErrorKind::Conflict);
    assert!(recorded.to_string().contains("token 7"), "{recorded}");
}

#[tokio::test]
async fn a_bootstrap_is_recorded_with_the_id_of_its_etcd_cluster() {
    let store = MemoryStore::new();
    claim(&store, &wanted(), bundle).await.unwrap();
    choose_bootstrap(&store, "tal01", 1).await.unwrap();

    record_bootstrapped(&store, "tal01", None, 1).await.unwrap();
    let record = record_bootstrapped(&store, "tal01", Some("8ae44a1b"), 1)
        .await
        .unwrap();

    assert_eq!(
        record.control.bootstrap.unwrap().state,
        BootstrapState::Bootstrapped {
            etcd_cluster_id: Some("8ae44a1b".to_owned())
        }
    );
}

#[tokio::test]
async fn a_bundle_is_imported_and_never_over_another_one() {
    let existing = bundle().await.unwrap();
    let source = || Import::SecretsYaml(existing.to_yaml());
    let store = MemoryStore::new();

    let first = import(&store, &wanted(), source()).await.unwrap();
    let again = import(&store, &wanted(), source()).await.unwrap();
    let other = Import::SecretsYaml(bundle().await.unwrap().to_yaml());
    let refused = import(&store, &wanted(), other).await.unwrap_err();

    assert_eq!(first.record.bundle.cluster_id(), existing.cluster_id());
    assert_eq!(first.record, again.record);
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_bundle_without_a_record_is_adopted_only_by_an_import() {
    let mut entries = {
        let store = MemoryStore::new();
        claim(&store, &wanted(), bundle).await.unwrap();
        store.read(Document::Record).await.unwrap().unwrap().entries
    };
    entries.remove(RECORD_ENTRY);
    entries.insert("talosconfig".to_owned(), "context: x".into());
    let store = MemoryStore::new();
    store.create(Document::Record, &entries).await.unwrap();

    let refused = claim(&store, &wanted(), bundle).await.unwrap_err();
    let imported = import(&store, &wanted(), Import::Stored).await.unwrap();
    let adopted = claim(&store, &wanted(), bundle).await.unwrap();

    assert!(refused.to_string().contains("import"), "{refused}");
    assert_eq!(imported.record, adopted.record);
    let kept = store.read(Document::Record).await.unwrap().unwrap();
    assert!(kept.entries.contains_key("talosconfig"));
}
