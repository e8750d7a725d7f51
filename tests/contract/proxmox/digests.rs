//! Every call that takes a digest: it is sent, another state of the configuration refuses it, and one re-read is enough.

use std::collections::BTreeSet;
use std::pin::Pin;

use http::Method;
use proxmox_client::cluster::{
    FirewallOptionsUpdate, FirewallRuleRequest, FirewallRuleUpdate, HaGroupRequest, HaGroupUpdate,
    HaResourceRequest, HaResourceUpdate, HaRuleRequest, HaRuleUpdate,
};
use proxmox_client::mock::{Contract, MockStorage, PveMock, Route};
use proxmox_client::vm::{ConfigUpdate, MoveDiskRequest, ResizeRequest, Size, Slot};
use proxmox_client::{Client, ErrorKind, Reason, Result, Task, Vm, reread};

use super::{node, poll, storage, vm_id};

type Outcome = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
type Digest = Pin<Box<dyn Future<Output = Result<Option<String>>> + Send>>;

struct Guarded {
    release: &'static str,
    method: Method,
    template: &'static str,
    read: fn(Client) -> Digest,
    change: fn(Client, String) -> Outcome,
}

/// Makes a row: how the digest is read, and the change that takes it.
macro_rules! guarded {
    ($release:literal $method:ident $template:literal, $read:ident, |$client:ident, $digest:ident| $change:expr) => {
        Guarded {
            release: $release,
            method: Method::$method,
            template: $template,
            read: |client| Box::pin($read(client)),
            change: |$client, $digest| Box::pin(async move { $change }),
        }
    };
}

fn vm(client: &Client) -> Vm {
    client.node(node()).vm(vm_id())
}

async fn of_config(client: Client) -> Result<Option<String>> {
    Ok(vm(&client).config().await?.digest)
}

async fn of_firewall(client: Client) -> Result<Option<String>> {
    Ok(vm(&client).firewall_options().await?.digest)
}

async fn of_rules(client: Client) -> Result<Option<String>> {
    Ok(vm(&client).firewall_rules().await?.remove(0).digest)
}

async fn of_sets(client: Client) -> Result<Option<String>> {
    Ok(vm(&client).ip_sets().await?.remove(0).digest)
}

async fn of_resource(client: Client) -> Result<Option<String>> {
    Ok(client.cluster().ha_resource(vm_id()).await?.digest)
}

async fn of_group(client: Client) -> Result<Option<String>> {
    Ok(client.cluster().ha_group("all").await?.digest)
}

async fn of_rule(client: Client) -> Result<Option<String>> {
    Ok(client.cluster().ha_rule("home").await?.digest)
}

async fn ended(task: Option<Task>) -> Result<()> {
    match task {
        Some(task) => task.wait(poll()).await.map(drop),
        None => Ok(()),
    }
}

fn of_vm() -> Vec<Guarded> {
    vec![
        guarded!("9" POST "/nodes/{node}/qemu/{vmid}/config", of_config, |c, digest| {
            let update = ConfigUpdate::new().option("cores", 4).digest(digest);
            ended(vm(&c).update(&update).await?).await
        }),
        guarded!("9" PUT "/nodes/{node}/qemu/{vmid}/config", of_config, |c, digest| {
            let update = ConfigUpdate::new().option("cores", 4).digest(digest);
            vm(&c).set(&update).await
        }),
        guarded!("9" PUT "/nodes/{node}/qemu/{vmid}/resize", of_config, |c, digest| {
            let size = ResizeRequest::by(Size::gib(1)).digest(digest);
            ended(Some(vm(&c).resize_disk(Slot::Scsi(0), &size).await?)).await
        }),
        guarded!("9" POST "/nodes/{node}/qemu/{vmid}/move_disk", of_config, |c, digest| {
            let to = MoveDiskRequest::new(storage("elsewhere")).digest(digest);
            ended(Some(vm(&c).move_disk(Slot::Scsi(0), &to).await?)).await
        }),
    ]
}

fn of_the_firewall() -> Vec<Guarded> {
    vec![
        guarded!("9" PUT "/nodes/{node}/qemu/{vmid}/firewall/options", of_firewall, |c, digest| {
            let update = FirewallOptionsUpdate::new().enable().digest(digest);
            vm(&c).update_firewall_options(&update).await
        }),
        guarded!("9" POST "/nodes/{node}/qemu/{vmid}/firewall/rules", of_rules, |c, digest| {
            let rule = FirewallRuleRequest::new("in", "DROP").digest(digest);
            vm(&c).add_firewall_rule(&rule).await
        }),
        guarded!("9" PUT "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}", of_rules, |c, digest| {
            let update = FirewallRuleUpdate::new().action("DROP").digest(digest);
            vm(&c).update_firewall_rule(0, &update).await
        }),
        guarded!("9" DELETE "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}", of_rules, |c, digest| {
            vm(&c).delete_firewall_rule(0, Some(&digest)).await
        }),
        guarded!("9" POST "/nodes/{node}/qemu/{vmid}/firewall/ipset", of_sets, |c, digest| {
            vm(&c).rename_ip_set("admins", "people", Some(&digest)).await
        }),
        guarded!("9" DELETE "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}", of_sets, |c, digest| {
            vm(&c)
                .remove_from_ip_set("admins", "10.0.0.0/24", Some(&digest))
                .await
        }),
    ]
}

fn of_high_availability() -> Vec<Guarded> {
    vec![
        guarded!("9" PUT "/cluster/ha/resources/{sid}", of_resource, |c, digest| {
            let update = HaResourceUpdate::new().state("stopped").digest(digest);
            c.cluster().update_ha_resource(vm_id(), &update).await
        }),
        guarded!("8" PUT "/cluster/ha/groups/{group}", of_group, |c, digest| {
            let update = HaGroupUpdate::new().comment("x").digest(digest);
            c.cluster().update_ha_group("all", &update).await
        }),
        guarded!("9" PUT "/cluster/ha/rules/{rule}", of_rule, |c, digest| {
            let update = HaRuleUpdate::new("node-affinity").comment("x").digest(digest);
            c.cluster().update_ha_rule("home", &update).await
        }),
    ]
}

fn all() -> Vec<Guarded> {
    let mut all = of_vm();
    all.extend(of_the_firewall());
    all.extend(of_high_availability());
    all
}

/// A cluster in which everything can be changed.
async fn cluster(release: &str) -> PveMock {
    let version = if release == "8" { "8.4.21" } else { "9.2.11" };
    let mock = PveMock::builder()
        .version(version)
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
        .storage(MockStorage::lvm_thin(storage("elsewhere")))
        .start()
        .await;
    mock.add_vm(vm_id(), &[("scsi0", "nvme-lvm:1"), ("cores", "2")]);
    let client = mock.client();
    let (machine, ha) = (vm(&client), client.cluster());
    let rule = FirewallRuleRequest::new("in", "ACCEPT").enable();
    machine.add_firewall_rule(&rule).await.unwrap();
    machine.create_ip_set("admins").await.unwrap();
    machine
        .add_to_ip_set("admins", "10.0.0.0/24")
        .await
        .unwrap();
    ha.add_ha_resource(vm_id(), &HaResourceRequest::new())
        .await
        .unwrap();
    match release {
        "8" => ha
            .create_ha_group("all", &HaGroupRequest::new("pve-01"))
            .await
            .unwrap(),
        _ => ha
            .create_ha_rule(
                "home",
                &HaRuleRequest::node_affinity(&[vm_id()], "pve-01:2"),
            )
            .await
            .unwrap(),
    }
    mock
}

#[test]
fn every_call_that_takes_a_digest_is_in_the_table() {
    let listed: BTreeSet<String> = all()
        .iter()
        .map(|row| format!("{} {}", row.method, row.template))
        .collect();
    let taking: BTreeSet<String> = Route::ALL
        .iter()
        .filter(|route| {
            [Contract::pve_9(), Contract::pve_8()]
                .iter()
                .any(|contract| contract.takes(&route.method(), route.template(), "digest"))
        })
        .map(|route| format!("{} {}", route.method(), route.template()))
        .collect();

    assert_eq!(listed, taking);
}

#[tokio::test]
async fn a_digest_of_another_state_refuses_every_change() {
    for row in all() {
        let mock = cluster(row.release).await;
        let client = mock.client();
        let name = format!("{} {}", row.method, row.template);

        let error = (row.change)(client.clone(), "ab".repeat(20))
            .await
            .expect_err(&name);
        assert_eq!(
            error.reason(),
            Some(Reason::ConfigChanged),
            "{name}: {error}"
        );
        let expected = [ErrorKind::Conflict, ErrorKind::TaskFailed];
        assert!(expected.contains(&error.kind()), "{name}: {error}");

        let digest = (row.read)(client.clone()).await.unwrap().expect(&name);
        (row.change)(client, digest)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test]
async fn a_change_in_between_costs_one_more_read() {
    for row in all() {
        let mock = cluster(row.release).await;
        let client = mock.client();
        let mut reads = 0;

        reread(async || {
            reads += 1;
            let digest = match reads {
                // Somebody else changes it between the read and the change.
                1 => "cd".repeat(20),
                _ => (row.read)(client.clone()).await?.unwrap_or_default(),
            };
            (row.change)(client.clone(), digest).await
        })
        .await
        .unwrap_or_else(|error| panic!("{} {}: {error}", row.method, row.template));

        assert_eq!(reads, 2);
    }
}
