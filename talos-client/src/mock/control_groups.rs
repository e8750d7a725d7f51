//! The control groups of a mock node, as files.

use super::node::Node;
use super::statistics;

const ROOT: &str = "/sys/fs/cgroup";

/// The files from which `talosctl cgroups` makes its tables.
pub(super) fn files(node: &Node) -> Vec<(String, String)> {
    let processes = statistics::processes(node);
    let mut files = group("", &[], 0);
    for parent in ["/system", "/podruntime", "/kubepods"] {
        files.extend(group(parent, &[], 0));
    }
    for process in processes {
        let name = place(&process.command);
        let memory = process.resident_memory;
        files.extend(group(&name, &[process.pid], memory));
    }
    files
}

/// Where a process runs (`Cgroup…` of the constants of v1.10.7 to v1.14.0-rc.1).
fn place(process: &str) -> String {
    match process {
        "init" => "/init".to_owned(),
        "cri" => "/podruntime/runtime".to_owned(),
        "etcd" | "kubelet" => format!("/podruntime/{process}"),
        extension if extension.starts_with("ext-") => format!("/system/extensions/{extension}"),
        service => format!("/system/{service}"),
    }
}

/// A group with these processes.
fn group(name: &str, processes: &[i32], memory: u64) -> Vec<(String, String)> {
    let procs: String = processes.iter().map(|pid| format!("{pid}\n")).collect();
    let files = [
        ("cgroup.procs", procs),
        (
            "cpu.stat",
            "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n".to_owned(),
        ),
        ("io.stat", String::new()),
        ("memory.current", format!("{memory}\n")),
        ("memory.max", "max\n".to_owned()),
        ("memory.stat", format!("anon {memory}\nfile 0\n")),
        ("pids.current", format!("{}\n", processes.len())),
        ("pids.max", "max\n".to_owned()),
    ];
    // The kernel has no limits and no counters of the root.
    let is_root = name.is_empty();
    files
        .into_iter()
        .filter(|(file, _)| !(is_root && (file.starts_with("memory.c") || file.ends_with(".max"))))
        .map(|(file, text)| (format!("{ROOT}{name}/{file}"), text))
        .collect()
}
