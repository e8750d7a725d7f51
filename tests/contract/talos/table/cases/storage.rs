//! Calls about disks and volumes.

use serde_json::json;
use talos_client::machine::WipeRequest;
use talos_client::{Client, ErrorKind};

use super::case;
use crate::talos::table::{Case, Running};

pub(super) fn cases() -> Vec<Case> {
    let none = "lvm: resource not found";
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
        .ends(ErrorKind::NotFound, none),
        case(
            "remove_volume_group",
            "/machine.LVMService/VolumeGroupRemove",
            "A",
            json!({"volume_group": "vg0"}),
            run!(|machine| machine.remove_volume_group("vg0")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, none),
        case(
            "remove_physical_volume",
            "/machine.LVMService/PhysicalVolumeRemove",
            "A",
            json!({"device": "/dev/sdb1"}),
            run!(|machine| machine.remove_physical_volume("/dev/sdb1")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, none),
        case(
            "destroy_raid_array",
            "/machine.MDService/Destroy",
            "A",
            json!({"device": "/dev/md/data"}),
            run!(|machine| machine.destroy_raid_array("/dev/md/data")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, "md: array not found"),
    ]
}
