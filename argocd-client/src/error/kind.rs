//! The kinds of errors.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

kinds! {
    /// What went wrong, independent of where.
    ///
    /// Argo CD answers 401 and 403 both for itself and for the cluster that it talks to. The kinds
    /// keep the two apart: `Unauthenticated` and `Forbidden` are Argo CD's, the `Target…` kinds are
    /// the Kubernetes cluster's.
    ErrorKind {
        /// Invalid builder input: the endpoint, a PEM block, a token that is not a JSON web token.
        Configuration = "invalid client configuration",
        /// A value that must not be sent: the message names every field that is wrong.
        InvalidInput = "invalid input",
        /// DNS or TCP failed: nothing was sent.
        Connect = "cannot connect",
        /// The certificate of the Argo CD server is not trusted. Never retried.
        Certificate = "certificate not accepted",
        /// One attempt took too long, or the server or a proxy says that it did.
        Timeout = "timed out",
        /// The connection broke after the request was sent.
        Interrupted = "connection interrupted",
        /// The server redirects. Credentials do not follow redirects, so this is an error.
        Redirected = "redirected",
        /// A 2xx response that is not JSON: another site, or the wrong root path.
        NotArgoCd = "not an Argo CD API",
        /// Argo CD does not accept the credentials: no session, an expired or revoked one, a rejected login.
        Unauthenticated = "not authenticated",
        /// Argo CD's RBAC forbids the call.
        Forbidden = "not permitted",
        /// The object does not exist, or the account may not see it: Argo CD does not say which.
        NotFoundOrForbidden = "not found or not permitted",
        /// The object does not exist.
        NotFound = "not found",
        /// The object exists already and differs from what was sent.
        AlreadyExists = "already exists",
        /// The object was changed by somebody else, or a name belongs to another object.
        Conflict = "conflict",
        /// The application is busy with another operation; the request had no effect.
        OperationInProgress = "another operation is in progress",
        /// A sync window of the project forbids synchronising now.
        SyncWindow = "blocked by a sync window",
        /// The state of the object does not allow the call now.
        NotReady = "not ready yet",
        /// Argo CD could not reach the cluster: DNS, TCP, or no response in time.
        TargetUnreachable = "the cluster cannot be reached from Argo CD",
        /// Argo CD does not trust the certificate of the cluster: wrong CA or server name.
        TargetCertificate = "Argo CD does not trust the certificate of the cluster",
        /// The cluster rejected the credentials it was registered with.
        TargetUnauthenticated = "the cluster rejected the credentials",
        /// The RBAC of the cluster forbids what Argo CD wanted to do.
        TargetForbidden = "the cluster forbids the call",
        /// This server version does not offer the call.
        Unsupported = "not supported",
        /// The server is overloaded; the request had no effect.
        Busy = "busy",
        /// A proxy or a component behind the server did not answer (502, 503); the outcome is unknown.
        Unavailable = "unavailable",
        /// The server rejected the request for any other reason.
        Rejected = "rejected",
        /// The server failed while working on the request.
        Server = "server error",
        /// The response does not have the expected shape.
        Decode = "unexpected response",
        /// An operation of Argo CD failed, or what was waited for cannot happen any more.
        OperationFailed = "operation failed",
        /// A file could not be read or written.
        Io = "file error",
        /// The time for the whole call or wait ran out; the source is the last cause.
        Deadline = "deadline exceeded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_text_and_one_name() {
        let texts: std::collections::HashSet<String> =
            ErrorKind::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), ErrorKind::ALL.len());

        for kind in ErrorKind::ALL {
            let name = serde_json::to_string(kind).unwrap();
            assert_eq!(serde_json::from_str::<ErrorKind>(&name).unwrap(), *kind);
        }
        assert_eq!(
            serde_json::to_string(&ErrorKind::NotFoundOrForbidden).unwrap(),
            "\"not_found_or_forbidden\""
        );
    }
}
