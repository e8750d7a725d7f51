//! Waiting for the address that the guest agent reports.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use proxmox_client::id::MacAddress;
use proxmox_client::mock::{Fault, PveMock, Route};
use proxmox_client::vm::guest::{AddressSelector, GuestInterface};
use proxmox_client::{ErrorKind, Poll, Reason, Vm};
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{client, node, poll, vm_id};

const MAC: &str = "BC:24:11:AA:BB:CC";

fn selector() -> AddressSelector {
    AddressSelector::for_mac(MacAddress::new(MAC).unwrap())
}

fn with_address(address: &str) -> Vec<GuestInterface> {
    let mac = MacAddress::new(MAC).unwrap();
    let address: IpAddr = address.parse().unwrap();
    vec![GuestInterface::new("eth0", Some(&mac), [(address, 24)])]
}

async fn running(mock: &PveMock) -> Vm {
    mock.add_vm(vm_id(), &[("agent", "1")]);
    let vm = mock.client().node(node()).vm(vm_id());
    vm.start().await.unwrap().wait(poll()).await.unwrap();
    vm
}

#[tokio::test]
async fn an_agent_that_comes_up_late_is_waited_for() {
    let mock = PveMock::start().await;
    let vm = running(&mock).await;
    for _ in 0..3 {
        let silent = Fault::Status(500, "QEMU guest agent is not running".into());
        mock.fail_next(Route::GuestInterfaces, silent);
    }
    mock.set_guest_interfaces(vm_id(), Some(with_address("10.0.2.10")));

    let address = vm.wait_for_address(&selector(), poll()).await.unwrap();

    assert_eq!(address.to_string(), "10.0.2.10");
    // Three misses, then the same answer twice.
    mock.assert_called(Route::GuestInterfaces, 5);
}

#[tokio::test]
async fn an_address_that_changes_is_not_taken() {
    let server = MockServer::start().await;
    let answer = |address: &str| {
        let interface = json!({ "name": "eth0", "hardware-address": MAC.to_lowercase(),
            "ip-addresses": [{ "ip-address": address, "prefix": 24 }] });
        ResponseTemplate::new(200).set_body_json(json!({ "data": { "result": [interface] } }))
    };
    Mock::given(any())
        .respond_with(answer("10.0.2.50"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(any())
        .respond_with(answer("10.0.2.10"))
        .mount(&server)
        .await;

    let vm = client(&server.uri()).node(node()).vm(vm_id());
    let address = vm.wait_for_address(&selector(), poll()).await.unwrap();

    assert_eq!(address.to_string(), "10.0.2.10");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_silent_agent_is_given_up_with_the_last_cause() {
    let mock = PveMock::start().await;
    let vm = running(&mock).await;
    let short = Poll::every(Duration::from_millis(2)).deadline(Duration::from_millis(50));

    let error = vm.wait_for_address(&selector(), short).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deadline);
    let cause = std::error::Error::source(&error).unwrap();
    assert!(
        cause
            .to_string()
            .contains("QEMU guest agent is not running"),
        "{cause}"
    );
}

#[tokio::test]
async fn what_no_waiting_changes_ends_the_wait_at_once() {
    let mock = PveMock::start().await;
    let vm = running(&mock).await;
    let long = Poll::every(Duration::from_millis(2)).deadline(Duration::from_secs(60));
    let started = Instant::now();

    let missing = Fault::forbidden("/vms/2411000", "VM.GuestAgent.Audit");
    mock.fail_next(Route::GuestInterfaces, missing);
    let error = vm.wait_for_address(&selector(), long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);

    let unset = Fault::Status(500, "No QEMU guest agent configured".into());
    mock.fail_next(Route::GuestInterfaces, unset);
    let error = vm.wait_for_address(&selector(), long).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::AgentNotConfigured));
    assert!(started.elapsed() < Duration::from_secs(30));
}
