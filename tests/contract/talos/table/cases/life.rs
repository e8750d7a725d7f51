//! Calls about the life of the machine, and programs on it.

use serde_json::json;
use talos_client::machine::{
    ImageNamespace, RebootMode, ResetRequest, ShutdownMode, UpgradeRequest,
};
use talos_client::{Client, ErrorKind};

use super::{IMAGE, INSTALLER, all, case, debug, import, instance};
use crate::talos::table::{Case, Node, Running};

#[expect(clippy::too_many_lines, reason = "a table of calls")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "reboot",
            "/machine.MachineService/Reboot",
            "O",
            json!({"mode": "POWERCYCLE"}),
            run!(|machine| machine.reboot(RebootMode::PowerCycle)),
        )
        .on(Node::Own),
        case(
            "shutdown",
            "/machine.MachineService/Shutdown",
            "O",
            json!({"force": true}),
            run!(|machine| machine.shutdown(ShutdownMode::Force)),
        )
        .on(Node::Own),
        case(
            "reset",
            "/machine.MachineService/Reset",
            "A",
            json!({
                "reboot": true,
                "system_partitions_to_wipe": [{"label": "STATE", "wipe": true}, {"label": "EPHEMERAL", "wipe": true}],
                "mode": "SYSTEM_DISK"
            }),
            run!(|machine| async {
                let request = ResetRequest::to_maintenance().ungraceful();
                machine.reset(&request).await
            }),
        )
        .on(Node::Own),
        case(
            "upgrade",
            "/machine.MachineService/Upgrade",
            "A",
            json!({"image": INSTALLER, "stage": true, "force": true, "reboot_mode": "POWERCYCLE"}),
            run!(|machine| async {
                let request = UpgradeRequest::to(INSTALLER).staged().force();
                machine.upgrade(&request.power_cycle()).await
            }),
        )
        .on(Node::Own),
        case(
            "rollback",
            "/machine.MachineService/Rollback",
            "A",
            json!({}),
            run!(|machine| machine.rollback()),
        )
        .ends(ErrorKind::Server, "previous boot entry not found"),
        case(
            "install",
            "/machine.LifecycleService/Install",
            "A",
            json!({
                "containerd": instance(None, "NS_SYSTEM"),
                "source": {"image_name": INSTALLER},
                "destination": {"disk": "/dev/sdb"}
            }),
            run!(|machine| all(machine.install(INSTALLER, "/dev/sdb"))),
        )
        .since(13)
        .ends(ErrorKind::AlreadyExists, "machine is already installed"),
        case(
            "write_upgrade",
            "/machine.LifecycleService/Upgrade",
            "A",
            json!({
                "containerd": instance(Some("CRI"), "NS_SYSTEM"),
                "source": {"image_name": INSTALLER}
            }),
            run!(|machine| all(machine.write_upgrade(INSTALLER))),
        )
        .since(13)
        .prepared(run!(
            |machine| machine.pull_image(ImageNamespace::System, INSTALLER)
        )),
        case(
            "run_debug_container",
            "/machine.DebugService/ContainerRun",
            "A",
            json!([
                {"spec": {
                    "containerd": instance(None, "NS_SYSTEM"),
                    "image_name": IMAGE,
                    "args": ["/bin/sh"],
                    "env": [{"key": "TERM", "value": "dumb"}],
                    "profile": "PROFILE_PRIVILEGED",
                    "tty": true
                }},
                {"term_resize": {"width": 80, "height": 24}},
                {"stdin_data": "hello"},
                {"signal": 15}
            ]),
            run!(|machine| debug(machine)),
        )
        .since(13)
        .prepared(run!(|machine| import(machine))),
    ]
}
