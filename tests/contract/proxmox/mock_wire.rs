//! The mock on the wire: status lines and bodies as the real server has them.

use proxmox_client::id::{NodeName, VmId};
use proxmox_client::mock::{Acl, PveMock};
use serde::Deserialize;
use serde_json::Value;

use super::poll;
use super::socket::exchange;

#[derive(Deserialize)]
struct Exchanges {
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    name: String,
    #[serde(default = "newest")]
    version: String,
    /// A privilege that the caller does not have.
    without: Option<String>,
    /// Ids of VMs that are there.
    given: Vec<u32>,
    started: Option<u32>,
    /// Method, path, form.
    request: (String, String, String),
    authorization: Option<String>,
    status_line: String,
    body: Value,
}

fn newest() -> String {
    "9.1.2".to_owned()
}

async fn world(exchange: &Exchange) -> PveMock {
    let mut acl = Acl::administrator();
    if let Some(privilege) = &exchange.without {
        acl = acl.without(privilege);
    }
    let node = NodeName::new("pve1").unwrap();
    let mock = PveMock::builder()
        .version(&exchange.version)
        .node(node.clone())
        .token("ci@pve!boot", "secret", acl)
        .start()
        .await;
    for id in &exchange.given {
        mock.add_vm(VmId::new(*id).unwrap(), &[("agent", "1")]);
    }
    if let Some(id) = exchange.started {
        let vm = mock.client().node(node).vm(VmId::new(id).unwrap());
        vm.start().await.unwrap().wait(poll()).await.unwrap();
    }
    mock
}

#[tokio::test]
async fn the_mock_answers_as_the_real_server() {
    let data = include_str!("../../data/proxmox/exchanges.json");
    let Exchanges { exchanges } = serde_json::from_str(data).unwrap();
    for case in exchanges {
        let mock = world(&case).await;
        let (method, path, form) = &case.request;
        let authorization = match case.authorization.as_deref() {
            None => "Authorization: PVEAPIToken=ci@pve!boot=secret\r\n".to_owned(),
            Some("") => String::new(),
            Some(value) => format!("Authorization: {value}\r\n"),
        };
        let request = format!(
            "{method} /api2/json{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );

        let (status_line, body) = exchange(&mock.endpoint(), &request).await;

        assert_eq!(status_line, case.status_line, "{}", case.name);
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(body, case.body, "{}", case.name);
    }
}
