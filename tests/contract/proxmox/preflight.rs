//! Missing privileges, all at once.

use proxmox_client::ErrorKind;
use proxmox_client::access::Requirement;
use proxmox_client::mock::{Acl, PveMock};
use proxmox_client::vm::VmSpec;

use super::{node, vm_id};

#[tokio::test]
async fn all_missing_privileges_are_one_error() {
    let acl = Acl::none()
        .grant("/vms", &["VM.Allocate", "VM.Audit"])
        .grant("/storage/local", &["Datastore.Audit"]);
    let mock = PveMock::builder()
        .token("ci@pve!boot", "secret", acl)
        .start()
        .await;

    let required = [
        Requirement::new("/vms/2411000", "VM.Allocate"),
        Requirement::new("/vms/2411000", "VM.PowerMgmt"),
        Requirement::new("/storage/local", "Datastore.AllocateTemplate"),
        Requirement::new("/nodes/pve-01", "Sys.AccessNetwork"),
    ];
    let error = mock.client().preflight(&required).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
    let missing: Vec<String> = error
        .missing_permissions()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        missing,
        [
            "VM.PowerMgmt on /vms/2411000",
            "Datastore.AllocateTemplate on /storage/local",
            "Sys.AccessNetwork on /nodes/pve-01",
        ]
    );
    assert!(mock.client().preflight(&required[..1]).await.is_ok());
}

#[tokio::test]
async fn a_refused_creation_names_the_privilege_and_creates_nothing() {
    let acl = Acl::administrator().without("VM.Config.Memory");
    let mock = PveMock::builder()
        .token("ci@pve!boot", "secret", acl)
        .start()
        .await;

    let spec = VmSpec::new(vm_id(), "tal01");
    let error = mock
        .client()
        .node(node())
        .create_vm(&spec)
        .await
        .unwrap_err();

    assert_eq!(
        error.missing_permissions()[0].to_string(),
        "VM.Config.Memory on /vms/2411000"
    );
    assert!(mock.vm(vm_id()).is_none());
}

#[tokio::test]
async fn bridges_that_may_not_be_used_are_left_out() {
    let acl = Acl::administrator().grant("/sdn/zones/localnetwork/vmbr1", &[]);
    let mock = PveMock::builder()
        .token("ci@pve!boot", "secret", acl)
        .start()
        .await;

    let bridges = mock.client().node(node()).bridges().await.unwrap();

    let names: Vec<&str> = bridges.iter().map(|bridge| bridge.iface.as_str()).collect();
    assert_eq!(names, ["vmbr0"]);
}
