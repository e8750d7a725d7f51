//! A process that is killed at an event is finished by the next process: a real child, and no chance to clean up.
//!
//! `cargo test` samples the events; with `LUNGMEN_MATRIX=full` a process is killed at each of them.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{Event, EventKind, Outcome};

const FOLDER: &str = "LUNGMEN_CRASH_FOLDER";
const AT: &str = "LUNGMEN_CRASH_AT";

/// The child. It does nothing in an ordinary test run.
#[tokio::test(flavor = "multi_thread")]
async fn child_process() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let at: usize = std::env::var(AT).unwrap().parse().unwrap();
    let lab = Lab::builder()
        .state(folder.join("lab.json"))
        .start()
        .await
        .unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let cluster = lab
        .bootstrap(crate::support::spec())
        .output(folder)
        .journal(FileJournal::open(folder.join("lungmen.journal")).unwrap())
        .observer(move |event: &Event| {
            // Waits are too many and prove nothing new; every effect is followed by one of the others.
            if !matches!(
                event.kind,
                EventKind::Waiting { .. } | EventKind::Transfer { .. }
            ) && counted.fetch_add(1, Ordering::SeqCst) + 1 == at
            {
                // Ends the process at once, without unwinding and without destructors.
                std::process::abort();
            }
        })
        .build()
        .unwrap()
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
    assert!(!cluster.steps.is_empty());
    std::fs::write(
        folder.join("events"),
        count.load(Ordering::SeqCst).to_string(),
    )
    .unwrap();
    let acted: Vec<_> = cluster
        .steps
        .iter()
        .filter(|report| report.outcome == Outcome::Done)
        .map(|report| report.step.name())
        .collect();
    std::fs::write(folder.join("acted"), acted.join(", ")).unwrap();
}

fn run_child(folder: &Path, at: usize) -> ExitStatus {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_process", "--nocapture"])
        .env(FOLDER, folder)
        .env(AT, at.to_string())
        .output()
        .unwrap();
    if at == usize::MAX {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    output.status
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_process_killed_at_an_event_is_finished_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    run_child(whole.path(), usize::MAX);
    let total: usize = read(whole.path(), "events").parse().unwrap();

    for at in crate::support::sample((1..total).collect(), 5) {
        let folder = tempfile::tempdir().unwrap();
        let killed = run_child(folder.path(), at);
        assert!(!killed.success(), "event {at} was not met");
        let secrets = std::fs::read_to_string(folder.path().join("secrets.yaml")).ok();

        run_child(folder.path(), usize::MAX);

        let finished = read(folder.path(), "secrets.yaml");
        assert_eq!(
            secrets.unwrap_or_else(|| finished.clone()),
            finished,
            "event {at}"
        );
        run_child(folder.path(), usize::MAX);
        assert_eq!(read(folder.path(), "acted"), "", "event {at}");
        assert_eq!(read(folder.path(), "secrets.yaml"), finished, "event {at}");
    }
}
