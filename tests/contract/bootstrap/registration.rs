//! The registration of a cluster in Argo CD with nothing but its two servers: killed after each call, repeated, and its
//! credentials dead before or in between.
//!
//! `cargo test` samples the ways to die; `LUNGMEN_MATRIX=full` tries all of them. In each of them every call is a place to be
//! killed at.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use argocd_client::ClusterSpec;
use argocd_client::cluster::{Clusters, Registration, RegistrationOutcome, ServerUrl};
use argocd_client::mock::{ArgoCdMock, ClusterRecord, TargetProbe};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lungmen_bootstrap::kubernetes::{ArgoCdManager, Client, VerifySpec};
use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings};
use secrecy::{ExposeSecret as _, SecretString};

use crate::sample::sample;

const SERVER: &str = "https://kubernetes.lungmen.example.test:6443";
const ACCOUNT: &str = "argocd-manager";
const TOKEN: &str = "argocd-manager-long-lived-token";

fn server() -> ServerUrl {
    ServerUrl::parse(SERVER).unwrap()
}

/// What happens to the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// Nothing.
    None,
    /// Somebody stores another token in Argo CD, and our annotation stays.
    StoredToken,
    /// The cluster signs with another key.
    SigningKey,
    /// The token is deleted.
    Secret,
    /// The account is deleted, and its token with it.
    Account,
    /// The connection of Argo CD is reported as failed.
    Connection,
}

/// The moment of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before the run that is killed.
    Before,
    /// Between the kill and the repetition.
    Between,
}

/// Whether the cluster had been registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Nothing,
    Registered,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    start: Start,
    death: Death,
    moment: Moment,
}

fn cases() -> Vec<Case> {
    let deaths = [
        Death::None,
        Death::StoredToken,
        Death::SigningKey,
        Death::Secret,
        Death::Account,
        Death::Connection,
    ];
    let mut cases = Vec::new();
    for start in [Start::Nothing, Start::Registered] {
        for moment in [Moment::Before, Moment::Between] {
            cases.extend(deaths.map(|death| Case {
                start,
                death,
                moment,
            }));
        }
    }
    // Without a registration nothing can die before it.
    cases.retain(|case| case.start == Start::Registered || case.moment == Moment::Between);
    cases
}

/// A cluster, and an Argo CD that tries the tokens it is given at this cluster.
struct Servers {
    kubernetes: KubernetesMock,
    argocd: ArgoCdMock,
    /// A client of both; making one costs a key.
    clients: (Client, argocd_client::Client),
}

impl Servers {
    async fn start() -> Self {
        let kubernetes = KubernetesMock::builder()
            .timings(KubernetesTimings::instant())
            .start()
            .await;
        let client = kubernetes.client();
        client.verify(&VerifySpec::new([])).await.unwrap();
        let target = client.clone();
        let argocd = ArgoCdMock::builder()
            .target_check(move |probe: TargetProbe| {
                let target = target.clone();
                async move {
                    let token = probe.bearer_token.unwrap_or_default();
                    let allowed = target.argocd_manager().permits_everything(&token).await;
                    match allowed {
                        Ok(true) => Ok("v1.33.4".to_owned()),
                        _ => Err(REFUSED.to_owned()),
                    }
                }
            })
            .start()
            .await;
        let clients = (client, argocd.client());
        Self {
            kubernetes,
            argocd,
            clients,
        }
    }

    fn manager(&self) -> ArgoCdManager {
        let manager = self.clients.0.argocd_manager();
        manager.interval(Duration::from_millis(2))
    }

    fn clusters(&self) -> Clusters {
        self.clients.1.clusters()
    }

    fn calls(&self) -> usize {
        self.kubernetes.calls().len() + self.argocd.calls().len()
    }

    /// The account with its token in the cluster, and the cluster in Argo CD, as the step of a run does it.
    async fn register(&self) -> Registration {
        let access = self.manager().install().await.unwrap();
        let spec = ClusterSpec::new(
            "lungmen",
            server(),
            access.bearer_token,
            access.certificate_authority,
        )
        .label("environment", "production")
        .remember_credentials();
        self.clusters().register(&spec).await.unwrap()
    }

    /// Drops a registration when it has made this many calls. Whether it ended before.
    async fn killed_after(&self, limit: usize) -> bool {
        let first = self.calls();
        let mut run = pin!(self.register());
        poll_fn(|context| {
            if self.calls() >= first + limit {
                return Poll::Ready(false);
            }
            run.as_mut().poll(context).map(|_| true)
        })
        .await
    }

    fn kill(&self, death: Death) {
        match death {
            Death::None => {}
            Death::StoredToken => self.argocd.set_stored_token(SERVER, "aaa.bbb.ccc"),
            Death::SigningKey => self.kubernetes.replace_signing_key(),
            Death::Secret => {
                self.kubernetes.delete("secrets", "kube-system", TOKEN);
            }
            Death::Account => {
                self.kubernetes
                    .delete("serviceaccounts", "kube-system", ACCOUNT);
            }
            Death::Connection => self.argocd.set_connection_failure(SERVER, Some(REFUSED)),
        }
    }

    fn made(&self, plural: &str) -> usize {
        let names = self.kubernetes.names(plural, "kube-system");
        names
            .iter()
            .filter(|name| name.starts_with(ACCOUNT))
            .count()
    }

    /// The one cluster, which has the one token of the one account, and the token works.
    async fn assert_registered_once(&self, when: &str) {
        let [cluster] = <[ClusterRecord; 1]>::try_from(self.argocd.clusters())
            .unwrap_or_else(|clusters| panic!("{when}: {clusters:?}"));
        let made = (self.made("serviceaccounts"), self.made("secrets"));
        assert_eq!(made, (1, 1), "{when}");
        let token: SecretString = cluster.bearer_token.unwrap();
        let secret = self.kubernetes.object("secrets", "kube-system", TOKEN);
        let stored = STANDARD.encode(token.expose_secret());
        assert_eq!(secret.unwrap()["data"]["token"], stored, "{when}");
        let allowed = self.manager().permits_everything(&token).await;
        assert!(allowed.unwrap(), "{when}");
    }

    /// Takes everything back that a registration makes.
    async fn unregister(&self) {
        self.clusters().delete(&server()).await.unwrap();
        self.manager().delete().await.unwrap();
    }
}

const REFUSED: &str = "the server has asked for the client to provide credentials";

/// Kills a registration after each of its calls. Returns at how many places.
async fn killed_everywhere(case: Case) -> usize {
    let servers = Servers::start().await;
    for limit in 1.. {
        assert!(limit < 60, "{case:?}: the registration never ends");
        if case.start == Start::Registered {
            servers.register().await;
        }
        if case.moment == Moment::Before {
            servers.kill(case.death);
        }
        let ended = servers.killed_after(limit).await;
        if case.moment == Moment::Between {
            servers.kill(case.death);
        }
        let when = format!("{case:?}, killed after call {limit}");

        servers.register().await;

        servers.assert_registered_once(&when).await;
        let again = servers.register().await;
        assert_eq!(again.outcome, RegistrationOutcome::Unchanged, "{when}");
        if ended {
            return limit - 1;
        }
        servers.unregister().await;
    }
    unreachable!("the loop ends by itself")
}

#[tokio::test]
async fn a_registration_killed_anywhere_whose_credentials_die_ends_in_one_working_cluster() {
    for case in sample(cases(), 2) {
        let places = killed_everywhere(case).await;
        // Four objects, a token and a cluster cannot be looked at in fewer calls.
        assert!(places >= 5, "{case:?}: {places}");
    }
}
