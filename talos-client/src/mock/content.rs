//! Content of any size, made while it is sent.

use bytes::Bytes;

/// The pieces in which machined streams logs, files, archives and snapshots (`pkg/chunker/stream` of v1.10.7 to v1.14.0-rc.1).
const PIECE: usize = 1024;

/// Bytes, the last of which may be the repetition of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    start: Bytes,
    /// As many pieces as are needed until the pattern begins at their start again.
    period: Bytes,
    repeated: u64,
}

impl Content {
    /// `size` bytes of a pattern that begins again whenever it ends.
    pub(super) fn repeated(pattern: &[u8], size: u64) -> Self {
        Self::begun(Bytes::new(), pattern, size)
    }

    /// These bytes, and then so many of a pattern.
    pub(super) fn begun(start: impl Into<Bytes>, pattern: &[u8], repeated: u64) -> Self {
        Self {
            start: start.into(),
            period: pattern.repeat(PIECE).into(),
            repeated,
        }
    }

    pub(super) fn len(&self) -> u64 {
        (self.start.len() as u64).saturating_add(self.repeated)
    }

    /// The content as a node streams it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let start = self.start.clone();
        let first = (0..self.start.len()).step_by(PIECE).map(move |from| {
            let to = from.saturating_add(PIECE).min(start.len());
            start.slice(from..to)
        });
        first.chain(Repeated {
            period: self.period.clone(),
            at: 0,
            left: self.repeated,
        })
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self::begun(bytes, &[], 0)
    }
}

struct Repeated {
    period: Bytes,
    at: usize,
    left: u64,
}

impl Iterator for Repeated {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 || self.period.is_empty() {
            return None;
        }
        let length = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let end = self.at.saturating_add(length);
        let piece = self.period.slice(self.at..end);
        self.at = if end < self.period.len() { end } else { 0 };
        self.left = self.left.saturating_sub(length as u64);
        Some(piece)
    }
}

/// Reads the content piece by piece.
pub(super) struct Reader<I> {
    pieces: I,
    current: Bytes,
}

impl<I: Iterator<Item = Bytes>> Reader<I> {
    pub(super) fn new(pieces: I) -> Self {
        Self {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl<I: Iterator<Item = Bytes>> std::io::Read for Reader<I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.current.is_empty() {
            self.current = self.pieces.next().unwrap_or_default();
        }
        let length = buffer.len().min(self.current.len());
        let piece = self.current.split_to(length);
        buffer
            .get_mut(..length)
            .unwrap_or_default()
            .copy_from_slice(&piece);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn pieces_are_those_of_a_node_and_repeat_the_pattern() {
        let content = Content::begun(vec![b'x'; 1500], b"abc", 4000);

        let pieces: Vec<Bytes> = content.pieces().collect();

        let lengths: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [1024, 476, 1024, 1024, 1024, 928]);
        let repeated: Vec<u8> = pieces[2..].concat();
        let expected: Vec<u8> = b"abc".iter().copied().cycle().take(4000).collect();
        assert_eq!(repeated, expected);
        assert_eq!(content.len(), 5500);
    }

    #[test]
    fn a_reader_reads_all_pieces() {
        let content = Content::begun("begin ", b"0123456789", 3000);
        let mut read = String::new();

        Reader::new(content.pieces())
            .read_to_string(&mut read)
            .unwrap();

        assert_eq!(read.len(), 3006);
        assert!(read.starts_with("begin 0123456789012"));
    }
}
