//! `--live`: the program against servers that are not its own.

use argocd_client::mock::ArgoCdMock;
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::mock::openbao::OpenBaoMock;
use proxmox_client::mock::PveMock;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Ended, Place};
use crate::support::spec;

/// What the program knows about the servers.
#[derive(Default)]
struct Environment(Vec<(String, String)>);

impl Environment {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    fn server(self, address: (&str, Url), token: (&str, &SecretString)) -> Self {
        self.with(address.0, address.1.as_str())
            .with(token.0, token.1.expose_secret())
    }

    fn proxmox(self, server: &PveMock) -> Self {
        let token = format!(
            "{}={}",
            server.token_id(),
            server.token_secret().expose_secret()
        );
        self.server(
            ("PROXMOX_VE_ENDPOINT", server.endpoint()),
            ("PROXMOX_VE_API_TOKEN", &token.into()),
        )
    }

    fn openbao(self, server: &OpenBaoMock) -> Self {
        self.server(
            ("BAO_ADDR", server.endpoint()),
            ("BAO_TOKEN", &server.root_token()),
        )
    }

    fn argocd(self, server: &ArgoCdMock) -> Self {
        self.server(
            ("ARGOCD_SERVER", server.endpoint()),
            ("ARGOCD_AUTH_TOKEN", &server.token()),
        )
    }
}

impl Place {
    /// A command with nothing in its environment but this.
    fn live(&self, arguments: &[&str], environment: &Environment) -> Ended {
        let mut command = self.command(arguments);
        let variables = environment.0.iter().map(|(name, value)| (name, value));
        Ended::of(command.arg("--live").env_clear().envs(variables), arguments)
    }
}

/// What the program tells to set, as its text for people has it.
fn pins(text: &str) -> Vec<(String, String)> {
    let words = text.split_whitespace();
    let pairs = words.filter_map(|word| word.split_once('='));
    pairs
        .filter(|(name, _)| name.ends_with("_FINGERPRINT"))
        .map(|(name, pin)| (name.to_owned(), pin.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_that_is_not_trusted_is_shown_and_is_trusted_as_the_program_says() {
    let (proxmox, openbao, argocd) = (
        PveMock::builder().tls().start().await,
        OpenBaoMock::builder().tls().start().await,
        ArgoCdMock::builder().tls().start().await,
    );
    let environment = Environment::default()
        .proxmox(&proxmox)
        .openbao(&openbao)
        .argocd(&argocd);
    let place = Place::of("lungmen.yaml");
    let checks = ["run", "--until", "preflight"];

    let strange = place.live(&checks, &environment).with(1);

    let pins = pins(&strange.stderr());
    let names: Vec<&str> = pins.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "PROXMOX_VE_FINGERPRINT",
            "BAO_FINGERPRINT",
            "ARGOCD_FINGERPRINT"
        ],
        "{}",
        strange.everything()
    );
    assert_eq!(pins[0].1, proxmox.fingerprint().unwrap().to_string());
    let failed = place.live(&[&checks[..], &["--json"]].concat(), &environment);
    let failed = failed.with(1).last_line();
    assert_eq!(failed["kind"], "certificate", "{failed}");
    assert_eq!(failed["untrusted"][1]["fingerprint"], pins[1].1, "{failed}");

    let trusting = pins
        .iter()
        .fold(environment, |known, (name, pin)| known.with(name, pin));
    place.live(&checks, &trusting).with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_unless_it_is_named() {
    let lab = Lab::builder().spec(&spec()).start().await.unwrap();
    let environment = Environment::default()
        .proxmox(lab.proxmox())
        .openbao(lab.openbao())
        .argocd(lab.argocd());
    let place = Place::of("lungmen.yaml");
    let checks = ["run", "--until", "preflight"];

    let refused = place.live(&checks, &environment).with(1).everything();

    for server in ["proxmox", "openbao", "argocd"] {
        let how = format!("--without-tls {server}");
        assert!(refused.contains(&how), "{server}: {refused}");
    }
    assert!(lab.proxmox().calls().is_empty());
    let named = ["proxmox", "openbao", "argocd"].map(|server| ["--without-tls", server]);
    let named = [&checks[..], named.concat().as_slice()].concat();
    place.live(&named, &environment).with(0);
    let one = [&checks[..], &["--without-tls", "proxmox"]].concat();
    let refused = place.live(&one, &environment).with(1).everything();
    assert!(!refused.contains("--without-tls proxmox"), "{refused}");
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let place = Place::of("lungmen.yaml");

    let missing = place.live(&["plan"], &Environment::default()).with(1);

    for name in ["PROXMOX_VE_API_TOKEN", "BAO_TOKEN", "ARGOCD_AUTH_TOKEN"] {
        let text = missing.stderr();
        assert!(text.contains(name), "{name}: {text}");
    }
    // Nobody needs a token of Argo CD for a kubeconfig.
    let part = place.live(&["plan", "--until", "kubeconfig"], &Environment::default());
    let text = part.with(1).stderr();
    assert!(!text.contains("ARGOCD"), "{text}");
}

/// A specification is checked as a whole, whatever the asked steps need of it, and nobody needs a credential for that.
#[test]
fn a_specification_is_checked_without_any_credential() {
    let mut place = Place::of("lungmen.yaml");
    let check = ["run", "--until", "spec"];
    place.live(&check, &Environment::default()).with(0);

    place.changed(&[("clusterName: lungmen.akn", "clusterName: akn/lungmen")]);

    let refused = place.live(&check, &Environment::default()).with(1);
    let text = refused.stderr();
    assert!(text.contains("argocd.clusterName"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_and_files_serve_as_well_as_the_environment() {
    let openbao = OpenBaoMock::builder().tls().start().await;
    let lab = Lab::builder().spec(&spec()).start().await.unwrap();
    let place = Place::of("lungmen.yaml");
    let checks = [
        "run",
        "--until",
        "preflight",
        "--without-tls",
        "proxmox",
        "--without-tls",
        "argocd",
    ];
    let elsewhere = Environment::default()
        .proxmox(lab.proxmox())
        .argocd(lab.argocd())
        .with("BAO_ADDR", "https://openbao.invalid");
    let file = place.folder.path().join("token");
    std::fs::write(&file, format!("{}\n", openbao.root_token().expose_secret())).unwrap();
    let address = format!("openbao={}", openbao.endpoint());
    let token = format!("openbao={}", file.display());
    let flags = ["--address", &address, "--token-file", &token];
    let strange = place
        .live(&[&checks[..], &flags].concat(), &elsewhere)
        .with(1);

    let pin = format!("openbao={}", pins(&strange.stderr())[0].1);
    let trusting = [&checks[..], &flags, &["--fingerprint", &pin]].concat();

    place.live(&trusting, &elsewhere).with(0);
}

/// A command asks for the servers that it asks something.
#[test]
fn the_log_of_a_node_needs_the_store_and_nothing_else() {
    let place = Place::of("lungmen.yaml");

    let missing = place.live(&["logs"], &Environment::default()).with(1);

    let text = missing.stderr();
    assert!(text.contains("BAO_TOKEN"), "{text}");
    for other in ["PROXMOX", "ARGOCD"] {
        assert!(!text.contains(other), "{text}");
    }
}
