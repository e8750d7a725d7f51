//! The scenarios against a real OpenBao server, when `LUNGMEN_TEST_BAO` names its binary (`.ci/openbao` gets one).

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lungmen_bootstrap::openbao::{Client, Credentials};
use lungmen_bootstrap::services::ErrorKind;
use tokio::process::{Child, Command};

use super::openbao_scenario as scenario;

pub(super) const ROOT: &str = "lungmen-test-root";

/// A server in development mode on a free port; it ends with this value.
pub(super) struct Server {
    // Killed when it is dropped.
    _process: Child,
    binary: String,
    address: String,
}

impl Server {
    async fn start(binary: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let process = Command::new(binary)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let server = Self {
            _process: process,
            binary: binary.to_owned(),
            address: format!("http://{free}"),
        };
        server.wait().await;
        server
    }

    async fn wait(&self) {
        let client = self.client(Credentials::token(ROOT.into()));
        let began = Instant::now();
        loop {
            match client.health().await {
                Ok(health) if health.is_usable() => return,
                _ if began.elapsed() > Duration::from_secs(30) => panic!("OpenBao did not start"),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Host and port.
    pub(super) fn host(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    fn within(&self, namespace: &str) -> Client {
        Client::builder(
            self.address.parse().unwrap(),
            Credentials::token(ROOT.into()),
        )
        .namespace(namespace)
        .build()
        .unwrap()
    }

    fn client(&self, credentials: Credentials) -> Client {
        Client::builder(self.address.parse().unwrap(), credentials)
            .build()
            .unwrap()
    }

    /// What an administrator does beforehand, with the server's own command line. Gives back what it prints.
    async fn administrate(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.binary)
            .args(arguments)
            .env("BAO_ADDR", &self.address)
            .env("BAO_TOKEN", ROOT)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A real server, or nothing and one line that says why.
pub(super) async fn real_server() -> Option<Server> {
    let binary = std::env::var("LUNGMEN_TEST_BAO").unwrap_or_default();
    if binary.is_empty() {
        say_once();
        return None;
    }
    Some(Server::start(&binary).await)
}

#[expect(
    clippy::print_stdout,
    reason = "a test that proves nothing has to say that"
)]
fn say_once() {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        println!("skipped: LUNGMEN_TEST_BAO names no OpenBao binary; .ci/openbao installs one");
    });
}

#[tokio::test]
async fn the_scenarios_hold_for_a_real_server() {
    let Some(server) = real_server().await else {
        return;
    };
    let client = server.client(Credentials::token(ROOT.into()));

    scenario::stores_once(&client).await;
    scenario::adds_without_replacing(&client).await;
    scenario::respects_deleted_versions(&client).await;
    scenario::keeps_metadata(&client).await;
    scenario::knows_mounts(&client).await;

    let limited = server.client(limited_role(&server).await);
    let stranger = server.client(Credentials::token("s.nobody".into()));
    scenario::respects_policies(&limited, &stranger).await;
    limited.logout().await.unwrap();
    let wrong = server.client(Credentials::app_role("nobody", "nothing".into()));
    assert_eq!(
        wrong.login().await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );

    server.administrate(&["namespace", "create", "team"]).await;
    server
        .administrate(&[
            "secrets",
            "enable",
            "-namespace=team",
            "-path=secret",
            "-version=2",
            "kv",
        ])
        .await;
    scenario::keeps_namespaces_apart(&client, &server.within("team"), &server.within("nope")).await;

    server.administrate(&["operator", "seal"]).await;
    scenario::says_when_it_is_sealed(&client).await;
}

/// An AppRole that may create and read below `talos/`.
async fn limited_role(server: &Server) -> Credentials {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("talos-create.hcl");
    let rule = r#"path "secret/data/talos/*" { capabilities = ["create", "read"] }"#;
    std::fs::write(&policy, rule).unwrap();
    let role = "auth/approle/role/lungmen";
    server
        .administrate(&["policy", "write", "talos-create", policy.to_str().unwrap()])
        .await;
    server.administrate(&["auth", "enable", "approle"]).await;
    server
        .administrate(&[
            "write",
            role,
            "token_policies=talos-create",
            "token_ttl=10m",
        ])
        .await;
    let id = server
        .administrate(&["read", "-field=role_id", &format!("{role}/role-id")])
        .await;
    let secret = server
        .administrate(&[
            "write",
            "-force",
            "-field=secret_id",
            &format!("{role}/secret-id"),
        ])
        .await;
    Credentials::app_role(id.trim(), secret.trim().into())
}
