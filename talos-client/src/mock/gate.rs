//! What a mock node checks before a method runs: injected faults, its mode, the caller's roles.

use tonic::Status;

use super::call::Call;
use super::fault::Fault;
use super::node::{Mode, Node};
use super::route::{self, Known, Route};
use super::server::Peer;

const ADMIN: &str = "os:admin";
const READER: &str = "os:reader";

pub(super) enum Verdict {
    Admit,
    /// The call takes effect, and its response is lost.
    AdmitAndCut,
    Refuse(Status),
    Cut,
    Stall,
}

/// Records a call.
pub(super) fn record<B>(node: &Node, peer: &Peer, request: &http::Request<B>) -> Call {
    let path = request.uri().path();
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        value.to_str().ok().map(ToOwned::to_owned)
    };
    let call = Call {
        path: path.to_owned(),
        route: Route::from_path(path),
        node: header("node"),
        roles: peer.roles.clone().unwrap_or_default(),
        in_maintenance: node.mode() == Mode::Maintenance,
    };
    node.calls.record(call.clone());
    call
}

/// Decides about a call that was recorded.
pub(super) async fn admit(node: &Node, peer: &Peer, call: Call) -> Verdict {
    let path = call.path.as_str();

    let mut is_lost = false;
    match call.route.and_then(|route| node.faults.take(route)) {
        Some(Fault::Status(code, message)) => {
            return Verdict::Refuse(Status::new(code.tonic(), message));
        }
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::Stall) => return Verdict::Stall,
        Some(Fault::Disconnect) => return Verdict::Cut,
        Some(Fault::DropResponse) => is_lost = true,
        None => {}
    }
    let known = route::known(path, node.minor());
    let result = mode(node, path, known)
        .and_then(|()| roles(node, known, peer))
        .and_then(|()| served(path, known));
    match result {
        Ok(()) if is_lost => Verdict::AdmitAndCut,
        Ok(()) => Verdict::Admit,
        Err(status) => Verdict::Refuse(status),
    }
}

/// The texts of gRPC-Go, of its generated code, and of the policy for resources.
fn served(path: &str, known: Known) -> Result<(), Status> {
    let (service, method) = route::split(path);
    match known {
        Known::Route(_) => Ok(()),
        Known::Write => Err(Status::permission_denied("write access is not allowed")),
        Known::NotServed => Err(Status::unimplemented(format!(
            "method {method} not implemented"
        ))),
        Known::NoMethod => Err(Status::unimplemented(format!(
            "unknown method {method} for service {service}"
        ))),
        Known::NoService => Err(Status::unimplemented(format!("unknown service {service}"))),
    }
}

/// Before v1.13 maintenance mode is a small server of its own.
fn mode(node: &Node, path: &str, known: Known) -> Result<(), Status> {
    if node.mode() != Mode::Maintenance || !node.has_maintenance_service() {
        return Ok(());
    }
    let (service, method) = route::split(path);
    match (service, method) {
        ("machine.MachineService", "ApplyConfiguration")
        | ("storage.StorageService", "Disks")
        | ("cosi.resource.State", _) => Ok(()),
        ("machine.MachineService", "GenerateClientConfiguration") => Err(Status::unimplemented(
            "client configuration (talosconfig) can't be generated in the maintenance mode",
        )),
        (
            "machine.MachineService",
            "Version" | "Upgrade" | "Reset" | "MetaWrite" | "MetaDelete",
        )
        | ("storage.StorageService", "BlockDeviceWipe") => Err(Status::unimplemented(
            "API is not implemented in maintenance mode",
        )),
        ("machine.MachineService" | "storage.StorageService", _) if known == Known::NoMethod => {
            served(path, known)
        }
        ("machine.MachineService" | "storage.StorageService", _) => Err(Status::unimplemented(
            format!("method {method} not implemented"),
        )),
        _ => served(path, Known::NoService),
    }
}

/// A method without a rule is for administrators.
fn roles(node: &Node, known: Known, peer: &Peer) -> Result<(), Status> {
    let in_maintenance = node.mode() == Mode::Maintenance;
    let reader = [READER.to_owned()];
    // Without a client certificate maintenance mode injects the reader's role.
    let roles = match &peer.roles {
        Some(roles) => roles.as_slice(),
        None => &reader,
    };
    let is_allowed = |role: &String| match known {
        Known::Route(route) if in_maintenance && route.is_open_in_maintenance() => {
            role == ADMIN || role == READER
        }
        Known::Route(route) => route.admits(role),
        // The small server of maintenance mode has no rules.
        Known::Write if in_maintenance && node.has_maintenance_service() => true,
        _ => role == ADMIN,
    };
    // Whether a service exists is decided before whether it may be called.
    if known == Known::NoService || roles.iter().any(is_allowed) {
        Ok(())
    } else {
        Err(Status::permission_denied("not authorized"))
    }
}

#[cfg(test)]
mod tests {
    use crate::api::channel::{Limits, Transport};
    use crate::mock::{MockEvent, TalosMock};
    use crate::{Code, Error, ErrorKind, Machine, MaintenanceTrust, RetryPolicy, api::tls};

    /// All operations of a machine, on a node in maintenance mode, where no client type offers them.
    async fn machine(version: &str) -> (TalosMock, Machine) {
        let mock = TalosMock::builder().version(version).start().await;
        mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
            .await;
        let (tls, _) = tls::anonymous(MaintenanceTrust::TrustOnFirstUse).unwrap();
        let limits = Limits {
            retry: RetryPolicy::never(),
            ..Limits::default()
        };
        let transport = Transport::new(mock.endpoint(), tls, limits);
        (mock, Machine::new(transport))
    }

    fn is_refusal(error: &Error, code: Code, message: &str) {
        assert_eq!(error.code(), Some(code), "{error}");
        assert_eq!(error.message(), message);
    }

    #[tokio::test]
    async fn the_maintenance_service_implements_hardly_a_call() {
        for version in ["v1.10.7", "v1.12.11"] {
            let (_mock, machine) = machine(version).await;

            let version = machine.version().await.unwrap_err();
            let text = "API is not implemented in maintenance mode";
            is_refusal(&version, Code::Unimplemented, text);
            assert_eq!(version.kind(), ErrorKind::Unsupported);

            let bootstrap = machine.bootstrap().await.unwrap_err();
            let text = "method Bootstrap not implemented";
            is_refusal(&bootstrap, Code::Unimplemented, text);
        }
    }

    #[tokio::test]
    async fn from_v1_13_on_readers_calls_are_answered_in_maintenance_mode() {
        let (_mock, machine) = machine("v1.13.9").await;

        assert_eq!(machine.version().await.unwrap().tag, "v1.13.9");
        assert!(machine.service("apid").await.unwrap().is_up());
        let bootstrap = machine.bootstrap().await.unwrap_err();
        is_refusal(&bootstrap, Code::PermissionDenied, "not authorized");
        let members = machine.etcd_members().await.unwrap_err();
        let text = "machine type is not set, cannot use member list API";
        is_refusal(&members, Code::Unimplemented, text);
    }
}
