//! Capturing packets of a network interface.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Machine, machine_service};
use crate::api::pb::machine as pb;
use crate::{Error, ErrorKind, ResponseStream, Result};

const PARSE: &str = "parse packet filter";

/// An instruction of the classic Berkeley Packet Filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BpfInstruction {
    /// What it does.
    pub code: u16,
    /// How many instructions a jump skips when its condition holds.
    pub jump_true: u8,
    /// How many instructions a jump skips when its condition does not hold.
    pub jump_false: u8,
    /// Its operand.
    pub operand: u32,
}

impl BpfInstruction {
    /// The four numbers of an instruction, in the order in which tcpdump prints them.
    #[must_use]
    pub const fn new(code: u16, jump_true: u8, jump_false: u8, operand: u32) -> Self {
        Self {
            code,
            jump_true,
            jump_false,
            operand,
        }
    }

    /// A program in the form of `tcpdump -dd`: one `{ 0x28, 0, 0, 0x0000000c },` a line. Empty lines are skipped.
    ///
    /// ```
    /// use talos_client::machine::BpfInstruction;
    ///
    /// let program = BpfInstruction::parse_program("{ 0x28, 0, 0, 0x0000000c },\n{ 0x6, 0, 0, 0x00040000 },\n")?;
    /// assert_eq!(program[0], BpfInstruction::new(0x28, 0, 0, 12));
    /// # Ok::<(), talos_client::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with the line that is no instruction.
    pub fn parse_program(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines
            .map(|line| {
                Self::parse(line).ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, PARSE).with_message(format!(
                        "filter: {line:?} is no instruction; compile the filter with `tcpdump -dd`"
                    ))
                })
            })
            .collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix(',').unwrap_or(line).trim_end();
        let inner = line.strip_prefix('{')?.strip_suffix('}')?;
        let mut fields = inner.split(',').map(str::trim);
        let hexadecimal = |field: &str| u32::from_str_radix(field.strip_prefix("0x")?, 16).ok();
        let instruction = Self {
            code: u16::try_from(hexadecimal(fields.next()?)?).ok()?,
            jump_true: fields.next()?.parse().ok()?,
            jump_false: fields.next()?.parse().ok()?,
            operand: hexadecimal(fields.next()?)?,
        };
        fields.next().is_none().then_some(instruction)
    }
}

/// Which packets to capture.
///
/// ```
/// use std::time::Duration;
/// use talos_client::machine::PacketCaptureRequest;
///
/// let request = PacketCaptureRequest::on("eth0").promiscuous().duration(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct PacketCaptureRequest {
    interface: String,
    is_promiscuous: bool,
    snap_length: Option<u32>,
    filter: Vec<BpfInstruction>,
    duration: Option<Duration>,
}

impl PacketCaptureRequest {
    /// All packets that the interface of this name receives and sends.
    pub fn on(interface: impl Into<String>) -> Self {
        Self {
            interface: interface.into(),
            is_promiscuous: false,
            snap_length: None,
            filter: Vec::new(),
            duration: None,
        }
    }

    /// Also packets that are for other machines.
    pub fn promiscuous(mut self) -> Self {
        self.is_promiscuous = true;
        self
    }

    /// Announces so many bytes of a packet in the header of the capture; 4096 without it. Talos v1.10 to v1.14 do not cut packets.
    pub fn snap_length(mut self, bytes: u32) -> Self {
        self.snap_length = Some(bytes);
        self
    }

    /// Only packets that this program accepts; the kernel of the node runs it. [`BpfInstruction::parse_program`] reads one.
    ///
    /// The capture itself arrives through the machine API, so a filter should leave out TCP port 50000.
    pub fn filter(mut self, program: impl IntoIterator<Item = BpfInstruction>) -> Self {
        self.filter = program.into_iter().collect();
        self
    }

    /// Ends the capture, without an error, after this time. Otherwise it ends with the deadline of the stream, or when it is dropped.
    pub fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    fn to_wire(&self) -> pb::PacketCaptureRequest {
        let filter = self.filter.iter().map(|instruction| pb::BpfInstruction {
            op: instruction.code.into(),
            jt: instruction.jump_true.into(),
            jf: instruction.jump_false.into(),
            k: instruction.operand,
        });
        pb::PacketCaptureRequest {
            interface: self.interface.clone(),
            promiscuous: self.is_promiscuous,
            snap_len: self.snap_length.unwrap_or_default(),
            bpf_filter: filter.collect(),
        }
    }
}

impl Machine {
    /// Streams the packets of a network interface as a pcap file (little endian, nanoseconds). `talosctl pcap`; needs `os:operator`.
    /// May be repeated.
    ///
    /// The pieces are those of the file, not one packet each. The stream fails with [`ErrorKind::NotFound`] when there is no such
    /// interface, [`ErrorKind::Rejected`] for one that is neither Ethernet nor without a link layer, [`ErrorKind::Server`] when
    /// the kernel refuses the filter.
    pub fn capture_packets(&self, request: PacketCaptureRequest) -> ResponseStream<Bytes> {
        let duration = request.duration;
        let packets = self.bytes("capture packets", move |service| async move {
            machine_service(service)
                .packet_capture(request.to_wire())
                .await
        });
        match duration {
            Some(duration) => packets.ending_after(duration),
            None => packets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_tcpdump_is_read() {
        let text = "{ 0x28, 0, 0, 0x0000000c },\n\n  { 0x15, 0, 8, 0x000086dd },\n{ 0x6, 0, 0, 0xffffffff }";

        let program = BpfInstruction::parse_program(text).unwrap();

        assert_eq!(
            program,
            [
                BpfInstruction::new(0x28, 0, 0, 12),
                BpfInstruction::new(0x15, 0, 8, 0x86dd),
                BpfInstruction::new(6, 0, 0, u32::MAX),
            ]
        );
        assert_eq!(BpfInstruction::parse_program(" \n").unwrap(), []);
    }

    #[test]
    fn what_is_no_instruction_is_named() {
        for line in [
            "tcp port 80",
            "{ 0x28, 0, 0 },",
            "{ 0x28, 0, 0, 0x0, 0x0 },",
            "{ 0x10000, 0, 0, 0x0 },",
            "{ 0x28, 256, 0, 0x0 },",
            "{ 40, 0, 0, 12 },",
        ] {
            let error = BpfInstruction::parse_program(line).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{line}");
            assert!(error.message().contains(line), "{error}");
        }
    }

    #[test]
    fn every_option_is_sent() {
        let request = PacketCaptureRequest::on("eth1")
            .promiscuous()
            .snap_length(96)
            .filter([BpfInstruction::new(0x15, 1, 2, 3)]);

        let wire = request.to_wire();

        assert_eq!((wire.interface.as_str(), wire.snap_len), ("eth1", 96));
        assert!(wire.promiscuous);
        let instruction = &wire.bpf_filter[0];
        assert_eq!((instruction.op, instruction.jt), (0x15, 1));
        assert_eq!((instruction.jf, instruction.k), (2, 3));
    }
}
