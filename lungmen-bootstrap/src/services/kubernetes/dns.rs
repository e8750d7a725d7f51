//! One question to a DNS server over TCP (RFC 1035).

use std::net::{IpAddr, Ipv4Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::services::{Error, ErrorKind, Result};

const OPERATION: &str = "look up a name in the cluster";
/// One question on one connection: any number will do.
const ID: u16 = 0x1d1d;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;
const RECURSION_DESIRED: u16 = 0x0100;
const RESPONSE: u16 = 0x8000;

/// The IPv4 addresses of `name`.
///
/// # Errors
///
/// `NotReady` when the server refuses the name or gives no address, `Decode` for a response that cannot be read,
/// `Interrupted` when the connection ends.
pub(super) async fn lookup(
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    name: &str,
) -> Result<Vec<IpAddr>> {
    let broken = |error: std::io::Error| {
        Error::new(ErrorKind::Interrupted, OPERATION)
            .with_target(name)
            .with_message(error.to_string())
    };
    let question = question(name)?;
    let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
    let message = [&length.to_be_bytes()[..], &question].concat();
    server.write_all(&message).await.map_err(broken)?;
    server.flush().await.map_err(broken)?;
    let length = server.read_u16().await.map_err(broken)?;
    let mut response = vec![0; usize::from(length)];
    server.read_exact(&mut response).await.map_err(broken)?;
    addresses(&response).map_err(|error| error.with_target(name))
}

fn question(name: &str) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    for field in [ID, RECURSION_DESIRED, 1, 0, 0, 0] {
        message.extend(field.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..64).contains(length));
        let length = length.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, OPERATION)
                .with_target(name)
                .with_message("a label has 1 to 63 characters")
        })?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(TYPE_A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Ok(message)
}

fn addresses(response: &[u8]) -> Result<Vec<IpAddr>> {
    let unreadable =
        || Error::new(ErrorKind::Decode, OPERATION).with_message("the response is cut off");
    let mut reader = Reader { rest: response };
    let header: Option<Vec<u16>> = (0..6).map(|_| reader.number()).collect();
    let Some([id, flags, questions, answers, _, _]) = header.as_deref() else {
        return Err(unreadable());
    };
    if *id != ID || flags & RESPONSE == 0 {
        return Err(Error::new(ErrorKind::Decode, OPERATION)
            .with_message("the message is no response to the question"));
    }
    let refusal = |text: String| Error::new(ErrorKind::NotReady, OPERATION).with_message(text);
    match flags & 0xf {
        0 => {}
        2 => return Err(refusal("the DNS server failed (SERVFAIL)".to_owned())),
        3 => return Err(refusal("the name does not exist (NXDOMAIN)".to_owned())),
        code => {
            return Err(refusal(format!(
                "the DNS server refused the question (code {code})"
            )));
        }
    }
    for _ in 0..*questions {
        reader.name().ok_or_else(unreadable)?;
        reader.take(4).ok_or_else(unreadable)?;
    }
    let mut found = Vec::new();
    for _ in 0..*answers {
        found.extend(reader.record().ok_or_else(unreadable)?);
    }
    if found.is_empty() {
        return Err(refusal("the name has no address".to_owned()));
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)
            .map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Skips a name: labels up to an empty one, or up to a pointer.
    fn name(&mut self) -> Option<()> {
        loop {
            let length = self.take(1)?[0];
            if length & 0xc0 == 0xc0 {
                return self.take(1).map(drop);
            }
            if length == 0 {
                return Some(());
            }
            self.take(usize::from(length))?;
        }
    }

    /// A record: its address when it is one of type A.
    fn record(&mut self) -> Option<Option<IpAddr>> {
        self.name()?;
        let kind = self.number()?;
        self.take(6)?;
        let length = self.number()?;
        let data = self.take(usize::from(length))?;
        let address = <[u8; 4]>::try_from(data).ok().filter(|_| kind == TYPE_A);
        Some(address.map(|bytes| Ipv4Addr::from(bytes).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The response to the question for `kubernetes.default.svc`, with a pointer to the name.
    fn response(flags: u16, records: u16) -> Vec<u8> {
        let mut message = question("kubernetes.default.svc").unwrap();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&records.to_be_bytes());
        for _ in 0..records {
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 96, 0, 1]);
        }
        message
    }

    #[test]
    fn the_address_is_read_behind_a_compressed_name() {
        let found = addresses(&response(0x8180, 1)).unwrap();

        assert_eq!(found, ["10.96.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn refusals_and_empty_responses_are_named() {
        for (flags, records, text) in [
            (0x8183, 0, "NXDOMAIN"),
            (0x8182, 0, "SERVFAIL"),
            (0x8185, 0, "code 5"),
            (0x8180, 0, "no address"),
        ] {
            let error = addresses(&response(flags, records)).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::NotReady, "{text}");
            assert!(error.message().contains(text), "{error}");
        }
        assert_eq!(
            addresses(&response(0x0100, 0)).unwrap_err().kind(),
            ErrorKind::Decode
        );
    }

    #[test]
    fn a_response_that_is_cut_anywhere_is_no_panic() {
        let whole = response(0x8180, 2);
        for length in 0..whole.len() {
            let error = addresses(&whole[..length]).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Decode, "{length}");
        }
    }

    #[test]
    fn a_name_with_an_empty_label_is_not_asked_for() {
        assert_eq!(
            question("a..b").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
