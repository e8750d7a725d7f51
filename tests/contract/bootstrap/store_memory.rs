//! The store in memory.

use std::sync::Arc;

use lungmen_bootstrap::store::{Document, MemoryStore, SecretStore};

use super::store_scenario::{self as scenario, entries};

#[tokio::test]
async fn it_keeps_what_every_store_promises() {
    scenario::holds(Arc::new(MemoryStore::new())).await;
}

#[tokio::test]
async fn clones_share_their_documents_and_two_stores_do_not() {
    let store = MemoryStore::new();
    let clone = store.clone();
    let other = MemoryStore::new();

    store
        .create(Document::Record, &entries(&[("a", "hunter2")]))
        .await
        .unwrap();

    assert!(clone.read(Document::Record).await.unwrap().is_some());
    assert!(other.read(Document::Record).await.unwrap().is_none());
    assert!(!format!("{store:?}").contains("hunter2"));
}
