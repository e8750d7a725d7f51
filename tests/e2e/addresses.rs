//! Where a machine is found before it is configured: by whom, and with which proof.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lungmen_bootstrap::machine::Role;
use lungmen_bootstrap::{
    AddressQuery, AddressResolver, ErrorKind, EventKind, Spec, StepId, async_trait, talos_client,
};

use crate::several::machine;
use crate::support::{World, spec, vm};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The first address that the Lab's DHCP gives out.
const LEASED: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 200));

/// The owner's machine without a guest agent, so that nobody knows where it boots.
fn without_agent() -> Spec {
    let mut spec = spec();
    let machines = std::mem::take(&mut spec.machines).into_iter();
    spec.machines = machines
        .map(|machine| machine.without_guest_agent())
        .collect();
    spec
}

/// Fails once, knows nothing once, and then has the lease.
#[derive(Clone, Default)]
struct Leases {
    asked: Arc<AtomicUsize>,
    queries: Arc<Mutex<Vec<AddressQuery>>>,
}

#[async_trait]
impl AddressResolver for Leases {
    fn name(&self) -> String {
        "the lease file".to_owned()
    }

    async fn resolve(&self, machine: &AddressQuery) -> Result<Vec<IpAddr>, BoxError> {
        self.queries.lock().unwrap().push(machine.clone());
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err("the file is being written".into()),
            1 => Ok(Vec::new()),
            _ => Ok(vec![LEASED]),
        }
    }
}

/// Always names one address.
struct Fixed(IpAddr);

#[async_trait]
impl AddressResolver for Fixed {
    fn name(&self) -> String {
        "the old leases".to_owned()
    }

    async fn resolve(&self, _machine: &AddressQuery) -> Result<Vec<IpAddr>, BoxError> {
        Ok(vec![self.0])
    }
}

/// Never answers.
struct Silent;

#[async_trait]
impl AddressResolver for Silent {
    fn name(&self) -> String {
        "the silent one".to_owned()
    }

    async fn resolve(&self, _machine: &AddressQuery) -> Result<Vec<IpAddr>, BoxError> {
        std::future::pending().await
    }
}

fn causes_of_waits(world: &World) -> Vec<String> {
    let events = world.events();
    let causes = events.iter().filter_map(|event| match &event.kind {
        EventKind::Waiting { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    causes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_finds_the_machine_and_is_named() {
    let world = World::new().await;
    let leases = Leases::default();
    let builder = world.builder_of(without_agent()).resolver(leases.clone());

    let cluster = builder.build().unwrap().run().await;

    let cluster = cluster.unwrap_or_else(|error| panic!("{}", error.report()));
    let boot = cluster
        .steps
        .iter()
        .find(|report| report.step == StepId::FirstBoot);
    let summary = &boot.unwrap().summary;
    assert!(summary.contains("10.0.2.200"), "{summary}");
    assert!(
        summary.contains("(address from the lease file)"),
        "{summary}"
    );
    let causes = causes_of_waits(&world).join("\n");
    for cause in [
        "the lease file: the file is being written",
        "the lease file: no address yet",
    ] {
        assert!(causes.contains(cause), "{cause}: {causes}");
    }
    let query = leases.queries.lock().unwrap()[0].clone();
    assert_eq!(
        (query.vm_id, query.node.as_str()),
        (crate::support::VM, "pve-01")
    );
    assert_eq!(query.mac_addresses.len(), 1, "{query:?}");
    let config = world.lab.proxmox().vm(vm()).unwrap().config;
    let uuid = config.smbios.and_then(|smbios| smbios.uuid).unwrap();
    assert_eq!(query.uuid, uuid);
}

/// The leases of two machines are exchanged: each address answers, and each answer is the other machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_is_a_cause_and_never_the_machine() {
    let world = World::new().await;
    let mut spec = spec();
    spec.machines = vec![
        machine(1, Role::ControlPlane),
        machine(2, Role::Worker).without_guest_agent(),
    ];
    let mut timing = world.lab.timing();
    timing.first_boot = Duration::from_secs(2);
    // The first machine is found by its agent, and the resolver says that the second one is there.
    let first = world.builder_of(spec.clone()).build().unwrap();
    first.run_until(StepId::Machine).await.unwrap();
    drop(first);
    let address = loop {
        let interfaces = world.lab.proxmox().client();
        let vm = proxmox_client::id::VmId::new(2_411_001).unwrap();
        let vm = interfaces.node("pve-01".parse().unwrap()).vm(vm);
        if let Ok(interfaces) = vm.guest_interfaces().await
            && let Some(address) = interfaces
                .iter()
                .flat_map(|one| one.addresses.iter())
                .next()
        {
            break address.address;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let builder = world
        .builder_of(spec)
        .timing(timing)
        .resolver(Fixed(address));

    // Once it is configured, the first machine leaves that address.
    let error = builder
        .build()
        .unwrap()
        .run_until(StepId::FirstBoot)
        .await
        .unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{report}");
    assert_eq!(error.step(), Some(StepId::FirstBoot), "{report}");
    assert!(report.contains("address from the old leases"), "{report}");
    assert!(report.contains("another machine"), "{report}");
    assert!(world.lab.talos(vm()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_resolver_neither_hides_the_others_nor_outlives_the_deadline() {
    let world = World::new().await;
    let started = std::time::Instant::now();
    let mut timing = world.lab.timing();
    timing.first_boot = Duration::from_secs(8);
    let builder = world.builder_of(without_agent()).timing(timing);
    let builder = builder.resolver(Silent).resolver(Fixed(LEASED));

    let run = builder.build().unwrap().run_until(StepId::FirstBoot).await;

    let run = run.unwrap_or_else(|error| panic!("{}", error.report()));
    let summary = &run.steps.last().unwrap().summary;
    assert!(summary.contains("address from the old leases"), "{summary}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_fingerprint_pins_the_machine_in_maintenance_mode() {
    let world = World::new().await;
    world.run_until(StepId::FirstBoot).await.unwrap();
    let name = spec().machines[0].name().to_owned();
    let other = "dGhpcyBpcyBub3QgdGhlIGtleSBvZiB0aGUgbm9kZSE=";
    let pinned = |pin: &str| {
        let pin: talos_client::PublicKeyFingerprint = pin.parse().unwrap();
        world.builder().maintenance_fingerprint(&name, pin)
    };

    let error = pinned(other).build().unwrap().run().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Certificate, "{report}");
    assert_eq!(error.step(), Some(StepId::FirstBoot), "{report}");
    let talos = world.lab.talos(vm()).unwrap();
    talos.assert_called(talos_client::mock::Route::ApplyConfiguration, 0);
    let presented = report
        .split("the fingerprint ")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap();
    // The console shows the right one; the other may be an older boot.
    let builder = pinned(presented).maintenance_fingerprint(&name, other.parse().unwrap());
    builder.build().unwrap().run().await.unwrap();
    let unknown = world
        .builder()
        .maintenance_fingerprint("tal99", presented.parse().unwrap());
    let error = unknown.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    assert!(error.report().contains("tal99"), "{}", error.report());
}
