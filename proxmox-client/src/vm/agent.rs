//! Commands of the guest agent.
//!
//! All of them fail with `NotReady` while the agent does not respond, with `Rejected` when the VM has no `agent` option or
//! the agent rejects the command, and with `Conflict` when the VM does not run. Each call without an agent occupies a
//! worker of the server for 3 s: ask no more often than every 5 s.
//!
//! Reading needs `VM.GuestAgent.Audit`, running commands `VM.GuestAgent.Unrestricted`, files `VM.GuestAgent.FileRead` and
//! `.FileWrite`, freezing `VM.GuestAgent.FileSystemMgmt`. Before PVE 9 everything needs `VM.Monitor`.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Vm;
use crate::docs::{read_errors, write_errors};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, Probed};
use crate::request::Request;
use crate::rule;
use crate::wire::{self, response};

response!(
    /// The operating system of a guest.
    GuestOs {
        /// `talos`, `debian`, `mswindows` and so on.
        id: Option<String> = "id",
        /// The name.
        name: Option<String> = "name",
        /// The name with version.
        pretty_name: Option<String> = "pretty-name",
        /// The version.
        version: Option<String> = "version",
        /// The kernel release.
        kernel: Option<String> = "kernel-release",
        /// The architecture.
        architecture: Option<String> = "machine",
    }

    /// The agent and its commands.
    AgentInfo {
        /// The version.
        version: Option<String> = "version",
        /// The commands.
        commands: Vec<AgentCommand> = "supported_commands",
    }

    /// A command of the agent.
    AgentCommand {
        /// The name, for example `guest-ping`.
        name: String = "name",
        /// Whether the guest allows the command.
        enabled: bool = "enabled",
    }

    /// A file system of a guest.
    GuestFileSystem {
        /// The device.
        name: Option<String> = "name",
        /// Where it is mounted.
        mount_point: Option<String> = "mountpoint",
        /// The type.
        kind: Option<String> = "type",
        /// Size in bytes.
        total: Option<u64> = "total-bytes",
        /// Used bytes.
        used: Option<u64> = "used-bytes",
    }

    /// The state of a command in the guest.
    ExecStatus {
        /// Whether the command has ended.
        exited: bool = "exited",
        /// The exit code.
        exit_code: Option<i64> = "exitcode",
        /// The signal that ended the command.
        signal: Option<i64> = "signal",
        /// The standard output.
        output: Option<String> = "out-data",
        /// The standard error.
        error_output: Option<String> = "err-data",
        /// Whether the output was cut.
        output_truncated: bool = "out-truncated",
    }

    /// A file of a guest.
    GuestFile {
        /// The content.
        content: String = "content",
        /// Whether the content was cut.
        truncated: bool = "truncated",
    }

    /// A command that was started in the guest.
    ExecStarted {
        /// The process.
        pid: u64 = "pid",
    }
);

/// How long a call to the agent may take: the server gives up after 3 s to 10 s.
const TIMEOUT: Duration = Duration::from_secs(15);

impl Vm {
    fn agent_get(&self, operation: &'static str, route: &'static str) -> Request {
        self.get(operation, route).timeout(TIMEOUT)
    }

    fn agent_post(&self, operation: &'static str, route: &'static str) -> Request {
        self.post(operation, route).timeout(TIMEOUT)
    }

    /// Sends a command whose response is wrapped in `result`; a blocked command is an error in a 200.
    pub(super) async fn agent_result<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let operation = request.operation;
        let mut data: Value = self.client.call(request).await?;
        let result = data.get_mut("result").map(Value::take).unwrap_or_default();
        let failed = |kind| {
            Error::new(kind, operation)
                .with_target(self.target())
                .with_server(self.client.transport().server())
        };
        if let Some(rejection) = result.get("error") {
            let text = rejection
                .get("desc")
                .and_then(wire::text)
                .unwrap_or_default();
            let message = format!("the guest agent rejected the command: {text}");
            return Err(failed(ErrorKind::Rejected).with_message(message));
        }
        serde_json::from_value(result).map_err(|_| {
            failed(ErrorKind::Decode)
                .with_message("`data.result` of the response does not have the expected shape")
        })
    }

    /// Whether the agent responds. Returns without a value; an agent that does not respond is `NotReady`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn agent_ping(&self) -> Result<()> {
        let request = self.agent_post("ping guest agent", "/nodes/{node}/qemu/{vmid}/agent/ping");
        self.client.run(request).await
    }

    /// The version and the commands of the agent.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn agent_info(&self) -> Result<AgentInfo> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/info";
        self.agent_result(self.agent_get("read agent info", route))
            .await
    }

    /// The operating system of the guest.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn guest_os(&self) -> Result<GuestOs> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/get-osinfo";
        self.agent_result(self.agent_get("read guest OS", route))
            .await
    }

    /// The host name of the guest.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn guest_host_name(&self) -> Result<String> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/get-host-name";
        let result: Value = self
            .agent_result(self.agent_get("read guest host name", route))
            .await?;
        let name = result.get("host-name").and_then(wire::text);
        name.ok_or_else(|| {
            Error::new(ErrorKind::Decode, "read guest host name")
                .with_target(self.target())
                .with_message("`data.result.host-name` is missing from the response")
        })
    }

    /// The file systems of the guest.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn guest_file_systems(&self) -> Result<Vec<GuestFileSystem>> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo";
        self.agent_result(self.agent_get("read guest file systems", route))
            .await
    }

    /// Freezes the file systems of the guest and returns how many. [Thaw](Self::thaw_file_systems) them soon.
    ///
    /// # Errors
    #[doc = write_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn freeze_file_systems(&self) -> Result<u64> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze";
        self.agent_result(self.post("freeze guest file systems", route))
            .await
    }

    /// Thaws the file systems of the guest and returns how many. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn thaw_file_systems(&self) -> Result<u64> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-thaw";
        self.agent_result(self.post("thaw guest file systems", route))
            .await
    }

    /// Starts a command in the guest, given as program and arguments. Do not repeat the call without knowing that the
    /// command may run twice.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` without a program; `NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn exec(&self, command: &[&str]) -> Result<ExecStarted> {
        const OPERATION: &str = "run command in guest";
        if command.first().is_none_or(|program| program.is_empty()) {
            return Err(Error::field(OPERATION, "command", "names no program"));
        }
        let parts = command
            .iter()
            .map(|part| ("command".to_owned(), (*part).to_owned()));
        let request = self
            .agent_post(OPERATION, "/nodes/{node}/qemu/{vmid}/agent/exec")
            .params(parts);
        self.client.call(request).await
    }

    /// The state and the output of a command in the guest. The output is complete once, when the command has ended.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn exec_status(&self, pid: u64) -> Result<ExecStatus> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/exec-status";
        let request = self
            .agent_get("read state of command in guest", route)
            .param("pid", pid.to_string());
        self.client.call(request).await
    }

    /// Runs a command in the guest and waits for its end and output.
    ///
    /// # Errors
    #[doc = write_errors!("`Deadline` with the last cause; `InvalidInput` without a program; `NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn exec_and_wait(&self, command: &[&str], poll: Poll) -> Result<ExecStatus> {
        let started = self.exec(command).await?;
        let waiting_for = format!("process {} in the guest to end", started.pid);
        let probe = || async {
            let status = self.exec_status(started.pid).await?;
            Ok(match status.exited {
                true => Probed::Ready(status),
                false => Probed::Pending("running".to_owned()),
            })
        };
        poll.wait(
            "run command in guest",
            &self.target(),
            waiting_for,
            |_| {},
            probe,
        )
        .await
    }

    /// Reads a text file of the guest, at most 16 MiB.
    ///
    /// # Errors
    #[doc = read_errors!("`NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn read_guest_file(&self, path: &str) -> Result<GuestFile> {
        let route = "/nodes/{node}/qemu/{vmid}/agent/file-read";
        let request =
            self.agent_get("read file of guest", route)
                .fitting("file", path, rule::FILLED);
        self.client.call(request).await
    }

    /// Writes a text file of the guest, at most 60 KiB. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for a content that is empty or too long; `NotReady`, `Rejected` and `Conflict` as described for [this module](self); `NotFound`")]
    pub async fn write_guest_file(&self, path: &str, content: &str) -> Result<()> {
        const OPERATION: &str = "write file of guest";
        if content.is_empty() || content.len() > 60 * 1024 {
            return Err(Error::field(
                OPERATION,
                "content",
                "must have 1 byte to 60 KiB",
            ));
        }
        let route = "/nodes/{node}/qemu/{vmid}/agent/file-write";
        let request = self
            .agent_post(OPERATION, route)
            .fitting("file", path, rule::FILLED)
            .param("content", content);
        self.client.run(request).await
    }
}
