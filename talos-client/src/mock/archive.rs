//! Archives as a mock node streams them: gzip without compression, as the speed of a node's processor does not matter.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Crc;
use tokio::sync::mpsc;

/// The longest block that deflate has without compression.
pub(super) const BLOCK: usize = 65_535;

/// Magic number, deflate, no flags, no time, no hint, unknown system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A gzip file that is sent while it is written, for a thread that may block.
pub(super) struct Gzip {
    sender: mpsc::Sender<Bytes>,
    crc: Crc,
}

impl Gzip {
    pub(super) fn begin(sender: mpsc::Sender<Bytes>) -> io::Result<Self> {
        let gzip = Self {
            sender,
            crc: Crc::new(),
        };
        gzip.send(Bytes::from_static(&HEADER))?;
        Ok(gzip)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let mut end = BytesMut::from(&block(&[], true)[..]);
        end.put_u32_le(self.crc.sum());
        end.put_u32_le(self.crc.amount());
        self.send(end.freeze())
    }

    fn send(&self, bytes: Bytes) -> io::Result<()> {
        let sent = self.sender.blocking_send(bytes);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl io::Write for Gzip {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(BLOCK);
        let content = bytes.get(..length).unwrap_or_default();
        self.crc.update(content);
        self.send(block(content, false))?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A block without compression (RFC 1951).
fn block(content: &[u8], is_last: bool) -> Bytes {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let mut block = BytesMut::with_capacity(content.len().saturating_add(5));
    block.put_u8(u8::from(is_last));
    block.put_u16_le(length);
    block.put_u16_le(!length);
    block.put_slice(content);
    block.freeze()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn what_is_written_can_be_unpacked() {
        let content = vec![7; 3 * BLOCK];
        let (sender, mut receiver) = mpsc::channel(16);
        let mut gzip = Gzip::begin(sender).unwrap();
        gzip.write_all(&content).unwrap();
        gzip.finish().unwrap();
        let mut file = Vec::new();
        while let Some(part) = receiver.blocking_recv() {
            file.extend_from_slice(&part);
        }

        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(file.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();

        assert_eq!(unpacked, content);
    }
}
