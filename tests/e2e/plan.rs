//! `plan`: what is left to do, by reads alone.

use lungmen_bootstrap::mock::openbao::OpenBaoMode;
use lungmen_bootstrap::{Action, PatchSource, Plan, Spec, StepId, Verdict};

use crate::support::{World, spec, vm};
use crate::writes::Writes;

const MACHINE: &str = "tal01.lungmen.akn.chezmoi.sh";

impl World {
    /// Plans the specification and proves that nothing was changed: no request, no file.
    async fn plan(&self, spec: Spec) -> Plan {
        self.plan_until(spec, StepId::Applications).await
    }

    async fn plan_until(&self, spec: Spec, last: StepId) -> Plan {
        let bootstrap = self.builder_of(spec).build().unwrap();
        let before = (Writes::of(&self.lab), self.files());
        let plan = bootstrap.plan_until(last).await;
        assert_eq!((Writes::of(&self.lab), self.files()), before, "{plan}");
        plan
    }

    fn files(&self) -> Vec<(std::path::PathBuf, String)> {
        let entries = std::fs::read_dir(self.output.path()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
            .collect();
        files.sort();
        files
    }
}

#[track_caller]
fn action<'a>(plan: &'a Plan, step: StepId, target: &str) -> &'a Action {
    plan.action(step, target)
        .unwrap_or_else(|| panic!("{step} {target}\n{plan}"))
}

/// A changed specification: a label, a core more, another kernel argument of a sysctl.
fn changed() -> Spec {
    crate::destroy::changed(crate::spec::edited(&[("cores: 4", "cores: 5")]).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_empty_servers_everything_is_created() {
    let world = World::new().await;

    let plan = world.plan(spec()).await;

    assert_eq!(plan.verdict(), Verdict::Changes, "{plan}");
    assert_eq!(plan.steps.len(), StepId::ALL.len());
    for step in [
        StepId::Claim,
        StepId::Schematic,
        StepId::Image,
        StepId::Machine,
        StepId::Configuration,
        StepId::Apply,
        StepId::EtcdBootstrap,
        StepId::Kubeconfig,
        StepId::SaveSecrets,
        StepId::Register,
    ] {
        let planned = plan.steps.iter().find(|planned| planned.step == step);
        for item in &planned.unwrap().items {
            assert!(
                matches!(item.action, Action::Create { .. }),
                "{step}\n{plan}"
            );
        }
    }
    assert!(world.lab.proxmox().vm_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_cluster_has_nothing_to_do_and_a_changed_specification_has() {
    let world = World::new().await;
    world.run().await.unwrap();

    let nothing = world.plan(spec()).await;
    assert_eq!(nothing.verdict(), Verdict::Nothing, "{nothing}");

    let plan = world.plan(changed()).await;
    assert_eq!(plan.verdict(), Verdict::Changes);
    let Action::NeedsPermission {
        changes,
        permission,
        ..
    } = action(&plan, StepId::Machine, MACHINE)
    else {
        panic!("{plan}");
    };
    assert_eq!(changes[0].to_string(), "~ cores: 4 -> 5");
    assert!(permission.contains("stop VM 2411000"), "{permission}");
    let Action::Change { changes, .. } = action(&plan, StepId::Apply, MACHINE) else {
        panic!("{plan}");
    };
    let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert!(
        lines.iter().any(
            |line| line.contains("net.ipv4.ip_local_reserved_ports") && line.ends_with("30000")
        ),
        "{lines:?}"
    );
    assert!(matches!(
        action(&plan, StepId::Configuration, "controlplane.yaml"),
        Action::Change { .. }
    ));
    let Action::Change { changes, .. } = action(&plan, StepId::Register, "lungmen.akn") else {
        panic!("{plan}");
    };
    assert_eq!(changes[0].to_string(), "+ labels.stage: test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_vm_is_changed_and_its_node_is_unknown() {
    let world = World::new().await;
    world.run().await.unwrap();
    stop(&world).await;

    let plan = world.plan(changed()).await;

    let Action::Change { changes, .. } = action(&plan, StepId::Machine, MACHINE) else {
        panic!("{plan}");
    };
    assert_eq!(changes[0].to_string(), "~ cores: 4 -> 5");
    assert!(matches!(
        action(&plan, StepId::Apply, MACHINE),
        Action::Unknown { .. }
    ));
}

async fn stop(world: &World) {
    let node = proxmox_client::id::NodeName::new("pve-01").unwrap();
    let vm = world.lab.proxmox().client().node(node).vm(vm());
    let poll = proxmox_client::Poll::every(std::time::Duration::from_millis(5));
    vm.stop_now().await.unwrap().wait(poll).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_that_is_away_knows_is_unknown_and_the_others_are_asked() {
    let world = World::new().await;
    world.run().await.unwrap();
    world.lab.openbao().set_mode(OpenBaoMode::Sealed);

    let plan = world.plan(spec()).await;

    assert_eq!(plan.verdict(), Verdict::Unknown, "{plan}");
    let claim = &plan
        .steps
        .iter()
        .find(|planned| planned.step == StepId::Claim)
        .unwrap()
        .items[0];
    let Action::Unknown { cause } = &claim.action else {
        panic!("{plan}");
    };
    assert!(cause.contains("sealed"), "{cause}");
    let volume = "talos-v1.10.7-nocloud-amd64-secureboot-88d1f7a5c4f1.iso";
    assert!(matches!(
        action(&plan, StepId::Image, volume),
        Action::Nothing { .. }
    ));
    assert!(matches!(
        action(&plan, StepId::Machine, MACHINE),
        Action::Unknown { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_of_somebody_else_blocks_and_the_servers_of_later_steps_are_not_asked() {
    let world = World::new().await;
    world.lab.proxmox().add_vm(vm(), &[("name", "other")]);

    let plan = world.plan_until(spec(), StepId::Machine).await;

    assert_eq!(plan.verdict(), Verdict::Blocked, "{plan}");
    assert!(matches!(
        action(&plan, StepId::Machine, MACHINE),
        Action::Blocked { .. }
    ));
    assert_eq!(plan.steps.last().unwrap().step, StepId::Machine);
    assert!(world.lab.argocd().calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_left_the_specification_is_listed() {
    let world = World::new().await;
    world.run_until(StepId::Machine).await.unwrap();
    let other = [
        ("name: tal01", "name: tal02"),
        ("vmId: 2411000", "vmId: 2411001"),
    ];
    let renamed = crate::spec::edited(&other).unwrap();

    let plan = world.plan_until(renamed, StepId::Machine).await;

    assert_eq!(plan.removed.len(), 1, "{plan}");
    assert_eq!(plan.removed[0].name, MACHINE);
    assert_eq!(plan.removed[0].vm_id, vm().get());
}

/// What a person decides by: the hardware that is created, and the system that a patch chose.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_the_machine_and_its_configuration_really_are() {
    let world = World::new().await;
    let id = spec().bootstrap().outline().unwrap();
    let id = id.steps.iter().flat_map(|step| &step.details);
    let id = id
        .filter_map(|line| line.strip_prefix("ID "))
        .next()
        .unwrap();
    let patched = format!("registry.example.org/nocloud-installer-secureboot/{id}:v1.10.7");
    let patch = format!("machine: {{ install: {{ image: {patched:?} }} }}");
    let patch = PatchSource::new("installer.yaml", patch);
    let with_tpm = [("guestAgent: true", "guestAgent: true\n    tpm: true")];
    let with_tpm = crate::spec::edited(&with_tpm).unwrap();
    let builder = world.builder_of(with_tpm).config_patch(patch);

    let plan = builder.build().unwrap().plan().await;

    let item = |step: StepId| {
        let step = plan.steps.iter().find(|planned| planned.step == step);
        &step.unwrap().items[0]
    };
    assert_eq!(
        item(StepId::Apply).details,
        [format!("installer {patched}")]
    );
    let hardware = &item(StepId::Machine).details[0];
    for part in [
        "4 cores of ",
        " MiB",
        "bridge vmbr1 VLAN 2",
        "with firewall",
        "UEFI with Secure Boot",
        "TPM 2.0",
        "node pve-01",
    ] {
        assert!(hardware.contains(part), "{part}: {hardware}");
    }
    assert!(plan.to_string().contains(hardware.as_str()), "{plan}");
}
