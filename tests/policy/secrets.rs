//! Nothing secret leaves the files and OpenBao.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use lungmen_bootstrap::machine::ConfigDelivery;
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::snippets::DirectorySnippets;
use lungmen_bootstrap::{Spec, StepId};
use proxmox_client::mock::{Fault, Route};
use secrecy::ExposeSecret as _;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{World, spec, vm};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Every value in the files that somebody could misuse.
fn secrets(world: &World) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in [
        "secrets.yaml",
        "controlplane.yaml",
        "talosconfig",
        "kubeconfig",
    ] {
        for line in world.read(name).lines() {
            let Some((key, value)) = line.split_once(": ") else {
                continue;
            };
            let key = key.trim().trim_start_matches("- ");
            let is_secret = [
                "key",
                "token",
                "secret",
                "client-key-data",
                "secretboxEncryptionSecret",
                "trustdinfo",
            ]
            .iter()
            .any(|word| key.eq_ignore_ascii_case(word) || key.to_lowercase().ends_with("secret"));
            let value = value.trim().trim_matches('"');
            if is_secret && value.len() > 12 {
                found.insert(value.to_owned());
            }
        }
    }
    let registered = world
        .lab
        .argocd()
        .cluster("https://kubernetes.lungmen.akn.chezmoi.sh:6443")
        .unwrap();
    found.insert(registered.bearer_token.unwrap().expose_secret().to_owned());
    found.insert(
        world
            .lab
            .proxmox()
            .token_secret()
            .expose_secret()
            .to_owned(),
    );
    found.insert(world.lab.openbao().root_token().expose_secret().to_owned());
    found.insert(world.lab.argocd().token().expose_secret().to_owned());
    found
}

#[track_caller]
fn assert_clean(what: &str, text: &str, secrets: &BTreeSet<String>) {
    for secret in secrets {
        assert!(
            !text.contains(secret.as_str()),
            "{what} has a secret: {}…",
            &secret[..6]
        );
    }
}

/// What a run says that delivers the configuration with the same secrets as user data.
async fn texts_of_user_data() -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec();
    spec.placement = spec.placement.snippet_storage("shared");
    let machine = spec.machines.remove(0);
    spec.machines = vec![machine.config_delivery(ConfigDelivery::UserData)];
    let lab = Lab::builder().spec(&spec).snippets("shared", folder.path());
    let world = World::with(lab).await;
    let bootstrap = |spec: &Spec| {
        let builder = world.builder_of(spec.clone());
        let snippets = DirectorySnippets::new(folder.path());
        builder.snippets("shared", snippets).build().unwrap()
    };
    let refused = Fault::Status(500, "no".to_owned());
    let proxmox = world.lab.proxmox();
    proxmox.fail_next(Route::RegenerateCloudInit, refused);

    let error = bootstrap(&spec).run().await.unwrap_err();
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 0);
    let plan = bootstrap(&spec).plan().await;
    bootstrap(&spec).run().await.unwrap();

    let events = world.events();
    vec![
        ("report", error.report()),
        ("error", format!("{error:?}")),
        ("plan", plan.to_string()),
        ("journal", world.read("lungmen.journal")),
        ("events", format!("{events:?}")),
        ("bootstrap", format!("{:?}", bootstrap(&spec))),
    ]
}

#[tokio::test(flavor = "current_thread")]
async fn logs_events_plan_journal_errors_and_debug_hold_no_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .with_ansi(false)
        .finish();
    // For the whole binary: no other test of it logs.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new().await;
    let mut texts = Vec::new();

    // Failures on the way, then the complete run, then one after a failure with the secrets at hand.
    world.run_until(StepId::Configuration).await.unwrap();
    world.lab.talos(vm()).unwrap().fail_next(
        talos_client::mock::Route::ApplyConfiguration,
        talos_client::mock::Fault::status(talos_client::Code::InvalidArgument, "no"),
    );
    let error = world.run().await.unwrap_err();
    texts.push(("report", error.report()));
    texts.push(("error", format!("{error:?}")));
    world.lab.argocd().deny("clusters", "create");
    let error = world.run().await.unwrap_err();
    texts.push(("report", error.report()));
    texts.push(("error", format!("{error:?}")));
    world.lab.argocd().allow("clusters", "create");
    let bootstrap = world.bootstrap();
    texts.push(("outline", bootstrap.outline().to_string()));
    let plan = bootstrap.plan().await;
    texts.push(("plan", plan.to_string()));
    texts.push(("plan", serde_json::to_string(&plan).unwrap()));
    texts.push(("bootstrap", format!("{bootstrap:?}")));
    let cluster = bootstrap.run().await.unwrap();
    drop(bootstrap);
    texts.push(("cluster", format!("{cluster:?}")));
    texts.push(("cluster", serde_json::to_string(&cluster).unwrap()));
    texts.push(("journal", world.read("lungmen.journal")));
    texts.push(("builder", format!("{:?}", world.builder())));
    for event in world.events() {
        texts.push(("event", format!("{event:?}")));
    }
    texts.extend(texts_of_user_data().await);

    let secrets = secrets(&world);
    assert!(
        secrets.len() > 12,
        "only {} secrets were found",
        secrets.len()
    );
    for (what, text) in &texts {
        assert_clean(what, text, &secrets);
    }
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("bootstrap event"), "nothing was logged");
    // The mocks themselves are part of this process, but not of the product.
    let ours: String = log
        .lines()
        .filter(|line| {
            !line.contains("::mock") && !line.contains("h2::") && !line.contains("hyper")
        })
        .collect::<Vec<_>>()
        .join("\n");
    assert_clean("log", &ours, &secrets);
}
