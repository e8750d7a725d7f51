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

/// Files that were taken from elsewhere: neither code nor pages, and not what the examples and docs show.
const DATA: [&str; 10] = [
    "argocd-client/proto",
    "argocd-client/src/mock/data",
    "argocd-client/testdata",
    "factory-client/data",
    "proxmox-client/src/mock/contract",
    "talos-client/proto",
    "talos-client/src/config/schema",
    "talos-client/src/mock",
    "talos-client/src/api/pb",
    "tests/data",
];

#[test]
fn every_file_of_data_has_a_recipe_and_every_recipe_has_files() {
    let recipes = read("tests/RECIPES.md");
    let patterns: Vec<String> = recipes
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.trim_end_matches('`').split("`, `"))
        .map(str::to_owned)
        .collect();
    let files: Vec<String> = DATA.iter().flat_map(|folder| data_files(folder)).collect();
    let named = |pattern: &str, file: &str| glob(pattern).is_match(file);

    let without_recipe: Vec<&String> = files
        .iter()
        .filter(|file| !patterns.iter().any(|pattern| named(pattern, file)))
        .collect();
    let without_files: Vec<&String> = patterns
        .iter()
        .filter(|pattern| !files.iter().any(|file| named(pattern, file)))
        .collect();

    assert_eq!((without_recipe, without_files), (Vec::new(), Vec::new()));
}

/// Files below `folder`, without code that a person writes and pages that describe data.
fn data_files(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(crate::root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(data_files(&path));
        } else if !path.ends_with(".md") && (!path.ends_with(".rs") || path.contains("/pb/")) {
            files.push(path);
        }
    }
    files
}

/// `*` stands for a part of a name, `{a,b}` for one of several.
fn glob(pattern: &str) -> regex::Regex {
    let expression = regex::escape(pattern)
        .replace(r"\*", "[^/]*")
        .replace(r"\{", "(")
        .replace(r"\}", ")")
        .replace(',', "|");
    regex::Regex::new(&format!("^{expression}$")).unwrap()
}
