//! What the errors of the clients mean for a bootstrap, and what to do about them.

use std::error::Error as StdError;

use crate::error::{Error, ErrorKind, Server};
use crate::services;

/// The error of a client: what all of them have in common.
trait ClientError: StdError + Send + Sync + 'static {
    /// The server of the client; `None` when the type has several.
    const ORIGIN: Option<Server>;
    /// The kind that it becomes. `None` for a kind that this crate does not know.
    fn kind_of_run(&self) -> Option<ErrorKind>;
    fn hint(&self) -> Option<String>;
    fn operation(&self) -> &'static str;
    fn target(&self) -> &str;
    fn server(&self) -> Option<&str>;
    fn may_have_taken_effect(&self) -> bool;
}

impl<E: ClientError> From<E> for Error {
    fn from(source: E) -> Self {
        let kind = source.kind_of_run().unwrap_or(ErrorKind::Rejected);
        let hint = source.hint();
        let (operation, target) = (source.operation(), source.target().to_owned());
        let uncertain = source.may_have_taken_effect();
        let server = source.server().map(str::to_owned);
        let error = Self::of_client(kind, operation, &target, source)
            .uncertain(uncertain)
            .of_origin(E::ORIGIN, server.as_deref());
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

macro_rules! client_error {
    ($error:ty, $origin:expr, $kind:path, $hint:path, $server:path) => {
        impl ClientError for $error {
            const ORIGIN: Option<Server> = $origin;

            fn kind_of_run(&self) -> Option<ErrorKind> {
                $kind(self)
            }
            fn hint(&self) -> Option<String> {
                $hint(self)
            }
            fn operation(&self) -> &'static str {
                self.operation()
            }
            fn target(&self) -> &str {
                self.target()
            }
            fn server(&self) -> Option<&str> {
                $server(self)
            }
            fn may_have_taken_effect(&self) -> bool {
                self.may_have_taken_effect()
            }
        }
    };
}

client_error!(
    proxmox_client::Error,
    Some(Server::ProxmoxVe),
    proxmox_error,
    proxmox_hint,
    proxmox_client::Error::server
);
client_error!(
    factory_client::Error,
    Some(Server::ImageFactory),
    factory_error,
    factory_hint,
    factory_client::Error::server
);
client_error!(
    talos_client::Error,
    Some(Server::Talos),
    talos_error,
    talos_hint,
    talos_client::Error::server
);
client_error!(
    argocd_client::Error,
    Some(Server::ArgoCd),
    argocd_error,
    argocd_hint,
    argocd_client::Error::server
);
client_error!(
    services::Error,
    None,
    service_error,
    service_hint,
    services::Error::server
);

fn proxmox_error(error: &proxmox_client::Error) -> Option<ErrorKind> {
    use proxmox_client::Reason;
    match error.reason() {
        Some(Reason::StorageFull) => Some(ErrorKind::NoSpace),
        Some(Reason::BridgeMissing | Reason::StorageMissing | Reason::NodeMissing) => {
            Some(ErrorKind::NotFound)
        }
        Some(Reason::VmIdTaken) => Some(ErrorKind::NotOurs),
        _ => proxmox_kind(error.kind()),
    }
}

fn proxmox_kind(kind: proxmox_client::ErrorKind) -> Option<ErrorKind> {
    use proxmox_client::ErrorKind as Kind;
    Some(match kind {
        Kind::Configuration => ErrorKind::Configuration,
        Kind::InvalidInput => ErrorKind::InvalidInput,
        Kind::Connect => ErrorKind::Connect,
        Kind::Certificate => ErrorKind::Certificate,
        Kind::Timeout => ErrorKind::Timeout,
        Kind::Interrupted => ErrorKind::Interrupted,
        Kind::Unauthenticated => ErrorKind::Unauthenticated,
        Kind::Forbidden => ErrorKind::Forbidden,
        Kind::NotFound => ErrorKind::NotFound,
        Kind::AlreadyExists => ErrorKind::AlreadyExists,
        Kind::Conflict => ErrorKind::Conflict,
        Kind::Busy => ErrorKind::Busy,
        Kind::NotReady => ErrorKind::NotReady,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Rejected => ErrorKind::Rejected,
        Kind::Server => ErrorKind::Server,
        Kind::TaskFailed => ErrorKind::TaskFailed,
        Kind::Decode => ErrorKind::Decode,
        Kind::Io => ErrorKind::Io,
        Kind::Deadline => ErrorKind::Deadline,
        _ => return None,
    })
}

fn proxmox_hint(error: &proxmox_client::Error) -> Option<String> {
    use proxmox_client::{ErrorKind as Kind, Reason};
    let by_reason = error.reason().and_then(|reason| match reason {
        Reason::StorageFull => {
            Some("Free space on the storage, or choose another one in the section proxmox.")
        }
        Reason::BridgeMissing => {
            Some("Set machines[].network.bridge to a bridge of the Proxmox node.")
        }
        Reason::StorageMissing => {
            Some("Set proxmox.storage and proxmox.isoStorage to storages of the Proxmox node.")
        }
        Reason::NodeMissing => Some("Set proxmox.node to a node of the Proxmox cluster."),
        Reason::VmIdTaken => {
            Some("Choose another machines[].vmId, or remove the VM if it is not needed.")
        }
        _ => None,
    });
    let by_kind = || match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted => {
            Some("Check the endpoint of Proxmox VE and the network access to it.")
        }
        Kind::Certificate => {
            Some("Trust the certificate of Proxmox VE by its authority or by its fingerprint.")
        }
        Kind::Unauthenticated => Some(
            "Check the API token (user@realm!name=secret), that it exists and has not expired.",
        ),
        _ => None,
    };
    if error.kind() == Kind::Forbidden && by_reason.is_none() {
        return Some(missing_privileges(error));
    }
    by_reason.or_else(by_kind).map(str::to_owned)
}

fn missing_privileges(error: &proxmox_client::Error) -> String {
    let missing: Vec<String> = error
        .missing_permissions()
        .iter()
        .map(ToString::to_string)
        .collect();
    let privileges = if missing.is_empty() {
        "the missing privilege".to_owned()
    } else {
        missing.join(" and ")
    };
    format!(
        "Grant {privileges} to both the API token and its user; Proxmox VE applies the intersection of their privileges."
    )
}

fn factory_error(error: &factory_client::Error) -> Option<ErrorKind> {
    factory_kind(error.kind())
}

fn factory_kind(kind: factory_client::ErrorKind) -> Option<ErrorKind> {
    use factory_client::ErrorKind as Kind;
    Some(match kind {
        Kind::Configuration => ErrorKind::Configuration,
        Kind::InvalidInput => ErrorKind::InvalidInput,
        Kind::InvalidSchematic | Kind::Validation | Kind::ExtensionNotAvailable => {
            ErrorKind::InvalidSpec
        }
        Kind::IdMismatch => ErrorKind::Conflict,
        Kind::Connect => ErrorKind::Connect,
        Kind::Certificate => ErrorKind::Certificate,
        Kind::Timeout | Kind::Stalled => ErrorKind::Timeout,
        Kind::Interrupted | Kind::Truncated => ErrorKind::Interrupted,
        Kind::Unauthenticated => ErrorKind::Unauthenticated,
        Kind::Forbidden | Kind::NotEnabled => ErrorKind::Forbidden,
        Kind::NotFound | Kind::SchematicNotFound | Kind::VersionNotAvailable => ErrorKind::NotFound,
        Kind::Busy => ErrorKind::Busy,
        Kind::Rejected => ErrorKind::Rejected,
        Kind::Server => ErrorKind::Server,
        Kind::Decode | Kind::Corrupted => ErrorKind::Decode,
        Kind::Io => ErrorKind::Io,
        Kind::Deadline => ErrorKind::Deadline,
        _ => return None,
    })
}

fn factory_hint(error: &factory_client::Error) -> Option<String> {
    use factory_client::ErrorKind as Kind;
    let hint = match error.kind() {
        Kind::Connect
        | Kind::Certificate
        | Kind::Timeout
        | Kind::Interrupted
        | Kind::Stalled
        | Kind::Truncated => "Check network access to the Image Factory (DNS, firewall, proxy).",
        Kind::ExtensionNotAvailable | Kind::Validation => {
            "Set talos.extensions to official extensions of talos.version."
        }
        Kind::Server => {
            "The Image Factory responds with 500 when a build fails. Run again; if it fails again, check talos.extensions."
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn talos_error(error: &talos_client::Error) -> Option<ErrorKind> {
    talos_kind(error.kind())
}

fn talos_kind(kind: talos_client::ErrorKind) -> Option<ErrorKind> {
    use talos_client::ErrorKind as Kind;
    Some(match kind {
        Kind::Configuration => ErrorKind::Configuration,
        Kind::InvalidInput | Kind::InvalidDocument | Kind::Validation => ErrorKind::InvalidSpec,
        Kind::Connect => ErrorKind::Connect,
        Kind::Certificate => ErrorKind::Certificate,
        Kind::Timeout => ErrorKind::Timeout,
        Kind::Interrupted => ErrorKind::Interrupted,
        Kind::Unauthenticated => ErrorKind::Unauthenticated,
        Kind::Forbidden => ErrorKind::Forbidden,
        Kind::NotFound => ErrorKind::NotFound,
        Kind::AlreadyExists => ErrorKind::AlreadyExists,
        Kind::NotReady => ErrorKind::NotReady,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Busy => ErrorKind::Busy,
        Kind::Rejected => ErrorKind::Rejected,
        Kind::Server => ErrorKind::Server,
        Kind::Decode => ErrorKind::Decode,
        Kind::Io => ErrorKind::Io,
        Kind::Deadline => ErrorKind::Deadline,
        Kind::OperationFailed => ErrorKind::TaskFailed,
        _ => return None,
    })
}

fn talos_hint(error: &talos_client::Error) -> Option<String> {
    use talos_client::ErrorKind as Kind;
    let hint = match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted => {
            "Check that port 50000 of the node can be reached from this host."
        }
        Kind::Certificate => {
            "Another cluster or service answers at this address, or the clocks differ."
        }
        Kind::Deadline => "Check the console of the VM.",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn argocd_error(error: &argocd_client::Error) -> Option<ErrorKind> {
    argocd_kind(error.kind())
}

fn argocd_kind(kind: argocd_client::ErrorKind) -> Option<ErrorKind> {
    use argocd_client::ErrorKind as Kind;
    Some(match kind {
        Kind::Configuration => ErrorKind::Configuration,
        Kind::InvalidInput => ErrorKind::InvalidInput,
        Kind::Connect | Kind::TargetUnreachable => ErrorKind::Connect,
        Kind::Certificate | Kind::TargetCertificate => ErrorKind::Certificate,
        Kind::Timeout => ErrorKind::Timeout,
        Kind::Interrupted => ErrorKind::Interrupted,
        Kind::Redirected | Kind::NotArgoCd | Kind::Rejected | Kind::SyncWindow => {
            ErrorKind::Rejected
        }
        Kind::Unauthenticated => ErrorKind::Unauthenticated,
        Kind::Forbidden | Kind::NotFoundOrForbidden => ErrorKind::Forbidden,
        Kind::NotFound => ErrorKind::NotFound,
        Kind::AlreadyExists => ErrorKind::AlreadyExists,
        Kind::Conflict => ErrorKind::Conflict,
        Kind::OperationInProgress | Kind::Busy => ErrorKind::Busy,
        Kind::NotReady | Kind::Unavailable => ErrorKind::NotReady,
        Kind::TargetUnauthenticated | Kind::TargetForbidden | Kind::Server => ErrorKind::Server,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Decode => ErrorKind::Decode,
        Kind::Io => ErrorKind::Io,
        Kind::OperationFailed => ErrorKind::TaskFailed,
        Kind::Deadline => ErrorKind::Deadline,
        _ => return None,
    })
}

fn argocd_hint(error: &argocd_client::Error) -> Option<String> {
    use argocd_client::ErrorKind as Kind;
    let hint = match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted | Kind::Unavailable => {
            "Check the address of the Argo CD server and the network access to it."
        }
        Kind::Redirected | Kind::NotArgoCd => {
            "Check the address of the Argo CD server: scheme, host and root path."
        }
        Kind::Certificate => "Trust the certificate of the Argo CD server by its authority.",
        Kind::Unauthenticated => "Check the Argo CD token and that its account still exists.",
        Kind::Forbidden | Kind::NotFoundOrForbidden => {
            "Grant the account get, create and update on clusters, and get on applications."
        }
        Kind::TargetUnreachable => {
            "The argocd-server pod must be able to resolve and reach the endpoint of the cluster."
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn service_error(error: &services::Error) -> Option<ErrorKind> {
    service_kind(error.kind())
}

fn service_kind(kind: services::ErrorKind) -> Option<ErrorKind> {
    use services::ErrorKind as Kind;
    Some(match kind {
        Kind::Configuration => ErrorKind::Configuration,
        Kind::InvalidInput => ErrorKind::InvalidInput,
        Kind::Connect => ErrorKind::Connect,
        Kind::Certificate => ErrorKind::Certificate,
        Kind::Timeout => ErrorKind::Timeout,
        Kind::Interrupted => ErrorKind::Interrupted,
        Kind::Unauthenticated => ErrorKind::Unauthenticated,
        Kind::Forbidden => ErrorKind::Forbidden,
        Kind::NotFound | Kind::Deleted | Kind::NoSuchMount => ErrorKind::NotFound,
        Kind::AlreadyExists => ErrorKind::AlreadyExists,
        Kind::Conflict | Kind::Mismatch => ErrorKind::Conflict,
        Kind::Sealed | Kind::Standby | Kind::NotReady => ErrorKind::NotReady,
        Kind::Busy => ErrorKind::Busy,
        Kind::TooLarge => ErrorKind::NoSpace,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Rejected => ErrorKind::Rejected,
        Kind::Server => ErrorKind::Server,
        Kind::Decode => ErrorKind::Decode,
        Kind::Deadline => ErrorKind::Deadline,
        Kind::Io => ErrorKind::Io,
    })
}

fn service_hint(error: &services::Error) -> Option<String> {
    use services::ErrorKind as Kind;
    match error.kind() {
        Kind::Sealed => Some("Unseal the OpenBao server, then run again.".to_owned()),
        _ => None,
    }
}
