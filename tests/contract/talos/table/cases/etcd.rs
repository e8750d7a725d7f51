//! Calls about etcd.

use serde_json::json;
use talos_client::Client;
use talos_client::machine::{EtcdMemberId, HashCheck};

use super::{case, upload};
use crate::talos::table::{Case, Node, Running};

#[expect(clippy::too_many_lines, reason = "a table of calls")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "bootstrap",
            "/machine.MachineService/Bootstrap",
            "A",
            json!({}),
            run!(|machine| machine.bootstrap()),
        )
        .on(Node::Waiting),
        case(
            "bootstrap_from_snapshot",
            "/machine.MachineService/Bootstrap",
            "A",
            json!({"recover_etcd": true, "recover_skip_hash_check": true}),
            run!(|machine| machine.bootstrap_from_snapshot(HashCheck::Skip)),
        )
        .on(Node::Waiting)
        .prepared(run!(|machine| upload(machine))),
        case(
            "etcd_recover",
            "/machine.MachineService/EtcdRecover",
            "A",
            json!([{"bytes": "*"}]),
            run!(|machine| upload(machine)),
        )
        .on(Node::Waiting),
        case(
            "etcd_members",
            "/machine.MachineService/EtcdMemberList",
            "RB",
            json!({}),
            run!(|machine| machine.etcd_members()),
        ),
        case(
            "local_etcd_members",
            "/machine.MachineService/EtcdMemberList",
            "RB",
            json!({"query_local": true}),
            run!(|machine| machine.local_etcd_members()),
        ),
        case(
            "etcd_status",
            "/machine.MachineService/EtcdStatus",
            "RB",
            json!({}),
            run!(|machine| machine.etcd_status()),
        ),
        case(
            "etcd_alarms",
            "/machine.MachineService/EtcdAlarmList",
            "RB",
            json!({}),
            run!(|machine| machine.etcd_alarms()),
        ),
        case(
            "etcd_disarm_alarms",
            "/machine.MachineService/EtcdAlarmDisarm",
            "O",
            json!({}),
            run!(|machine| machine.etcd_disarm_alarms()),
        ),
        case(
            "etcd_defragment",
            "/machine.MachineService/EtcdDefragment",
            "O",
            json!({}),
            run!(|machine| machine.etcd_defragment()),
        ),
        case(
            "etcd_snapshot",
            "/machine.MachineService/EtcdSnapshot",
            "OB",
            json!({}),
            run!(|machine| async {
                let directory = tempfile::tempdir().unwrap();
                machine.etcd_snapshot(directory.path().join("db")).await
            }),
        ),
        case(
            "etcd_forfeit_leadership",
            "/machine.MachineService/EtcdForfeitLeadership",
            "A",
            json!({}),
            run!(|machine| machine.etcd_forfeit_leadership()),
        )
        .on(Node::Partnered),
        case(
            "etcd_remove_member",
            "/machine.MachineService/EtcdRemoveMemberByID",
            "A",
            json!({"member_id": 1}),
            // A member that is not there is no failure, but an answer.
            run!(|machine| machine.etcd_remove_member(EtcdMemberId(1))),
        ),
        case(
            "etcd_leave",
            "/machine.MachineService/EtcdLeaveCluster",
            "A",
            json!({}),
            run!(|machine| machine.etcd_leave()),
        )
        .on(Node::Partnered),
        case(
            "etcd_validate_downgrade",
            "/machine.MachineService/EtcdDowngradeValidate",
            "A",
            json!({"version": "3.5"}),
            run!(|machine| machine.etcd_validate_downgrade("3.5")),
        )
        .since(11),
        case(
            "etcd_enable_downgrade",
            "/machine.MachineService/EtcdDowngradeEnable",
            "A",
            json!({"version": "3.5"}),
            run!(|machine| machine.etcd_enable_downgrade("3.5")),
        )
        .since(11),
        case(
            "etcd_cancel_downgrade",
            "/machine.MachineService/EtcdDowngradeCancel",
            "A",
            json!({}),
            run!(|machine| machine.etcd_cancel_downgrade()),
        )
        .since(11),
    ]
}
