//! Calls about files.

use serde_json::json;
use talos_client::Client;
use talos_client::machine::{DiskUsageRequest, FileType, ListFiles};

use super::{all, case};
use crate::talos::table::{Case, Running};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "files",
            "/machine.MachineService/List",
            "R",
            json!({"root": "/etc", "recurse": true, "recursion_depth": 2, "types": ["REGULAR", "DIRECTORY"]}),
            run!(|machine| async {
                let request = ListFiles::in_directory("/etc").depth(2);
                let request = request.only(FileType::Regular).only(FileType::Directory);
                all(machine.files(request)).await
            }),
        ),
        case(
            "disk_usage",
            "/machine.MachineService/DiskUsage",
            "R",
            json!({"recursion_depth": 1, "all": true, "threshold": -9, "paths": ["/etc"]}),
            run!(|machine| async {
                let request = DiskUsageRequest::of(["/etc"]).depth(1).files().at_most(9);
                all(machine.disk_usage(request)).await
            }),
        ),
        case(
            "read_file",
            "/machine.MachineService/Read",
            "A",
            json!({"path": "/etc/os-release"}),
            run!(|machine| machine.read_file("/etc/os-release")),
        ),
        case(
            "archive",
            "/machine.MachineService/Copy",
            "A",
            json!({"root_path": "/etc"}),
            run!(|machine| all(machine.archive("/etc"))),
        ),
    ]
}
