//! What the errors of the clients mean for a bootstrap, and what to do about them.

use std::error::Error as StdError;

use crate::error::{Error, ErrorKind};
use crate::services;

/// The error of a client: the parts that all of them have.
trait ClientError: StdError + Send + Sync + 'static {
    fn meaning(&self) -> Meaning;
    fn operation(&self) -> &'static str;
    fn target(&self) -> &str;
    fn may_have_taken_effect(&self) -> bool;
}

struct Meaning {
    kind: ErrorKind,
    hint: Option<String>,
}

impl Meaning {
    fn plain(kind: ErrorKind) -> Self {
        Self { kind, hint: None }
    }

    fn hinted(kind: ErrorKind, hint: impl Into<String>) -> Self {
        Self {
            kind,
            hint: Some(hint.into()),
        }
    }
}

impl<E: ClientError> From<E> for Error {
    fn from(source: E) -> Self {
        let Meaning { kind, hint } = source.meaning();
        let (operation, target) = (source.operation(), source.target().to_owned());
        let uncertain = source.may_have_taken_effect();
        let error = Self::of_client(kind, operation, &target, source).uncertain(uncertain);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

macro_rules! client_error {
    ($error:ty, $meaning:path) => {
        impl ClientError for $error {
            fn meaning(&self) -> Meaning {
                $meaning(self)
            }
            fn operation(&self) -> &'static str {
                self.operation()
            }
            fn target(&self) -> &str {
                self.target()
            }
            fn may_have_taken_effect(&self) -> bool {
                self.may_have_taken_effect()
            }
        }
    };
}

client_error!(proxmox_client::Error, proxmox);
client_error!(factory_client::Error, factory);
client_error!(talos_client::Error, talos);
client_error!(argocd_client::Error, argocd);
client_error!(services::Error, service);

fn proxmox(error: &proxmox_client::Error) -> Meaning {
    use proxmox_client::ErrorKind as Kind;
    if let Some(meaning) = error.reason().and_then(proxmox_reason) {
        return meaning;
    }
    match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted => Meaning::hinted(
            ErrorKind::Unreachable,
            "check the endpoint of Proxmox VE and the way to it",
        ),
        Kind::Certificate => Meaning::hinted(
            ErrorKind::Certificate,
            "trust the certificate of Proxmox VE by its authority or by its fingerprint",
        ),
        Kind::Unauthenticated => Meaning::hinted(
            ErrorKind::Unauthenticated,
            "check the API token: user@realm!name=secret, and that it exists and has not expired",
        ),
        Kind::Forbidden => Meaning::hinted(ErrorKind::Forbidden, missing_privileges(error)),
        Kind::NotFound => Meaning::plain(ErrorKind::NotFound),
        Kind::AlreadyExists | Kind::Conflict => Meaning::plain(ErrorKind::Conflict),
        Kind::Busy | Kind::NotReady => Meaning::plain(ErrorKind::Busy),
        Kind::Server | Kind::TaskFailed => Meaning::plain(ErrorKind::Failed),
        Kind::Decode => Meaning::plain(ErrorKind::Decode),
        Kind::Deadline => Meaning::plain(ErrorKind::Deadline),
        _ => Meaning::plain(ErrorKind::Rejected),
    }
}

fn proxmox_reason(reason: proxmox_client::Reason) -> Option<Meaning> {
    use proxmox_client::Reason;
    Some(match reason {
        Reason::StorageFull => Meaning::hinted(
            ErrorKind::NoSpace,
            "free space on the storage, or name another one in the section proxmox",
        ),
        Reason::BridgeMissing => Meaning::hinted(
            ErrorKind::NotFound,
            "machines[].network.bridge must be a bridge of the Proxmox node",
        ),
        Reason::StorageMissing => Meaning::hinted(
            ErrorKind::NotFound,
            "proxmox.storage and proxmox.isoStorage must be storages of the Proxmox node",
        ),
        Reason::NodeMissing => Meaning::hinted(
            ErrorKind::NotFound,
            "proxmox.node must be a node of the Proxmox cluster",
        ),
        Reason::VmIdTaken => Meaning::hinted(
            ErrorKind::NotOurs,
            "choose another machines[].vmId, or remove the VM yourself if it is not needed",
        ),
        _ => return None,
    })
}

fn missing_privileges(error: &proxmox_client::Error) -> String {
    let missing: Vec<String> = error
        .missing_permissions()
        .iter()
        .map(ToString::to_string)
        .collect();
    let what = if missing.is_empty() {
        "the privilege".to_owned()
    } else {
        missing.join(" and ")
    };
    format!("grant {what} to the token and to its user: the server takes what both have")
}

fn factory(error: &factory_client::Error) -> Meaning {
    use factory_client::ErrorKind as Kind;
    match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted | Kind::Stalled | Kind::Truncated => {
            Meaning::hinted(ErrorKind::Unreachable, "check the way to the Image Factory")
        }
        Kind::Certificate => Meaning::plain(ErrorKind::Certificate),
        Kind::Unauthenticated => Meaning::plain(ErrorKind::Unauthenticated),
        Kind::Forbidden | Kind::NotEnabled => Meaning::plain(ErrorKind::Forbidden),
        Kind::NotFound | Kind::SchematicNotFound | Kind::VersionNotAvailable => {
            Meaning::plain(ErrorKind::NotFound)
        }
        Kind::ExtensionNotAvailable | Kind::Validation => Meaning::hinted(
            ErrorKind::InvalidSpec,
            "talos.extensions must be official extensions of talos.version",
        ),
        Kind::IdMismatch => Meaning::plain(ErrorKind::Conflict),
        Kind::Busy => Meaning::plain(ErrorKind::Busy),
        Kind::Server => Meaning::hinted(
            ErrorKind::Failed,
            "the factory answers 500 for a failed build: try again, then look at the extensions",
        ),
        Kind::Decode | Kind::Corrupted => Meaning::plain(ErrorKind::Decode),
        Kind::Io => Meaning::plain(ErrorKind::Io),
        Kind::Deadline => Meaning::plain(ErrorKind::Deadline),
        _ => Meaning::plain(ErrorKind::Rejected),
    }
}

fn talos(error: &talos_client::Error) -> Meaning {
    use talos_client::ErrorKind as Kind;
    match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted => Meaning::hinted(
            ErrorKind::Unreachable,
            "check that port 50000 of the node can be reached from here",
        ),
        Kind::Certificate => Meaning::hinted(
            ErrorKind::Certificate,
            "another cluster or service answers at this address, or the clocks differ",
        ),
        Kind::Unauthenticated => Meaning::plain(ErrorKind::Unauthenticated),
        Kind::Forbidden => Meaning::plain(ErrorKind::Forbidden),
        Kind::NotFound => Meaning::plain(ErrorKind::NotFound),
        Kind::AlreadyExists => Meaning::plain(ErrorKind::Conflict),
        Kind::NotReady | Kind::Busy => Meaning::plain(ErrorKind::Busy),
        Kind::Server => Meaning::plain(ErrorKind::Failed),
        Kind::Decode => Meaning::plain(ErrorKind::Decode),
        Kind::Deadline => Meaning::hinted(ErrorKind::Deadline, "look at the console of the VM"),
        Kind::Configuration | Kind::InvalidInput | Kind::InvalidDocument | Kind::Validation => {
            Meaning::plain(ErrorKind::InvalidSpec)
        }
        _ => Meaning::plain(ErrorKind::Rejected),
    }
}

fn argocd(error: &argocd_client::Error) -> Meaning {
    use argocd_client::ErrorKind as Kind;
    match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted | Kind::Unavailable => Meaning::hinted(
            ErrorKind::Unreachable,
            "check the address of the Argo CD server and the way to it",
        ),
        Kind::Redirected | Kind::NotArgoCd => Meaning::hinted(
            ErrorKind::Rejected,
            "check the address of the Argo CD server: scheme, host and root path",
        ),
        Kind::Certificate => Meaning::plain(ErrorKind::Certificate),
        Kind::Unauthenticated => Meaning::hinted(
            ErrorKind::Unauthenticated,
            "check the Argo CD token and that its account still exists",
        ),
        Kind::Forbidden | Kind::NotFoundOrForbidden => Meaning::hinted(
            ErrorKind::Forbidden,
            "the account needs get, create and update on clusters, and get on applications",
        ),
        Kind::TargetUnreachable => Meaning::hinted(
            ErrorKind::Unreachable,
            "the argocd-server pod must reach the endpoint of the cluster, by name and by route",
        ),
        Kind::TargetCertificate => Meaning::plain(ErrorKind::Certificate),
        Kind::TargetUnauthenticated | Kind::TargetForbidden => Meaning::plain(ErrorKind::Failed),
        Kind::NotFound => Meaning::plain(ErrorKind::NotFound),
        Kind::AlreadyExists | Kind::Conflict => Meaning::plain(ErrorKind::Conflict),
        Kind::Busy | Kind::OperationInProgress => Meaning::plain(ErrorKind::Busy),
        Kind::Server | Kind::Failed => Meaning::plain(ErrorKind::Failed),
        Kind::Decode => Meaning::plain(ErrorKind::Decode),
        Kind::Deadline => Meaning::plain(ErrorKind::Deadline),
        _ => Meaning::plain(ErrorKind::Rejected),
    }
}

fn service(error: &services::Error) -> Meaning {
    use services::ErrorKind as Kind;
    match error.kind() {
        Kind::Connect | Kind::Timeout | Kind::Interrupted => Meaning::plain(ErrorKind::Unreachable),
        Kind::Certificate => Meaning::plain(ErrorKind::Certificate),
        Kind::Unauthenticated => Meaning::plain(ErrorKind::Unauthenticated),
        Kind::Forbidden => Meaning::plain(ErrorKind::Forbidden),
        Kind::NotFound | Kind::Deleted | Kind::NoSuchMount => Meaning::plain(ErrorKind::NotFound),
        Kind::AlreadyExists | Kind::Conflict | Kind::Mismatch => {
            Meaning::plain(ErrorKind::Conflict)
        }
        Kind::Sealed => Meaning::hinted(ErrorKind::Busy, "unseal the server, then run again"),
        Kind::Standby | Kind::NotReady | Kind::Busy => Meaning::plain(ErrorKind::Busy),
        Kind::TooLarge => Meaning::plain(ErrorKind::NoSpace),
        Kind::Server => Meaning::plain(ErrorKind::Failed),
        Kind::Decode => Meaning::plain(ErrorKind::Decode),
        Kind::Deadline => Meaning::plain(ErrorKind::Deadline),
        _ => Meaning::plain(ErrorKind::Rejected),
    }
}
