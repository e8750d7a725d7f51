//! Calls about disks and volumes.

use serde_json::json;
use talos_client::Client;
use talos_client::machine::WipeRequest;

use super::case;
use crate::talos::table::{Case, Node, Running};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "disks",
            "/storage.StorageService/Disks",
            "R",
            json!({}),
            run!(|machine| machine.disks()),
        ),
        case(
            "wipe_devices",
            "/storage.StorageService/BlockDeviceWipe",
            "A",
            json!({"devices": [{
                "device": "sdb",
                "method": "ZEROES",
                "skip_volume_check": true,
                "drop_partition": true,
                "skip_secondary_check": true
            }]}),
            run!(|machine| async {
                let request = WipeRequest::of(["sdb"]).zeroes().drop_partitions();
                let request = request.skip_volume_check().skip_secondary_check();
                machine.wipe_devices(&request).await
            }),
        ),
        case(
            "remove_logical_volume",
            "/machine.LVMService/LogicalVolumeRemove",
            "A",
            json!({"volume_group": "vg0", "logical_volume": "data"}),
            run!(|machine| machine.remove_logical_volume("vg0", "data")),
        )
        .since(14)
        .on(Node::Own),
        case(
            "remove_volume_group",
            "/machine.LVMService/VolumeGroupRemove",
            "A",
            json!({"volume_group": "vg0"}),
            run!(|machine| machine.remove_volume_group("vg0")),
        )
        .since(14)
        .on(Node::Own),
        case(
            "remove_physical_volume",
            "/machine.LVMService/PhysicalVolumeRemove",
            "A",
            json!({"device": "/dev/sdb1"}),
            run!(|machine| machine.remove_physical_volume("/dev/sdb1")),
        )
        .since(14)
        .on(Node::Own)
        .prepared(run!(|machine| machine.remove_volume_group("vg0"))),
        case(
            "destroy_raid_array",
            "/machine.MDService/Destroy",
            "A",
            json!({"device": "/dev/md/data"}),
            run!(|machine| machine.destroy_raid_array("/dev/md/data")),
        )
        .since(14)
        .on(Node::Own),
    ]
}
