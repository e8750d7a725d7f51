//! Consoles, keys and the monitor of QEMU.

use secrecy::SecretString;

use super::Vm;
use crate::docs::write_errors;
use crate::error::Result;
use crate::rule;
use crate::wire::field;

/// A ticket for a console, valid for about 40 seconds.
///
/// The console is a websocket at `/api2/json/nodes/NODE/qemu/ID/vncwebsocket?port=PORT&vncticket=TICKET` (the ticket
/// percent-encoded), subprotocol `binary`. A terminal begins with `USER:TICKET` and a line break, and the server answers
/// `OK`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsoleTicket {
    /// The port of the websocket.
    pub port: u16,
    /// The user that the ticket is for.
    pub user: String,
    /// The ticket.
    pub ticket: SecretString,
}

impl<'de> serde::Deserialize<'de> for ConsoleTicket {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let ticket: String = field(&mut fields, "ticket")?;
        Ok(Self {
            port: field(&mut fields, "port")?,
            user: field(&mut fields, "user")?,
            ticket: ticket.into(),
        })
    }
}

impl Vm {
    /// Opens a serial console (`serial0` when nothing is said) and returns the ticket for it. Needs `VM.Console`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node")]
    pub async fn serial_console(&self, port: Option<&str>) -> Result<ConsoleTicket> {
        let mut request = self.post("open serial console", "/nodes/{node}/qemu/{vmid}/termproxy");
        if let Some(port) = port {
            request = request.fitting("serial", port, rule::SERIAL_PORT);
        }
        self.client.call(request).await
    }

    /// Opens a graphical console and returns the ticket for it. Needs `VM.Console`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node")]
    pub async fn vnc_console(&self) -> Result<ConsoleTicket> {
        let request = self
            .post("open VNC console", "/nodes/{node}/qemu/{vmid}/vncproxy")
            .param("websocket", "1");
        self.client.call(request).await
    }

    /// Presses a key, in the names of QEMU: `ret`, `ctrl-alt-f1`. Needs `VM.Console`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node; `Conflict` when it does not run")]
    pub async fn send_key(&self, key: &str) -> Result<()> {
        let request = self
            .put("send key", "/nodes/{node}/qemu/{vmid}/sendkey")
            .fitting("key", key, rule::FILLED);
        self.client.run(request).await
    }

    /// Sends a command to the monitor of QEMU and returns its output. An error of the monitor is part of the output.
    ///
    /// Before PVE 9 this needs `VM.Monitor`. From PVE 9 on `info …` needs `Sys.Audit` on the VM, other commands
    /// `Sys.Modify`, and some commands, `screendump` among them, only work for `root@pam`.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node; `Conflict` when it does not run")]
    pub async fn monitor(&self, command: &str) -> Result<String> {
        let request = self
            .post("send monitor command", "/nodes/{node}/qemu/{vmid}/monitor")
            .fitting("command", command, rule::FILLED);
        self.client.call(request).await
    }
}
