//! From what gRPC, TLS and TCP report to an [`ErrorKind`].

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError};
use tonic::Status;

use crate::{Code, Error, ErrorKind, PinMismatch};

/// The texts by which a node says that a request did not reach the service behind its proxy.
const NOT_REACHED: [&str; 3] = [
    "connection refused",
    "Error while dialing",
    "error while dialing",
];

/// Classifies the status of a call.
pub(crate) fn from_status(operation: &'static str, target: &str, status: &Status) -> Error {
    if let Some(source) = status.source() {
        return from_transport(operation, target, source);
    }
    let code = Code::from_number(status.code() as i32);
    from_code(operation, code, status.message()).with_target(target)
}

/// Classifies an answer that consists of a code and a text.
pub(crate) fn from_code(operation: &'static str, code: Code, message: &str) -> Error {
    Error::new(kind(code, message), operation)
        .with_message(message)
        .with_code(code)
}

/// Classifies a failure below gRPC: an error of the connector of this crate, or a broken connection.
pub(crate) fn from_transport(
    operation: &'static str,
    target: &str,
    failure: &(dyn StdError + 'static),
) -> Error {
    if let Some(error) = causes(failure).find_map(|cause| cause.downcast_ref::<Error>()) {
        let copy = Error::new(error.kind(), operation)
            .with_target(target)
            .with_message(error.message());
        return match error.pin_mismatch() {
            Some(mismatch) => copy.with_source(mismatch.clone()),
            None => copy,
        };
    }
    let cause = causes(failure)
        .last()
        .map_or_else(String::new, ToString::to_string);
    Error::new(ErrorKind::Interrupted, operation)
        .with_target(target)
        .with_message(cause)
}

/// Classifies a failure of the TLS handshake, or of reading the first bytes after it.
pub(crate) fn from_tls(operation: &'static str, failure: &io::Error) -> Error {
    let Some(tls) = causes(failure).find_map(|cause| cause.downcast_ref::<rustls::Error>()) else {
        return Error::new(ErrorKind::Connect, operation).with_message(format!(
            "connection closed during the TLS handshake: {failure}"
        ));
    };
    let (kind, hint) = tls_kind(tls);
    match pin_mismatch(tls) {
        Some(mismatch) => Error::new(kind, operation)
            .with_message(mismatch.to_string())
            .with_source(mismatch.clone()),
        None => {
            let cause = causes(tls).last().unwrap_or(tls);
            Error::new(kind, operation).with_message(format!("{cause}{hint}"))
        }
    }
}

fn pin_mismatch(tls: &rustls::Error) -> Option<&PinMismatch> {
    match tls {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
        _ => None,
    }
}

fn tls_kind(error: &rustls::Error) -> (ErrorKind, &'static str) {
    use AlertDescription as Alert;
    use rustls::Error as Tls;

    match error {
        // A node issues its certificate without backdating, so the local clock may be behind.
        Tls::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => (
            ErrorKind::NotReady,
            "; the clock of the node is ahead of the local clock",
        ),
        // The credentials were checked against the local clock, so the node's clock is the wrong one.
        Tls::AlertReceived(Alert::CertificateExpired) => (
            ErrorKind::NotReady,
            "; the clock of the node is not within the client certificate's validity",
        ),
        Tls::AlertReceived(Alert::CertificateRequired) => (
            ErrorKind::Unauthenticated,
            "; the node is configured and requires a client certificate",
        ),
        Tls::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateRevoked
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => (
            ErrorKind::Certificate,
            "; the node does not accept the client certificate",
        ),
        Tls::InvalidCertificate(_) => (ErrorKind::Certificate, ""),
        Tls::InvalidMessage(_) => (ErrorKind::Decode, "; this is not a TLS server"),
        _ => (ErrorKind::Connect, ""),
    }
}

fn kind(code: Code, message: &str) -> ErrorKind {
    match code {
        Code::Ok | Code::DataLoss => ErrorKind::Decode,
        Code::Cancelled => ErrorKind::Interrupted,
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Rejected,
        Code::DeadlineExceeded => ErrorKind::Timeout,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::PermissionDenied => ErrorKind::Forbidden,
        Code::ResourceExhausted | Code::Aborted => ErrorKind::Busy,
        Code::FailedPrecondition => ErrorKind::NotReady,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::Internal if message.contains("decode Protobuf") => ErrorKind::Decode,
        Code::Unknown | Code::Internal => ErrorKind::Server,
        Code::Unavailable if NOT_REACHED.iter().any(|text| message.contains(text)) => {
            ErrorKind::NotReady
        }
        Code::Unavailable => ErrorKind::Interrupted,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
    }
}

/// The error and everything below it. `io::Error` hides the error it wraps from `source()`.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), next_cause)
}

fn next_cause<'a>(error: &&'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let error: &'a (dyn StdError + 'static) = *error;
    match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner as &(dyn StdError + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(code: Code, message: &str) -> ErrorKind {
        let status = Status::new(tonic::Code::from_i32(code.number()), message);
        let error = from_status("read version", "10.0.2.10:50000", &status);
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.message(), message);
        error.kind()
    }

    #[test]
    fn codes_have_the_meaning_they_have_in_talos() {
        for (code, expected) in [
            (Code::Unknown, ErrorKind::Server),
            (Code::InvalidArgument, ErrorKind::Rejected),
            (Code::DeadlineExceeded, ErrorKind::Timeout),
            (Code::NotFound, ErrorKind::NotFound),
            (Code::AlreadyExists, ErrorKind::AlreadyExists),
            (Code::PermissionDenied, ErrorKind::Forbidden),
            (Code::FailedPrecondition, ErrorKind::NotReady),
            (Code::Unimplemented, ErrorKind::Unsupported),
            (Code::ResourceExhausted, ErrorKind::Busy),
            (Code::Unauthenticated, ErrorKind::Unauthenticated),
        ] {
            assert_eq!(kind_of(code, "text"), expected, "{code}");
        }
    }

    #[test]
    fn a_service_that_is_not_up_behind_the_proxy_was_not_reached() {
        let text = "connection error: desc = \"transport: Error while dialing: connect: connection refused\"";

        assert_eq!(kind_of(Code::Unavailable, text), ErrorKind::NotReady);
        assert_eq!(
            kind_of(Code::Unavailable, "error reading from server: EOF"),
            ErrorKind::Interrupted
        );
    }

    #[test]
    fn alerts_tell_a_missing_certificate_from_a_wrong_one_and_from_a_wrong_clock() {
        for (alert, expected) in [
            (
                AlertDescription::CertificateRequired,
                ErrorKind::Unauthenticated,
            ),
            (AlertDescription::UnknownCA, ErrorKind::Certificate),
            (AlertDescription::BadCertificate, ErrorKind::Certificate),
            (AlertDescription::CertificateExpired, ErrorKind::NotReady),
        ] {
            let failure = io::Error::other(io::Error::other(rustls::Error::AlertReceived(alert)));

            let error = from_tls("connect", &failure);

            assert_eq!(error.kind(), expected, "{alert:?}");
            assert_eq!(
                error.is_client_certificate_required(),
                alert == AlertDescription::CertificateRequired
            );
        }
    }
}
