//! Who holds a lease, and whether that process is known to be dead.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::state::random;

/// The runs of this process that hold a lease, or want one.
static LIVE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Who holds a lease. For people, and for the question whether the process still lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Holder {
    /// A random id of the run.
    pub run: String,
    /// The name of the host, where the operating system tells it.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// When this holder acquired the lease, by its own clock.
    pub since: Timestamp,
    /// What identifies the process beyond its id, where the operating system tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Process>,
}

/// A process of one boot of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    boot: String,
    pid_namespace: String,
    user: u32,
    start: u64,
}

impl Holder {
    /// This process, as a new run.
    pub(super) fn new() -> Result<Self> {
        let pid = std::process::id();
        Ok(Self {
            run: random::hex::<8>()?,
            host: host(),
            pid,
            since: Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default(),
            process: this_process(pid),
        })
    }

    /// Whether the holder is certainly dead: a process of this host and user that has ended, or a run of this process that
    /// has ended. `false` when it lives, and when that cannot be determined.
    pub(super) fn is_dead(&self) -> bool {
        let (Some(theirs), Some(mine)) = (&self.process, this_process(std::process::id())) else {
            return false;
        };
        // Another boot, another PID namespace or another user's process cannot be looked at.
        let visible = theirs.boot == mine.boot
            && theirs.pid_namespace == mine.pid_namespace
            && theirs.user == mine.user;
        if !visible {
            return false;
        }
        if self.pid == std::process::id() && theirs.start == mine.start {
            return !is_live(&self.run);
        }
        start_time(self.pid) != Some(theirs.start)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (run, host, pid, since) = (&self.run, &self.host, self.pid, self.since);
        write!(f, "run {run} on {host} (process {pid}, since {since})")
    }
}

/// Marks a run of this process as alive until it is dropped.
#[derive(Debug)]
pub(super) struct Alive(String);

impl Alive {
    pub(super) fn new(run: &str) -> Self {
        LIVE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run.to_owned());
        Self(run.to_owned())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        LIVE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.0);
    }
}

fn is_live(run: &str) -> bool {
    LIVE.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .contains(run)
}

#[cfg(target_os = "linux")]
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "an unnamed host".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(not(target_os = "linux"))]
fn host() -> String {
    "an unnamed host".to_owned()
}

#[cfg(target_os = "linux")]
fn this_process(pid: u32) -> Option<Process> {
    use std::os::unix::fs::MetadataExt as _;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(Process {
        boot: boot.trim().to_owned(),
        pid_namespace: namespace.to_str()?.to_owned(),
        user: std::fs::metadata("/proc/self").ok()?.uid(),
        start: start_time(pid)?,
    })
}

#[cfg(not(target_os = "linux"))]
fn this_process(_pid: u32) -> Option<Process> {
    None
}

/// When a process started, in clock ticks since boot; `None` when there is none, or it has ended and is not reaped.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain spaces and parentheses itself. After it: state, ppid, …, start time as the 20th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_this_process_lives_until_its_mark_is_dropped() {
        let holder = Holder::new().unwrap();
        let alive = Alive::new(&holder.run);
        assert!(!holder.is_dead());

        drop(alive);

        assert!(holder.is_dead());
    }

    #[test]
    fn a_process_that_was_killed_is_dead_even_before_it_is_reaped() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut holder = Holder::new().unwrap();
        holder.pid = child.id();
        holder.process = this_process(child.id());
        assert!(!holder.is_dead());

        child.kill().unwrap();
        while !holder.is_dead() {
            std::thread::yield_now();
        }
        child.wait().unwrap();

        assert!(holder.is_dead());
    }

    #[test]
    fn another_boot_namespace_or_user_is_never_called_dead() {
        let holder = Holder::new().unwrap();
        let with = |change: fn(&mut Process)| {
            let mut other = holder.clone();
            change(other.process.as_mut().unwrap());
            other
        };

        for other in [
            with(|process| process.boot.push('x')),
            with(|process| process.pid_namespace.push('x')),
            with(|process| process.user += 1),
            Holder {
                process: None,
                ..holder.clone()
            },
        ] {
            assert!(!other.is_dead(), "{other:?}");
        }
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let mut holder = Holder::new().unwrap();
        let _alive = Alive::new(&holder.run);
        holder.process.as_mut().unwrap().start += 1;

        assert!(holder.is_dead());
    }
}
