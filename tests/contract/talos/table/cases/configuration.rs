//! Calls about configuration and credentials.

use std::time::Duration;

use serde_json::json;
use talos_client::Client;
use talos_client::machine::ApplyOptions;
use talos_client::secrets::Role;

use super::case;
use crate::talos::support::control_plane;
use crate::talos::table::{Case, Running};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "apply_configuration",
            "/machine.MachineService/ApplyConfiguration",
            "A",
            json!({"data": "*", "mode": "AUTO", "dry_run": true, "try_mode_timeout": {"seconds": 60}}),
            run!(|machine| async {
                let config = control_plane("v1.10.7");
                let options = ApplyOptions::default().dry_run();
                machine.apply_configuration(&config, options).await
            }),
        ),
        case(
            "client_configuration",
            "/machine.MachineService/GenerateClientConfiguration",
            "A",
            json!({"roles": ["os:reader"], "crt_ttl": {"seconds": 3600}}),
            run!(|machine| async {
                let lifetime = Duration::from_secs(3600);
                machine.client_configuration([Role::Reader], lifetime).await
            }),
        ),
        case(
            "kubeconfig",
            "/machine.MachineService/Kubeconfig",
            "A",
            json!({}),
            run!(|machine| machine.kubeconfig()),
        ),
        case(
            "write_meta",
            "/machine.MachineService/MetaWrite",
            "A",
            json!({"key": 12, "value": "text"}),
            run!(|machine| machine.write_meta(12, b"text")),
        ),
        case(
            "delete_meta",
            "/machine.MachineService/MetaDelete",
            "A",
            json!({"key": 12}),
            run!(|machine| machine.delete_meta(12)),
        ),
    ]
}
