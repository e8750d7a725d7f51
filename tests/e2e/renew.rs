//! `renew`: new certificates in files and store, and a new token for Argo CD; the secrets bundle stays.

use std::time::Duration;

use lungmen_bootstrap::{Action, ErrorKind, RenewOptions, Renewed, StepId, Verdict};
use secrecy::ExposeSecret as _;
use talos_client::secrets::{Role, SecretsBundle};
use talos_client::talosconfig::Talosconfig;

use crate::support::{World, spec};

impl World {
    async fn renew(&self, options: RenewOptions) -> Renewed {
        let bootstrap = self.bootstrap();
        let renewed = bootstrap.renew(&options).await;
        renewed.unwrap_or_else(|error| panic!("{}", error.report()))
    }

    fn stored(&self, key: &str) -> String {
        let secret = self.lab.openbao().secret("secret", "talos/lungmen.akn");
        secret.unwrap()[key].as_str().unwrap().to_owned()
    }
}

fn names(renewed: &Renewed) -> Vec<&str> {
    renewed.renewed.iter().map(|it| it.what.as_str()).collect()
}

/// A talosconfig of this cluster whose certificate of a year ends in ten days.
fn ending_talosconfig(world: &World) -> String {
    let bundle = SecretsBundle::parse(&world.read("secrets.yaml")).unwrap();
    let days = |count: u64| Duration::from_secs(count * 86_400);
    let ending = bundle.client_certificate(Role::Admin).ttl(days(365));
    let issued = jiff::Timestamp::now() - days(355);
    let ending = ending.not_before(issued).issue().unwrap();
    let mut config = Talosconfig::parse(&world.read("talosconfig")).unwrap();
    let name = config.current().to_owned();
    config.context_mut(&name).unwrap().set_certificate(&ending);
    config.to_yaml().expose_secret().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_renewed_long_before_its_end() {
    let world = World::new().await;
    world.run().await.unwrap();
    let before = (world.read("talosconfig"), world.read("kubeconfig"));

    let renewed = world.renew(RenewOptions::near_their_end()).await;

    assert_eq!(renewed.renewed, [], "{renewed:#?}");
    assert!(
        renewed.kept.iter().any(|it| it.until.is_some()),
        "{renewed:#?}"
    );
    assert_eq!(
        (world.read("talosconfig"), world.read("kubeconfig")),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_near_its_end_is_renewed_in_file_store_and_merged_file() {
    let world = World::new().await;
    world.run().await.unwrap();
    let ending = ending_talosconfig(&world);
    let (merged, old) = (world.file("merged"), world.file("talosconfig"));
    std::fs::write(&merged, &ending).unwrap();
    std::fs::write(&old, &ending).unwrap();
    let bundle = world.stored("secrets.yaml");
    let bootstrap = world.builder().merge_talosconfig(&merged).build().unwrap();
    let near = bootstrap.status().await;
    assert!(near.expiries[0].soon, "{near}");

    let renewed = bootstrap.renew(&RenewOptions::near_their_end()).await;

    let renewed = renewed.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(names(&renewed).len(), 2, "{renewed:#?}");
    let fresh = world.read("talosconfig");
    assert_ne!(fresh, ending);
    let end = |text: &str| {
        let config = Talosconfig::parse(text).unwrap();
        config.current_context().unwrap().not_after().unwrap()
    };
    assert_eq!(end(&world.read("merged")), end(&fresh));
    assert_eq!(world.stored("talosconfig"), fresh);
    assert_eq!(world.stored("kubeconfig"), world.read("kubeconfig"));
    assert_eq!(world.stored("secrets.yaml"), bundle);
    let plan = bootstrap.plan().await;
    assert_eq!(plan.verdict(), Verdict::Nothing, "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_and_the_token_of_argo_cd_are_renewed_on_request() {
    let world = World::new().await;
    world.run().await.unwrap();
    let kubeconfig = world.read("kubeconfig");
    let token = || async {
        let client = world.lab.kubernetes().unwrap().client();
        let access = client.argocd_manager().find().await.unwrap().unwrap();
        access.bearer_token.expose_secret().to_owned()
    };
    let before = token().await;

    let renewed = world
        .renew(RenewOptions::near_their_end().everything().argocd_token())
        .await;

    assert_eq!(names(&renewed).len(), 3, "{renewed:#?}");
    assert!(names(&renewed)[0].contains("kubeconfig"));
    assert!(names(&renewed)[1].contains("OpenBao"));
    assert!(names(&renewed)[2].contains("Argo CD"));
    assert_ne!(world.read("kubeconfig"), kubeconfig);
    assert_eq!(world.stored("kubeconfig"), world.read("kubeconfig"));
    assert_ne!(token().await, before);
    // What is new works: nothing is left to do.
    let again = world.run().await.unwrap();
    assert!(again.was_complete(), "{:#?}", again.steps);
    let plan = world.bootstrap().plan().await;
    assert!(
        matches!(
            plan.action(StepId::Register, "lungmen.akn"),
            Some(Action::Nothing { .. })
        ),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_record_there_is_nothing_to_renew() {
    let world = World::new().await;
    let bootstrap = world.builder_of(spec()).build().unwrap();

    let error = bootstrap.renew(&RenewOptions::near_their_end()).await;

    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

/// What nobody keeps in a folder is renewed in the store.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_output_directory_the_store_gets_the_new_kubeconfig() {
    let world = World::new().await;
    world.run().await.unwrap();
    let (kubeconfig, bundle) = (world.stored("kubeconfig"), world.stored("secrets.yaml"));
    let bootstrap = world.lab.bootstrap(spec()).without_output();
    let bootstrap = bootstrap.build().unwrap();

    let options = RenewOptions::near_their_end();
    let kept = bootstrap.renew(&options).await.unwrap();
    assert_eq!(kept.renewed, [], "{kept:#?}");
    assert_eq!(world.stored("kubeconfig"), kubeconfig);

    let renewed = bootstrap.renew(&options.everything()).await.unwrap();

    assert_ne!(world.stored("kubeconfig"), kubeconfig, "{renewed:#?}");
    assert_eq!(world.stored("secrets.yaml"), bundle);
    let plan = bootstrap.plan().await;
    assert_eq!(plan.verdict(), Verdict::Nothing, "{plan}");
}
