use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::state::store::flaky::{FlakyStore, Trouble};
use crate::state::store::{Document, MemoryStore};

fn options() -> LeaseOptions {
    LeaseOptions::default()
}

/// A lease that runs out while a test waits for it.
fn short() -> LeaseOptions {
    LeaseOptions::default().duration(Duration::from_secs(1))
}

async fn acquire(
    store: &(impl SecretStore + Clone + 'static),
    options: LeaseOptions,
) -> Result<Lease> {
    Lease::acquire(Arc::new(store.clone()), options, |_| {}).await
}

/// Makes the holder look like a process of another host, of which nothing is known but its lease.
async fn move_to_another_host(store: &MemoryStore) {
    let found = store.read(Document::Lease).await.unwrap().unwrap();
    let (state, heartbeat) = document::decode(&found.entries, "memory").unwrap();
    let mut holder = serde_json::to_value(&state.holder).unwrap();
    holder.as_object_mut().unwrap().remove("process");
    holder["host"] = "another-host".into();
    let state = transition::LeaseState {
        holder: serde_json::from_value(holder).unwrap(),
        ..state
    };
    let entries = document::encode(&state, heartbeat);
    store
        .replace(Document::Lease, &entries, &found.revision)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_second_run_ends_and_names_the_holder() {
    let store = MemoryStore::new();
    let lease = acquire(&store, options()).await.unwrap();

    let error = acquire(&store, options()).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&lease.holder().run), "{error}");
}

#[tokio::test]
async fn a_released_lease_is_free_at_once_and_the_token_grows() {
    let store = MemoryStore::new();
    let first = acquire(&store, options()).await.unwrap();
    let token = first.guard().token();
    first.release().await.unwrap();

    let second = acquire(&store, options()).await.unwrap();

    assert!(second.guard().token() > token);
}

async fn is_released(store: &impl SecretStore) -> bool {
    let found = store.read(Document::Lease).await.unwrap().unwrap();
    document::decode(&found.entries, "memory")
        .unwrap()
        .0
        .released
}

/// The work ended while a renewal was on its way: the store has it, and the run does not know.
#[tokio::test]
async fn a_lease_is_released_although_a_renewal_arrived_unseen() {
    let store = MemoryStore::new();
    let lease = acquire(&store, options()).await.unwrap();
    let found = store.read(Document::Lease).await.unwrap().unwrap();
    let (state, heartbeat) = document::decode(&found.entries, "memory").unwrap();
    let renewed = transition::LeaseState {
        beat: state.beat + 1,
        ..state
    };
    let entries = document::encode(&renewed, heartbeat);
    let written = store.replace(Document::Lease, &entries, &found.revision);
    written.await.unwrap();

    lease.release().await.unwrap();

    assert!(is_released(&store).await);
}

#[tokio::test]
async fn a_release_that_arrives_late_or_not_at_all_is_repeated() {
    for trouble in [Trouble::LostRequest, Trouble::LostResponse, Trouble::Late] {
        let store = FlakyStore::default();
        let lease = acquire(&store, options()).await.unwrap();
        store.fail_next([trouble]);

        lease.release().await.unwrap();

        assert!(is_released(&store.inner).await, "{trouble:?}");
    }
}

#[tokio::test]
async fn a_run_of_this_process_that_was_dropped_does_not_hold_the_lease() {
    let store = MemoryStore::new();
    drop(acquire(&store, options()).await.unwrap());

    let second = acquire(&store, options()).await.unwrap();

    assert_eq!(second.guard().token(), 2);
}

#[tokio::test]
async fn a_run_that_may_wait_gets_the_lease_when_the_other_one_ends() {
    let store = MemoryStore::new();
    let first = acquire(&store, options()).await.unwrap();
    let seen = Arc::new(AtomicBool::new(false));
    let waiting = Lease::acquire(
        Arc::new(store.clone()),
        options().wait(Duration::from_secs(60)),
        {
            let seen = Arc::clone(&seen);
            move |_| seen.store(true, Ordering::Relaxed)
        },
    );
    let ending = async {
        sleep(Duration::from_millis(200)).await;
        first.release().await.unwrap();
    };

    let (second, ()) = tokio::join!(waiting, ending);

    assert_eq!(second.unwrap().guard().token(), 2);
    assert!(seen.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_wait_for_a_living_holder_ends_at_its_deadline_and_names_it() {
    let store = MemoryStore::new();
    let first = acquire(&store, options()).await.unwrap();
    let started = tokio::time::Instant::now();

    let error = acquire(&store, options().wait(Duration::from_millis(300)))
        .await
        .unwrap_err();

    assert!(error.to_string().contains(&first.holder().run), "{error}");
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn work_longer_than_the_lease_keeps_it() {
    let store = MemoryStore::new();
    let mut lease = acquire(&store, short()).await.unwrap();
    let guard = lease.guard();

    lease
        .keep(async {
            for _ in 0..10 {
                sleep(Duration::from_millis(250)).await;
                guard.check().await?;
            }
            Ok(())
        })
        .await
        .unwrap();

    assert_eq!(guard.token(), 1);
    let found = store.read(Document::Lease).await.unwrap().unwrap();
    let (state, _) = document::decode(&found.entries, "memory").unwrap();
    assert!(state.beat >= 2, "{state:?}");
}

#[tokio::test]
async fn without_renewals_a_check_fails_before_another_run_can_take_over() {
    let store = MemoryStore::new();
    let lease = acquire(&store, short()).await.unwrap();
    move_to_another_host(&store).await;
    let guard = lease.guard();
    let started = tokio::time::Instant::now();

    let second = acquire(&store, options().wait(Duration::from_secs(600)))
        .await
        .unwrap();

    // The other run counts its own margin, three seconds.
    assert!(started.elapsed() >= Duration::from_secs(4));
    assert!(!guard.is_valid());
    assert_eq!(guard.check().await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(second.guard().token(), 2);
}

#[tokio::test]
async fn a_stale_lease_of_another_host_is_watched_and_taken_over_without_a_wait_option() {
    let store = MemoryStore::new();
    drop(acquire(&store, short()).await.unwrap());
    move_to_another_host(&store).await;
    sleep(Duration::from_millis(2_100)).await;

    let second = acquire(&store, short()).await.unwrap();

    assert_eq!(second.guard().token(), 2);
}

#[tokio::test]
async fn a_holder_that_comes_back_after_a_takeover_stops_and_names_the_successor() {
    let store = MemoryStore::new();
    let mut first = acquire(&store, short()).await.unwrap();
    let guard = first.guard();
    move_to_another_host(&store).await;
    let second = acquire(&store, short().wait(Duration::from_secs(600)))
        .await
        .unwrap();
    let effect = AtomicBool::new(false);

    let error = first
        .keep(async {
            guard.check().await?;
            effect.store(true, Ordering::Relaxed);
            Ok(())
        })
        .await
        .unwrap_err();

    assert!(!effect.load(Ordering::Relaxed));
    assert!(error.to_string().contains(&second.holder().run), "{error}");
}

#[tokio::test]
async fn lost_responses_of_the_store_neither_lose_nor_double_a_lease() {
    use Trouble::{Late, LostRequest, LostResponse};
    for trouble in [LostRequest, LostResponse, Late] {
        let store = FlakyStore::new([trouble]);
        let mut lease = acquire(&store, short()).await.unwrap();
        let guard = lease.guard();
        store.fail_next([trouble, Trouble::None, trouble, trouble]);

        lease
            .keep(async {
                for _ in 0..8 {
                    sleep(Duration::from_millis(250)).await;
                    guard.check().await?;
                }
                Ok(())
            })
            .await
            .unwrap();

        assert_eq!(guard.token(), 1, "{trouble:?}");
    }
}

#[tokio::test]
async fn of_many_runs_at_once_one_holds_the_lease() {
    let store = MemoryStore::new();
    let attempts = (0..16).map(|_| acquire(&store, options()));

    let results = futures_util::future::join_all(attempts).await;

    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_damaged_lease_is_never_free() {
    let store = MemoryStore::new();
    for text in ["", "{", r#"{"format": 1}"#, r#"{"format": 9}"#] {
        let entries = [("lease.json".to_owned(), text.into())];
        let store = store.clone();
        let revision = store.read(Document::Lease).await.unwrap();
        match revision {
            None => store.create(Document::Lease, &entries.into()).await,
            Some(found) => {
                store
                    .replace(Document::Lease, &entries.into(), &found.revision)
                    .await
            }
        }
        .unwrap();

        let error = acquire(&store, options()).await.unwrap_err();

        assert!(error.to_string().contains("lease"), "{error}");
    }
}
