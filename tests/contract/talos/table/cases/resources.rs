//! Calls about resources.

use serde_json::json;
use talos_client::cosi::{BlockDevice, MachineStatus};

use super::{case, first};
use crate::talos::table::Case;

pub(super) fn cases() -> Vec<Case> {
    let status = json!({
        "namespace": "runtime",
        "type": "MachineStatuses.runtime.talos.dev",
        "id": "machine",
        "options": {}
    });
    let mut watched = status.clone();
    watched["api_version"] = json!(1);
    vec![
        case(
            "singleton",
            "/cosi.resource.State/Get",
            "R",
            status,
            |client| {
                Box::pin(async move {
                    let found = client.resources().singleton::<MachineStatus>().await;
                    found.map(drop)
                })
            },
        ),
        case(
            "list",
            "/cosi.resource.State/List",
            "R",
            json!({"namespace": "runtime", "type": "Disks.block.talos.dev", "options": {}}),
            |client| {
                Box::pin(async move {
                    let found = client.resources().list::<BlockDevice>().await;
                    found.map(drop)
                })
            },
        ),
        case(
            "watch",
            "/cosi.resource.State/Watch",
            "R",
            watched,
            |client| {
                Box::pin(async move {
                    first(client.resources().watch::<MachineStatus>("machine")).await
                })
            },
        ),
    ]
}
