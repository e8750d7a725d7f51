//! A process that is killed at an event is finished by the next process: a real child, and no chance to clean up.
//!
//! `cargo test` samples the events; with `LUNGMEN_MATRIX=full` a process is killed at each of them.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::machine::ConfigDelivery;
use lungmen_bootstrap::mock::{Lab, LabBuilder};
use lungmen_bootstrap::snippets::DirectorySnippets;
use lungmen_bootstrap::{Event, EventKind, Outcome, Spec};
use secrecy::ExposeSecret as _;

const FOLDER: &str = "LUNGMEN_CRASH_FOLDER";
const AT: &str = "LUNGMEN_CRASH_AT";
const SPEC: &str = "LUNGMEN_CRASH_SPEC";
/// The folder of the storage for snippets.
const SNIPPETS: &str = "snippets";
const IMPORT: &str = "LUNGMEN_CRASH_IMPORT";

/// The example that the child makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Example {
    /// One machine.
    One,
    /// One machine that gets its configuration as user data.
    UserData,
    /// Three control planes and two workers on two Proxmox nodes.
    Five,
}

/// Where the child is killed.
#[derive(Debug, Clone, Copy)]
enum At {
    /// At the event of this number.
    Event(usize),
    /// At the first event whose text contains this.
    Text(&'static str),
    Never,
}

impl Example {
    const fn file(self) -> &'static str {
        match self {
            Self::One | Self::UserData => "lungmen.yaml",
            Self::Five => "ha.yaml",
        }
    }

    fn of_name(name: &str) -> Self {
        match name {
            "Five" => Self::Five,
            "UserData" => Self::UserData,
            _ => Self::One,
        }
    }

    fn spec(self) -> Spec {
        let mut spec = Spec::load(crate::support::spec_file().with_file_name(self.file())).unwrap();
        if self == Self::UserData {
            spec.placement = spec.placement.snippet_storage("shared");
            let machines = std::mem::take(&mut spec.machines).into_iter();
            let machines = machines.map(|one| one.config_delivery(ConfigDelivery::UserData));
            spec.machines = machines.collect();
        }
        spec
    }

    fn lab(self, folder: &Path) -> LabBuilder {
        match self {
            Self::One => Lab::builder(),
            Self::Five => Lab::builder().spec(&self.spec()),
            Self::UserData => Lab::builder()
                .spec(&self.spec())
                .snippets("shared", folder.join(SNIPPETS)),
        }
    }
}

/// Whether the child is killed at this event, which has this number and text.
fn is_met(at: &str, number: usize, event: &Event) -> bool {
    match at.parse::<usize>() {
        Ok(wanted) => number == wanted,
        Err(_) => !at.is_empty() && serde_json::to_string(event).unwrap().contains(at),
    }
}

/// What exists at the end, in one line.
async fn inventory(lab: &Lab, spec: &Spec) -> String {
    let pve = lab.proxmox();
    let isos = pve.volumes().into_iter().filter(|v| v.content == "iso");
    let mut members = Vec::new();
    for talos in pve.vm_ids().into_iter().filter_map(|id| lab.talos(id)) {
        let config = talos.config().unwrap();
        if config.expose_secret().contains("type: controlplane") {
            let list = talos.client().machine().local_etcd_members().await;
            members.push(list.unwrap().len());
        }
    }
    format!(
        "{} of {} VMs, {} images, etcd members {members:?}, {} clusters at Argo CD",
        pve.vm_ids().len(),
        spec.machines.len(),
        isos.count(),
        lab.argocd().clusters().len(),
    )
}

/// The child. It does nothing in an ordinary test run.
#[tokio::test(flavor = "multi_thread")]
async fn child_process() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let at = std::env::var(AT).unwrap();
    let example = Example::of_name(&std::env::var(SPEC).unwrap());
    let lab = example
        .lab(folder)
        .state(folder.join("lab.json"))
        .start()
        .await
        .unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let mut builder = lab.bootstrap(example.spec()).output(folder);
    if example == Example::UserData {
        let snippets = DirectorySnippets::new(folder.join(SNIPPETS));
        builder = builder.snippets("shared", snippets);
    }
    if std::env::var_os(IMPORT).is_some() {
        builder = builder.import_secrets(crate::support::existing_secrets());
    }
    let cluster = builder
        .journal(FileJournal::open(folder.join("lungmen.journal")).unwrap())
        .observer(move |event: &Event| {
            // Waits are too many and prove nothing new; every effect is followed by one of the others.
            if !matches!(
                event.kind,
                EventKind::Waiting { .. } | EventKind::Transfer { .. }
            ) && is_met(&at, counted.fetch_add(1, Ordering::SeqCst) + 1, event)
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
    let inventory = inventory(&lab, &example.spec()).await;
    std::fs::write(folder.join("inventory"), inventory).unwrap();
}

/// Where a child has its secrets from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrets {
    /// It is given those of the tests, because a search for an RSA key takes longer than all the rest.
    Given,
    /// What an earlier child left, or else new ones.
    Found,
}

fn run_child(example: Example, folder: &Path, at: At, secrets: Secrets) -> ExitStatus {
    let text = match at {
        At::Event(number) => number.to_string(),
        At::Text(text) => text.to_owned(),
        At::Never => String::new(),
    };
    let import = (secrets == Secrets::Given).then_some((IMPORT, "1"));
    let output = Command::new(std::env::current_exe().unwrap())
        .envs(import)
        .args(["--exact", "crash::child_process", "--nocapture"])
        .env(FOLDER, folder)
        .env(AT, text)
        .env(SPEC, format!("{example:?}"))
        .output()
        .unwrap();
    if let At::Never = at {
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

/// Kills a child, lets another one finish, and checks that a third one has nothing to do. Only the first one is given secrets:
/// the others must find them, and after a kill before the claim the second one makes its own.
fn kill_and_finish(example: Example, at: At, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join(SNIPPETS)).unwrap();
    let killed = run_child(example, folder, at, Secrets::Given);
    assert!(!killed.success(), "{at:?} was not met");
    let secrets = std::fs::read_to_string(folder.join("secrets.yaml")).ok();

    run_child(example, folder, At::Never, Secrets::Found);

    let finished = read(folder, "secrets.yaml");
    assert_eq!(
        secrets.unwrap_or_else(|| finished.clone()),
        finished,
        "{at:?}"
    );
    assert_eq!(read(folder, "inventory"), expected, "{at:?}");
    let left = std::fs::read_dir(folder.join(SNIPPETS)).unwrap();
    assert_eq!(left.count(), 0, "{at:?}: secrets are left");
    run_child(example, folder, At::Never, Secrets::Found);
    assert_eq!(read(folder, "acted"), "", "{at:?}");
    assert_eq!(read(folder, "inventory"), expected, "{at:?}");
    assert_eq!(read(folder, "secrets.yaml"), finished, "{at:?}");
}

#[test]
fn a_process_killed_at_an_event_is_finished_by_the_next() {
    let whole = tempfile::tempdir().unwrap();
    run_child(Example::One, whole.path(), At::Never, Secrets::Given);
    let total: usize = read(whole.path(), "events").parse().unwrap();
    let expected = "1 of 1 VMs, 1 images, etcd members [1], 1 clusters at Argo CD";

    for at in crate::sample::sample((1..total).collect(), 5) {
        kill_and_finish(Example::One, At::Event(at), expected);
    }
}

/// Every restart also brings back a simulated world of several nodes.
#[test]
fn a_process_killed_between_five_machines_is_finished_by_the_next() {
    let expected = "5 of 5 VMs, 2 images, etcd members [3, 3, 3], 1 clusters at Argo CD";
    let points = [
        At::Text("VM 2421002 is started"),
        At::Text("Bootstrap is called"),
        At::Text("VM 2421012 is created"),
        At::Text("ha-cp-03.akn.chezmoi.sh: configuration accepted"),
        At::Text("\"step\":\"image\",\"event\":\"acting\""),
        At::Text("\"step\":\"register\",\"event\":\"step-finished\""),
    ];
    for at in crate::sample::sample(points.to_vec(), 2) {
        kill_and_finish(Example::Five, at, expected);
    }
}

/// Whatever a killed process has left of the secrets on the storage, the next one removes.
#[test]
fn a_process_killed_around_the_user_data_leaves_no_secrets_in_the_end() {
    let expected = "1 of 1 VMs, 1 images, etcd members [1], 1 clusters at Argo CD";
    let points = [
        At::Text("VM 2411000 is created"),
        At::Text("is on storage shared as user data"),
        At::Text("VM 2411000 is started"),
        At::Text("is still user data"),
        At::Text("its user data are removed"),
    ];
    for at in points {
        kill_and_finish(Example::UserData, at, expected);
    }
}
