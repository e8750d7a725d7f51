//! The recipes of `tests/recipes` make the committed data: applied to what they made, they change nothing.

use factory_client::TalosVersion;
use factory_client::mock::FactoryMock;
use serde_json::Value;

#[path = "../recipes/argocd.rs"]
mod argocd;
#[path = "../recipes/catalogue.rs"]
mod catalogue;
#[path = "../recipes/json.rs"]
mod json;
#[path = "../recipes/proxmox.rs"]
mod proxmox;

fn read(path: &str) -> String {
    std::fs::read_to_string(crate::root().join(path)).unwrap()
}

#[test]
fn the_excerpts_of_argo_cd_hold_what_their_operations_need() {
    for version in ["2.14", "3.5"] {
        let committed = read(&format!("tests/data/argocd/swagger-{version}.json"));

        let made = argocd::excerpt(&committed, &committed, &[]).unwrap();

        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(json(&made), json(&committed), "{version}");
    }
}

#[test]
fn an_operation_that_the_source_lacks_is_an_error() {
    let committed = read("tests/data/argocd/swagger-3.5.json");
    let add = ["GET /api/v1/nothing".to_owned()];

    let error = argocd::excerpt(&committed, &committed, &add).unwrap_err();

    assert!(error.to_string().contains("/api/v1/nothing"));
}

#[test]
fn the_contracts_of_proxmox_ve_are_excerpts_of_themselves() {
    for version in ["8", "9"] {
        let committed = read(&format!(
            "proxmox-client/src/mock/contract/pve-{version}.json"
        ));

        let made = proxmox::excerpt(&committed, &committed, &[], None).unwrap();

        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(json(&made), json(&committed), "{version}");
    }
}

#[test]
fn a_contract_is_made_from_the_tree_of_the_documentation() {
    let source = r#"const apiSchema = [ { "path": "/nodes", "info": { "GET": {
        "method": "GET", "name": "index", "description": "Cluster node index.", "returns": {},
        "parameters": { "additionalProperties": 0, "properties": {
            "type": { "type": "string", "optional": 1, "description": "Only this type.", "typetext": "<string>" },
            "description": { "type": "string", "description": "A parameter of this name." } } },
        "permissions": { "check": ["perm", "/", ["Sys.Audit"]], "description": "Prose." } } },
        "children": [ { "path": "/nodes/{node}", "info": { "POST": { "name": "add", "allowtoken": 0, "parameters": {} } } } ]
    } ] ; let more = {};"#;
    let current =
        r#"{"$meta": {"version": "1", "revision": "a"}, "$formats": {}, "GET /nodes": {}}"#;
    let origin = proxmox::Origin {
        version: "2".to_owned(),
        revision: "b".to_owned(),
    };
    let add = ["POST /nodes/{node}".to_owned()];

    let made = proxmox::excerpt(source, current, &add, Some(&origin)).unwrap();

    let expected = r#"{"$meta": {"version": "2", "revision": "b"}, "$formats": {},
        "GET /nodes": {"name": "index",
            "parameters": {"type": {"type": "string", "optional": 1}, "description": {"type": "string"}},
            "permissions": {"check": ["perm", "/", ["Sys.Audit"]]}},
        "POST /nodes/{node}": {"name": "add", "parameters": {}, "allowtoken": 0}}"#;
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(&made), json(expected));
}

#[tokio::test]
async fn the_catalogue_of_a_factory_is_the_embedded_one() {
    let factory = FactoryMock::start().await;
    let client = factory.client();
    // The mock lists the embedded catalogue, version by version.
    let versions = client.versions().await.unwrap();

    let (extensions, overlays) = catalogue::collect(&client, &versions).await.unwrap();

    let newest = versions.last().unwrap();
    let committed: String = read("factory-client/data/extensions.txt")
        .lines()
        .filter(|line| {
            let since = TalosVersion::parse(line.split_once(' ').unwrap().0).unwrap();
            newest.is_at_least(since.major(), since.minor())
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(extensions, committed);
    assert_eq!(overlays, read("factory-client/data/overlays.txt"));
}
