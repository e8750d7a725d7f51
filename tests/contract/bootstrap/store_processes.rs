//! Several processes, started at once and killed at any time, on one store: one record, one decision.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lungmen_bootstrap::claim::{choose_bootstrap, claim, find};
use lungmen_bootstrap::lease::{Lease, LeaseOptions};
use lungmen_bootstrap::mock::openbao::OpenBaoMock;
use lungmen_bootstrap::openbao::{Client, Credentials};
use lungmen_bootstrap::store::{DirectoryStore, OpenBaoStore, SecretStore};
use secrecy::ExposeSecret as _;

use super::store_scenario::{bundle, wanted};

const STORE: &str = "LUNGMEN_TEST_STORE";
const TOKEN: &str = "LUNGMEN_TEST_STORE_TOKEN";
const NAME: &str = "LUNGMEN_TEST_STORE_NAME";
const RESULTS: &str = "LUNGMEN_TEST_STORE_RESULTS";

fn open(place: &str, token: &str) -> Arc<dyn SecretStore> {
    if let Ok(address) = place.parse::<url::Url>() {
        let client = Client::builder(address, Credentials::Token(token.into()))
            .build()
            .unwrap();
        return Arc::new(OpenBaoStore::new(&client, "secret", "talos/lungmen.akn"));
    }
    Arc::new(DirectoryStore::new(place))
}

/// The child. It does nothing in an ordinary test run.
#[tokio::test]
async fn child_process() {
    let Ok(place) = std::env::var(STORE) else {
        return;
    };
    let name = std::env::var(NAME).unwrap();
    let store = open(&place, &std::env::var(TOKEN).unwrap());
    let options = LeaseOptions::default().wait(Duration::from_secs(60));
    let mut lease = Lease::acquire(Arc::clone(&store), options, |_| {})
        .await
        .unwrap();
    let guard = lease.guard();
    let line = lease
        .keep(async {
            guard.check().await?;
            let claimed = claim(store.as_ref(), &wanted("lungmen.akn"), bundle).await?;
            guard.check().await?;
            let (_, chosen) = choose_bootstrap(store.as_ref(), &name, guard.token()).await?;
            Ok(format!(
                "{} {} {}",
                claimed.record.bundle_fingerprint(),
                chosen.machine,
                guard.token()
            ))
        })
        .await
        .unwrap();
    let folder = std::env::var(RESULTS).unwrap();
    std::fs::write(Path::new(&folder).join(&name), line).unwrap();
    lease.release().await.unwrap();
}

fn start(place: &str, token: &str, name: &str, results: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bootstrap::store_processes::child_process"])
        .env(STORE, place)
        .env(TOKEN, token)
        .env(NAME, name)
        .env(RESULTS, results)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Starts processes, kills some of them after different times, and lets the rest finish.
async fn race(place: String, token: String) {
    let results = tempfile::tempdir().unwrap();
    let mut finishing = Vec::new();
    for number in 0..8_u64 {
        let name = format!("tal{number:02}");
        let mut child = start(&place, &token, &name, results.path());
        if number % 2 == 0 {
            // Other times in every run of the test; each of them has to be safe.
            tokio::time::sleep(Duration::from_millis(15 * number)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            finishing.push((name, child));
        }
    }
    let mut tokens = Vec::new();
    let mut outcomes = Vec::new();
    for (name, mut child) in finishing {
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
            .await
            .unwrap();
        assert!(status.success(), "{name} failed");
        let line = std::fs::read_to_string(results.path().join(&name)).unwrap();
        let (outcome, token) = line.rsplit_once(' ').unwrap();
        tokens.push(token.parse::<u64>().unwrap());
        outcomes.push(outcome.to_owned());
    }
    assert_eq!(outcomes.len(), 4);
    outcomes.dedup();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    let count = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), count, "a fencing token was given twice");
    let store = open(&place, &token);
    let kept = find(store.as_ref(), &wanted("lungmen.akn")).await.unwrap();
    let record = kept.unwrap().record;
    let machine = record.control.bootstrap.as_ref().unwrap().machine.clone();
    assert_eq!(
        outcomes[0],
        format!("{} {machine}", record.bundle_fingerprint())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    race(folder.path().display().to_string(), String::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_openbao_server() {
    let mock = OpenBaoMock::start().await;
    let token = mock.root_token().expose_secret().to_owned();
    race(mock.endpoint().to_string(), token).await;
}
