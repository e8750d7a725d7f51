//! A mock in the state from which the recordings start, and the server of the images.

use proxmox_client::access::AclUpdate;
use proxmox_client::credentials::ApiToken;
use proxmox_client::mock::{Acl, MockStorage, PveMock};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::proxmox::{node, storage};

/// The image of the recordings, and its checksum there.
pub(super) const IMAGE: usize = 102_775;
pub(super) const IMAGE_SHA256: &str =
    "58efc9824cf1fa28bb83b7c09131d7463520789afccbed3b1c992e3d51521a84";

/// What the bootstrap needs.
const RIGHTS: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Pool.Allocate",
    "Pool.Audit",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
];

/// What the guest of the recording can do.
pub(super) const GUEST_COMMANDS: &[&str] = &[
    "guest-ping",
    "guest-info",
    "guest-network-get-interfaces",
    "guest-get-host-name",
];

pub(super) async fn images() -> MockServer {
    let server = MockServer::start().await;
    let image = || {
        ResponseTemplate::new(200).set_body_raw(vec![7_u8; IMAGE], "application/x-iso9660-image")
    };
    Mock::given(path("/ok.iso"))
        .respond_with(image())
        .mount(&server)
        .await;
    Mock::given(path("/slow.iso"))
        .respond_with(image().set_delay(std::time::Duration::from_secs(60)))
        .mount(&server)
        .await;
    Mock::given(path("/moved.iso"))
        .respond_with(ResponseTemplate::new(302).insert_header("Location", "/ok.iso"))
        .mount(&server)
        .await;
    server
}

pub(super) async fn mock(release: &str) -> PveMock {
    let agent = match release.starts_with('9') {
        true => "VM.GuestAgent.Audit",
        false => "VM.Monitor",
    };
    let all = Acl::administrator();
    let mut admin = all.clone();
    for privilege in [
        "Sys.Modify",
        "Sys.AccessNetwork",
        "Permissions.Modify",
        "Sys.PowerMgmt",
    ] {
        admin = admin.without(privilege);
    }
    let mock = PveMock::builder()
        .version(release)
        .node(node())
        .offline_node("pve-02".parse().unwrap())
        .cpus(4)
        .storage(MockStorage::directory(
            storage("local"),
            &["iso", "vztmpl", "backup", "import", "images", "snippets"],
        ))
        .storage(
            MockStorage::directory(storage("nvme-lvm"), &["images", "rootdir"])
                .path("/var/lib/nvme"),
        )
        .storage(
            MockStorage::directory(storage("import-store"), &["import"]).path("/var/lib/import"),
        )
        .storage(
            MockStorage::directory(storage("off"), &["images", "iso"])
                .path("/var/lib/off")
                .disabled(),
        )
        .storage(
            MockStorage::directory(storage("other-node"), &["iso"])
                .path("/var/lib/vz2")
                .only_on("pve-02".parse().unwrap()),
        )
        .bridge_with_address("vmbr0", "10.0.0.1/24")
        .internal_bridge("vmbr1")
        .network_card("eth0")
        .pool("talos")
        .token(
            "ci@pve!boot",
            "ok",
            Acl::none().grant("/", RIGHTS).grant("/", &[agent]),
        )
        .token("low@pve!xx", "low", Acl::none())
        .token("root@pam!full", "root", all)
        .token("ci@pve!sep", "sep", Acl::none())
        .user("alice@pve", "password", admin.clone())
        .user_with_totp("bob@pve", "password", "123456", admin)
        .task_polls(0)
        .start()
        .await;
    let root = ApiToken::new("root@pam!full", "root".into()).unwrap();
    let root = mock.client_builder(root).build().unwrap();
    let administrator = AclUpdate::new("/", "PVEAdmin").users("alice@pve");
    root.access().update_acl(&administrator).await.unwrap();
    mock
}
