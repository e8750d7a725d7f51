//! What a mock node checks before a method runs: injected faults, its mode, the caller's roles.

use std::sync::Arc;

use tonic::Status;

use super::call::Call;
use super::fault::Fault;
use super::node::{Mode, Node};
use super::route::Route;
use super::server::Peer;

const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
const READER: &str = "os:reader";
const ETCD_BACKUP: &str = "os:etcd:backup";

pub(super) enum Verdict {
    Admit,
    /// The call takes effect, and its response is lost.
    AdmitAndCut,
    Refuse(Status),
    Cut,
    Stall,
}

/// Decides about a call, and records it.
pub(super) async fn admit<B>(node: &Node, peer: &Arc<Peer>, request: &http::Request<B>) -> Verdict {
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
    let method = call.method().to_owned();
    node.calls.record(call.clone());

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
    let result = known(&call)
        .and_then(|()| mode(node, path, &method))
        .and_then(|()| roles(node, &call, peer))
        .and_then(|()| route(node, &call, header("nodes").is_some()));
    match result {
        Ok(()) if is_lost => Verdict::AdmitAndCut,
        Ok(()) => Verdict::Admit,
        Err(status) => Verdict::Refuse(status),
    }
}

fn known(call: &Call) -> Result<(), Status> {
    if call.route.is_some() {
        Ok(())
    } else {
        Err(Status::unimplemented(format!(
            "the mock does not serve {}",
            call.path
        )))
    }
}

/// Before v1.13 maintenance mode is a small server of its own.
fn mode(node: &Node, path: &str, method: &str) -> Result<(), Status> {
    if node.mode() != Mode::Maintenance || !node.has_maintenance_service() {
        return Ok(());
    }
    let service = path
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    match (service, method) {
        ("machine.MachineService", "ApplyConfiguration")
        | ("storage.StorageService", "Disks")
        | ("cosi.resource.State", _) => Ok(()),
        ("machine.MachineService", "Version" | "Reset") => Err(Status::unimplemented(
            "API is not implemented in maintenance mode",
        )),
        ("machine.MachineService", _) => Err(Status::unimplemented(format!(
            "method {method} not implemented"
        ))),
        _ => Err(Status::unimplemented(format!("unknown service {service}"))),
    }
}

fn roles(node: &Node, call: &Call, peer: &Peer) -> Result<(), Status> {
    let in_maintenance = node.mode() == Mode::Maintenance;
    let method = call.method();
    let reader = [READER.to_owned()];
    // Without a client certificate maintenance mode injects the reader's role.
    let roles = match &peer.roles {
        Some(roles) => roles.as_slice(),
        None => &reader,
    };
    let allowed: &[&str] = match method {
        "ApplyConfiguration" if in_maintenance => &[ADMIN, READER],
        "ApplyConfiguration" | "Bootstrap" | "Kubeconfig" | "Read" | "Reset" => &[ADMIN],
        "Reboot" | "Shutdown" => &[ADMIN, OPERATOR],
        "EtcdMemberList" | "EtcdStatus" => &[ADMIN, OPERATOR, READER, ETCD_BACKUP],
        _ => &[ADMIN, OPERATOR, READER],
    };
    if roles.iter().any(|role| allowed.contains(&role.as_str())) {
        Ok(())
    } else {
        Err(Status::permission_denied("not authorized"))
    }
}

fn route(node: &Node, call: &Call, to_many: bool) -> Result<(), Status> {
    if to_many && call.path.starts_with("/cosi.resource.State/") {
        return Err(Status::invalid_argument(
            "one-2-many proxying is not supported for COSI methods",
        ));
    }
    if to_many {
        return Err(Status::unimplemented("the mock answers for one node only"));
    }
    let Some(target) = &call.node else {
        return Ok(());
    };
    if node.mode() == Mode::Maintenance || node.is_called(target) {
        return Ok(());
    }
    if target.parse::<std::net::SocketAddr>().is_ok() {
        return Err(Status::internal(format!("invalid target {target:?}")));
    }
    Err(Status::unavailable(format!(
        "connection error: desc = \"transport: Error while dialing: dial tcp {target}:50000: connect: connection refused\""
    )))
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
        let text = "machine type is not set, cannot use etcd member list API";
        is_refusal(&members, Code::Unimplemented, text);
    }
}
