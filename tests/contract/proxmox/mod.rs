//! Contract tests of the Proxmox VE client: what it sends, and what it makes of answers.
//!
//! JSON exchanges run against wiremock. Whatever depends on the status line or on broken
//! connections runs against a plain socket, because wiremock cannot send either.

mod cloud_init;
mod credentials;
mod decisions;
mod digests;
mod guest;
mod hardware_limits;
mod high_availability;
mod limiter;
mod mock_scenario;
mod mock_strictness;
mod mock_wire;
mod operation_table;
mod operations;
mod operations_cluster;
mod operations_guest;
mod operations_node;
mod operations_vm;
mod preflight;
mod recorded;
mod restore;
mod retry;
mod roles;
mod schema;
mod socket;
mod status_line;
mod task;
mod tls;
mod upload;

use std::time::Duration;

use proxmox_client::credentials::ApiToken;
use proxmox_client::id::{NodeName, StorageName, VmId};
use proxmox_client::{
    Client, ClientBuilder, Credentials, Fingerprint, Poll, RetryPolicy, TlsTrust,
};

const TOKEN: &str = "PVEAPIToken=ci@pve!boot=secret";

fn builder(endpoint: &str) -> ClientBuilder {
    builder_with(
        endpoint,
        ApiToken::new("ci@pve!boot", "secret".into()).unwrap(),
    )
}

fn builder_with(endpoint: &str, credentials: impl Into<Credentials>) -> ClientBuilder {
    Client::builder(endpoint.parse().unwrap(), credentials)
        .danger_allow_plain_http()
        // No certificate is checked; loading the system trust store would take a while.
        .trust(TlsTrust::pinned(Fingerprint::from_bytes([0; 32])))
        .retry(RetryPolicy::never())
}

fn client(endpoint: &str) -> Client {
    builder(endpoint).build().unwrap()
}

/// Four attempts within milliseconds.
fn quick() -> RetryPolicy {
    RetryPolicy::default().delays(Duration::from_millis(1), Duration::from_millis(2))
}

fn poll() -> Poll {
    Poll::every(Duration::from_millis(2)).deadline(Duration::from_secs(5))
}

fn node() -> NodeName {
    NodeName::new("pve-01").unwrap()
}

fn storage(name: &str) -> StorageName {
    StorageName::new(name).unwrap()
}

fn vm_id() -> VmId {
    VmId::new(2_411_000).unwrap()
}
