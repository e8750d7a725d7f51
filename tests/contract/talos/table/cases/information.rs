//! Calls about the node, its kernel and its network.

use serde_json::json;
use talos_client::Client;
use talos_client::machine::{BpfInstruction, PacketCaptureRequest, SocketFilter};

use super::{case, first};
use crate::talos::table::{Case, Running};

#[expect(clippy::too_many_lines, reason = "a table of calls")]
pub(super) fn cases() -> Vec<Case> {
    let read = |call, path, run| case(call, path, "R", json!({}), run);
    vec![
        read(
            "version",
            "/machine.MachineService/Version",
            run!(|machine| machine.version()),
        ),
        read(
            "hostname",
            "/machine.MachineService/Hostname",
            run!(|machine| machine.hostname()),
        ),
        read(
            "memory",
            "/machine.MachineService/Memory",
            run!(|machine| machine.memory()),
        ),
        read(
            "system_statistics",
            "/machine.MachineService/SystemStat",
            run!(|machine| machine.system_statistics()),
        ),
        read(
            "processes",
            "/machine.MachineService/Processes",
            run!(|machine| machine.processes()),
        ),
        read(
            "mounts",
            "/machine.MachineService/Mounts",
            run!(|machine| machine.mounts()),
        ),
        read(
            "load_average",
            "/machine.MachineService/LoadAvg",
            run!(|machine| machine.load_average()),
        ),
        read(
            "cpus",
            "/machine.MachineService/CPUInfo",
            run!(|machine| machine.cpus()),
        ),
        read(
            "cpu_frequencies",
            "/machine.MachineService/CPUFreqStats",
            run!(|machine| machine.cpu_frequencies()),
        ),
        read(
            "disk_statistics",
            "/machine.MachineService/DiskStats",
            run!(|machine| machine.disk_statistics()),
        ),
        read(
            "network_statistics",
            "/machine.MachineService/NetworkDeviceStats",
            run!(|machine| machine.network_statistics()),
        ),
        read(
            "controller_dependencies",
            "/inspect.InspectService/ControllerRuntimeDependencies",
            run!(|machine| machine.controller_dependencies()),
        ),
        read(
            "time",
            "/time.TimeService/Time",
            run!(|machine| machine.time()),
        ),
        case(
            "compare_time",
            "/time.TimeService/TimeCheck",
            "R",
            json!({"server": "10.0.2.1"}),
            run!(|machine| machine.compare_time("10.0.2.1")),
        ),
        case(
            "sockets",
            "/machine.MachineService/Netstat",
            "R",
            json!({
                "filter": "LISTENING",
                "feature": {"pid": true},
                "l4proto": {"tcp": true, "tcp6": true, "udp": true, "udp6": true},
                "netns": {"hostnetwork": true}
            }),
            run!(|machine| machine.sockets(SocketFilter::Listening)),
        ),
        case(
            "capture_packets",
            "/machine.MachineService/PacketCapture",
            "O",
            json!({
                "interface": "eth0",
                "promiscuous": true,
                "snap_len": 96,
                "bpf_filter": [{"op": 40, "jt": 1, "jf": 2, "k": 12}, {"op": 6}]
            }),
            run!(|machine| async {
                let filter = [
                    BpfInstruction::new(40, 1, 2, 12),
                    BpfInstruction::new(6, 0, 0, 0),
                ];
                let request = PacketCaptureRequest::on("eth0").promiscuous();
                first(machine.capture_packets(request.snap_length(96).filter(filter))).await
            }),
        ),
    ]
}
