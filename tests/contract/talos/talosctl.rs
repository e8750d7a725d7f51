//! The reading commands of a real `talosctl` against the mock, when `LUNGMEN_TEST_TALOSCTL` names one.
//!
//! The node runs the release of that `talosctl`. Left out is what needs more than a node: a terminal (`dashboard`), a registry
//! (`image cache-create`, `upgrade-k8s`), the Kubernetes API (`conformance`).

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use talos_client::ApplyOptions;
use talos_client::mock::{MockEvent, TalosMock};
use talos_client::secrets::Role;
use talos_client::talosconfig::{Context, Talosconfig};

use super::support::{control_plane, poll, secrets};

/// `FOLDER` stands for a folder of the test, `NODE` for the socket of the node.
const COMMANDS: &[&str] = &[
    "apply-config --dry-run -f FOLDER/controlplane.yaml",
    "cgroups --preset cpu",
    "cgroups --preset io",
    "cgroups --preset memory",
    "cgroups --preset process",
    "config contexts",
    "config info",
    "containers",
    "containers -k",
    "copy /etc FOLDER/copied",
    "dmesg",
    "edit machineconfig --dry-run",
    "etcd alarm list",
    "etcd members",
    "etcd snapshot FOLDER/etcd.snapshot",
    "etcd status",
    "get disks -o json",
    "get machineconfig -o yaml",
    "get machinestatus -o table",
    "get machinestatus machine -o jsonpath={.spec.stage}",
    "get members",
    "get namespaces",
    "get rd",
    "get services",
    "health --server=true --wait-timeout 10s",
    "image list",
    "image list --namespace system",
    "inspect dependencies",
    "inspect dependencies --with-resources",
    "kubeconfig FOLDER/kubeconfig --merge=false",
    "list /",
    "list -l -H -r /var/lib/etcd",
    "logs etcd",
    "logs kubelet --tail 2",
    "logs -k kube-system/kube-apiserver",
    "memory",
    "memory -v",
    "mounts",
    "netstat",
    "netstat -a -p",
    "netstat -l -t -4",
    "patch machineconfig --dry-run -p {\"machine\":{\"sysctls\":{\"a\":\"b\"}}}",
    "processes",
    "read /etc/os-release",
    "service",
    "service kubelet",
    "stats",
    "stats -k",
    "support -n 127.0.0.1 -O FOLDER/support.zip",
    "time",
    "time --check pool.ntp.org",
    "usage /var",
    "usage -a -H -d 2 /var",
    "version",
    "version --short",
];

/// Commands that go on until somebody ends them.
const ENDLESS: &[&str] = &[
    "dmesg --follow",
    "events --duration 1h",
    "events --tail 5",
    "get services --watch",
    "get machinestatus machine --watch -o yaml",
    "logs kubelet --follow",
];

/// Commands without credentials.
const IN_MAINTENANCE: &[&str] = &[
    "apply-config -i -n NODE --dry-run -f FOLDER/controlplane.yaml",
    "get -i -n NODE disks",
    "get -i -n NODE machinestatus -o yaml",
    "get -i -n NODE rd",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reading_commands_of_talosctl_work() {
    let path = std::env::var("LUNGMEN_TEST_TALOSCTL").unwrap_or_default();
    if path.is_empty() {
        println!("skipped: LUNGMEN_TEST_TALOSCTL names no talosctl");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut talosctl = Talosctl {
        path: path.into(),
        folder: folder.path().to_owned(),
        node: String::new(),
    };
    let version = talosctl.version();
    let config = control_plane(&version);
    let mock = TalosMock::builder().version(&version).start().await;
    mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await;
    talosctl.node = mock.address().to_string();
    let yaml = folder.path().join("controlplane.yaml");
    std::fs::write(yaml, config.expose_secret()).unwrap();
    talosctl.write_talosconfig();
    let mut failures = talosctl.failures(IN_MAINTENANCE).await;

    runs(&mock, &config).await;
    failures.extend(talosctl.failures(COMMANDS).await);
    failures.extend(talosctl.failures(ENDLESS).await);
    let types = mock.client().resources().definitions().await.unwrap();
    let gets: Vec<String> = types
        .iter()
        .map(|found| format!("get {} -o yaml", found.resource_type))
        .collect();
    let gets: Vec<&str> = gets.iter().map(String::as_str).collect();
    failures.extend(talosctl.failures(&gets).await);
    let count = COMMANDS.len() + ENDLESS.len() + IN_MAINTENANCE.len() + gets.len();
    assert!(
        failures.is_empty(),
        "{} of {count} commands fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    println!("{count} commands of talosctl {version} work");
}

#[derive(Debug, Clone)]
struct Talosctl {
    path: PathBuf,
    folder: PathBuf,
    /// The socket of the node.
    node: String,
}

impl Talosctl {
    /// Its release.
    fn version(&self) -> String {
        let output = Command::new(&self.path)
            .args(["version", "--client", "--short"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let tag = text.split_whitespace().find(|word| word.starts_with('v'));
        tag.unwrap().to_owned()
    }

    fn write_talosconfig(&self) {
        let certificate = secrets().client_certificate(Role::Admin).issue().unwrap();
        let mut context = Context::from_certificate(&certificate);
        context.set_endpoints([&self.node]);
        context.set_nodes(["127.0.0.1"]);
        let mut talosconfig = Talosconfig::new();
        talosconfig.add("mock", context);
        talosconfig.use_context("mock").unwrap();
        let path = self.folder.join("talosconfig");
        std::fs::write(path, talosconfig.to_yaml().expose_secret()).unwrap();
    }

    /// The commands that fail, and what they say.
    async fn failures(&self, commands: &[&str]) -> Vec<String> {
        let mut failures = Vec::new();
        for command in commands {
            let (talosctl, asked) = (self.clone(), (*command).to_owned());
            let ended = tokio::task::spawn_blocking(move || talosctl.run(&asked));
            if let Err(text) = ended.await.unwrap() {
                failures.push(format!("{command}: {text}"));
            }
        }
        failures
    }

    fn run(&self, command: &str) -> Result<(), String> {
        let folder = self.folder.to_str().unwrap();
        let command_line = command.replace("FOLDER", folder);
        let command_line = command_line.replace("NODE", &self.node);
        let mut process = Command::new(&self.path)
            .args(command_line.split(' '))
            .env("TALOSCONFIG", self.folder.join("talosconfig"))
            .env("HOME", &self.folder)
            .env("EDITOR", "true")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(self.folder.join("stdout")).unwrap())
            .stderr(std::fs::File::create(self.folder.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let is_endless = ENDLESS.contains(&command);
        let limit = Duration::from_secs(if is_endless { 2 } else { 60 });
        let started = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait().unwrap() {
                break Some(status);
            }
            if started.elapsed() > limit {
                process.kill().unwrap();
                process.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let said = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let is_as_expected = match status {
            Some(status) => status.success() && !is_endless,
            None => is_endless && !said("stdout").is_empty(),
        };
        if is_as_expected {
            return Ok(());
        }
        Err(format!("{status:?} {}", said("stderr").trim()))
    }
}

/// Lets the node run, with everything that belongs to it.
async fn runs(mock: &TalosMock, config: &SecretString) {
    mock.maintenance_client()
        .apply_configuration(config, ApplyOptions::default())
        .await
        .unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Installed { .. }))
        .await;
    let client = mock.client();
    client.wait_for_identity(None, poll()).await.unwrap();
    let machine = client.machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine.wait_for_ready(poll()).await.unwrap();
}
